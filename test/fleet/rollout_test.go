package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// lag is how long a Service goes on sending connections to a pod after it has said that it is not ready: the probe's period and
// the time in which all nodes hear of it. shutdownDelay is longer, as in the chart.
const (
	lag           = 400 * time.Millisecond
	shutdownDelay = 1500 * time.Millisecond
)

// service is what a Service of Kubernetes is to its callers: each connection goes to a pod that was ready a while ago, and stays there.
type service struct {
	address string
	turn    atomic.Uint32

	mu    sync.Mutex
	ready []string
}

func newService(t *testing.T) *service {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{address: l.Addr().String()}
	process.Accept(t, l, func(down net.Conn) {
		defer down.Close()
		to, ok := s.pick()
		if !ok {
			return
		}
		up, err := net.Dial("tcp", to)
		if err != nil {
			return // as a caller sees it: a connection that ends
		}
		defer up.Close()
		go func() {
			_, _ = io.Copy(up, down)
			_ = up.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(down, up)
	})
	return s
}

func (s *service) pick() (to string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		return "", false
	}
	return s.ready[int(s.turn.Add(1))%len(s.ready)], true
}

func (s *service) set(address string, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.ready[:0:0]
	for _, a := range s.ready {
		if a != address {
			kept = append(kept, a)
		}
	}
	if ready {
		kept = append(kept, address)
	}
	s.ready = kept
}

// follow tells the service of a pod's readiness, late, until the pod has ended.
func (s *service) follow(t *testing.T, c *sidecar) {
	t.Helper()
	address := strings.TrimPrefix(c.url, "http://")
	isReady := func() bool {
		a, err := c.get(context.WithoutCancel(t.Context()), c.admin+"/readyz", "")
		return err == nil && a.status == http.StatusOK
	}
	process.Eventually(t, func() error {
		if !isReady() {
			return fmt.Errorf("%s is not ready", address)
		}
		return nil
	})
	s.set(address, true)
	go func() {
		probe := time.NewTicker(lag / 4)
		defer probe.Stop()
		for isReady() {
			select {
			case <-probe.C:
			case <-c.Done:
			}
		}
		forget := time.NewTimer(lag * 3 / 4)
		defer forget.Stop()
		<-forget.C
		s.set(address, false)
	}()
}

// caller is a tool that calls through the service; some keep their connections, and some make one for each call.
type caller struct {
	name   string
	method string
	client *http.Client
}

func (c caller) call(ctx context.Context, to, shop string) error {
	path, body := shopJSON, io.Reader(http.NoBody)
	if c.method == http.MethodPost {
		path, body = "/admin/api/2026-10/graphql.json", strings.NewReader(`{"query":"{ shop { myshopifyDomain } }"}`)
	}
	r, err := http.NewRequestWithContext(ctx, c.method, "http://"+to+"/"+shop+".myshopify.com"+path, body)
	if err != nil {
		return err
	}
	r.Host = "localhost"
	r.GetBody = nil // a client that cannot send a body again
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(b), shop+".myshopify.com")) {
		err = fmt.Errorf("%s: %.200s", resp.Status, b)
	}
	return err
}

// TestAnUpdateLosesNoRequest replaces three replicas one after the other, as a Deployment does with maxUnavailable 0, by another
// build of the program, while tools call. The replicas share grants whose tokens live for seconds.
func TestAnUpdateLosesNoRequest(t *testing.T) {
	t.Parallel()
	next := filepath.Join(t.TempDir(), "evergate")
	if err := process.Build(next, "-ldflags", "-X main.version=next"); err != nil {
		t.Fatal(err)
	}
	all := names(6)
	s := newShopify(t, shopsim.Settings{OfflineLife: 5 * time.Second, RESTSize: 1e6, RESTLeak: 1e5, GraphQLSize: 1e6, GraphQLRestore: 1e5}, all) // rate limits are not the subject
	s.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Delay: 600 * time.Millisecond, Probability: 0.05, Endpoint: shopsim.REST})
	file, dir := filepath.Join(t.TempDir(), "shops.yaml"), filepath.Join(t.TempDir(), "store")
	write(t, file, shopsFile(nil, "stored: true\n"))
	fillStore(t, s, dir, all, len(all))
	environ := []string{
		"EVERGATE_SHOPS_FILE=" + file, "EVERGATE_STORE=file:" + dir, "EVERGATE_PACE_MAX_WAIT=30s",
		"EVERGATE_SHUTDOWN_DELAY=" + shutdownDelay.String(), "EVERGATE_SHUTDOWN_TIMEOUT=20s",
	}
	balancer := newService(t)
	var old []*sidecar
	for range 3 {
		c := startProgram(t, binary, s, environ...)
		balancer.follow(t, c)
		old = append(old, c)
	}

	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var served atomic.Int64
	for i, shop := range all {
		kept := &http.Transport{MaxIdleConnsPerHost: 2}
		t.Cleanup(kept.CloseIdleConnections)
		for _, c := range []caller{
			{"kept GET", http.MethodGet, &http.Client{Transport: kept, Timeout: process.Patience}},
			{"kept POST", http.MethodPost, &http.Client{Transport: kept, Timeout: process.Patience}},
			{"new GET", http.MethodGet, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: process.Patience}},
			{"new POST", http.MethodPost, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: process.Patience}},
		} {
			load.Go(func() {
				pause := time.NewTicker(time.Duration(15+5*i) * time.Millisecond)
				defer pause.Stop()
				for ctx.Err() == nil {
					if err := c.call(context.WithoutCancel(ctx), balancer.address, shop); err != nil {
						t.Errorf("%s of %s, after %d calls: %v", c.name, shop, served.Load(), err)
						return
					}
					served.Add(1)
					<-pause.C
				}
			})
		}
	}
	defer load.Wait()
	defer stop()

	for _, before := range old {
		after := startProgram(t, next, s, environ...)
		balancer.follow(t, after)
		process.Eventually(t, func() error { // it has work
			a, err := after.get(t.Context(), after.admin+"/metrics", "")
			if err == nil && requests(a.body) == 0 {
				err = errors.New("no request has reached the new replica")
			}
			return err
		})
		before.Signal(t, syscall.SIGTERM)
		if code := before.ExitWithin(t, process.Patience); code != 0 {
			t.Errorf("an old replica ended with %d", code)
		}
	}
	stop()
	load.Wait()
	if n := served.Load(); n < 500 {
		t.Errorf("%d calls were served: that is no load", n)
	}
	for _, shop := range all {
		if !s.ChainAlive(shop, shopsim.DefaultClientID) {
			t.Errorf("the grant of %s is lost", shop)
		}
	}
	t.Logf("%d calls", served.Load())
}

func requests(scrape string) float64 {
	n, _ := process.Metric(scrape, "evergate_requests_total")
	return n
}

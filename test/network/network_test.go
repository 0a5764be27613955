//go:build linux

package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

const (
	pooled = 5
	path   = "http://evergate/admin/api/2026-10/shop.json"
	// soon is how long a safe request may take to find a live way, and later where the peer acknowledges it.
	soon, later = 3 * time.Second, 7 * time.Second
)

// shopify is the simulator, which counts what it carries out and can hold requests until there are some.
type shopify struct {
	*shopsim.Sim
	server *httptest.Server
	posts  atomic.Int32
	meet   atomic.Pointer[meeting]
}

// meeting lets a number of requests go on once all of them are there, so that each has a connection.
type meeting struct{ sync.WaitGroup }

func newShopify(t *testing.T, address string) *shopify {
	t.Helper()
	s := &shopify{Sim: shopsim.New(shopsim.Options{
		Shops:    []shopsim.Shop{{Domain: shopsim.DefaultShop}},
		Settings: shopsim.Settings{TokenLife: time.Hour, RESTSize: 1e6, RESTLeak: 1e6, GraphQLSize: 1e8, GraphQLRestore: 1e8},
	})}
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	next := s.Handler()
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !strings.HasSuffix(r.URL.Path, "/oauth/access_token") {
			s.posts.Add(1)
		}
		if m := s.meet.Load(); m != nil && r.Method == http.MethodGet {
			m.Done()
			m.Wait()
		}
		next.ServeHTTP(w, r)
	}))
	_ = s.server.Listener.Close()
	s.server.Listener = l
	s.server.Start()
	t.Cleanup(func() { s.server.CloseClientConnections(); s.server.Close() })
	return s
}

// sidecar is `serve`, which is called through sockets, since it may be in another network.
type sidecar struct {
	*process.Process
	tools, admin *http.Client
}

// start runs the binary by a command that may come before it.
func start(t *testing.T, upstream string, before ...string) *sidecar {
	t.Helper()
	dir := t.TempDir()
	tools, admin := filepath.Join(dir, "tools"), filepath.Join(dir, "admin")
	command := append(before, binary, "serve")
	s := &sidecar{process.Start(t, process.Command(t, command[0], []string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + upstream, "EVERGATE_LISTEN=unix:" + tools, "EVERGATE_ADMIN_LISTEN=unix:" + admin, "EVERGATE_PACE=off",
	}, command[1:]...)), overSocket(t, tools), overSocket(t, admin)}
	process.Eventually(t, func() error {
		status, text, err := call(t, s.tools, http.MethodGet, path)
		if err == nil && status != http.StatusOK { // a network that was just made may lose the first packets
			return fmt.Errorf("%d %s", status, text)
		}
		return err
	})
	return s
}

func overSocket(t *testing.T, path string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 2 * process.Patience}
}

func call(t *testing.T, client *http.Client, method, url string) (int, string, error) {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(`{"query":"{shop{name}}"}`)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// mustAnswer fails unless n calls at once are answered within the time.
func (s *sidecar) mustAnswer(t *testing.T, n int, within time.Duration) {
	t.Helper()
	began := time.Now()
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() {
			if status, text, err := call(t, s.tools, http.MethodGet, path); err != nil || status != http.StatusOK {
				t.Errorf("%d %s %v", status, text, err)
			}
		})
	}
	wait.Wait()
	took := time.Since(began)
	if took > within {
		t.Errorf("%d calls took %s", n, took)
	}
}

// warm fills the pool.
func (s *sidecar) warm(t *testing.T, shop *shopify) {
	t.Helper()
	m := &meeting{}
	m.Add(pooled)
	shop.meet.Store(m)
	s.mustAnswer(t, pooled, process.Patience)
	shop.meet.Store(nil)
}

func (s *sidecar) resent(t *testing.T) float64 {
	t.Helper()
	_, text, err := call(t, s.admin, http.MethodGet, "http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	n, _ := process.Metric(text, "evergate_replays_total", `reason="stalled"`)
	return n
}

func TestPoolThatGoesBlackCostsOneSafeRequestAMoment(t *testing.T) {
	for name, goBlack := range map[string]func(*namespace, *testing.T){
		"the address changes": (*namespace).changeAddress, "answers are lost": (*namespace).loseAnswers, "requests are lost": (*namespace).loseRequests,
	} {
		t.Run(name, func(t *testing.T) {
			n := newNamespace(t)
			shop := newShopify(t, n.here)
			s := start(t, shop.server.URL, "ip", "netns", "exec", n.name)
			s.warm(t, shop)
			goBlack(n, t)
			s.mustAnswer(t, 1, soon)
			if got := s.resent(t); got != 1 {
				t.Errorf("%g requests were sent again", got)
			}
			for range 5 {
				s.mustAnswer(t, 4, time.Second)
			}
			if status, text, err := call(t, s.tools, http.MethodPost, strings.Replace(path, "shop.json", "graphql.json", 1)); err != nil || status != http.StatusOK {
				t.Errorf("%d %s %v", status, text, err)
			}
			if got := s.resent(t); got != 1 || shop.posts.Load() != 1 {
				t.Errorf("%g requests were sent again, and %d POSTs arrived", got, shop.posts.Load())
			}
		})
	}
}

func TestPostWhoseAnswerIsLostIsCarriedOutOnce(t *testing.T) {
	n := newNamespace(t)
	shop := newShopify(t, n.here)
	s := start(t, shop.server.URL, "ip", "netns", "exec", n.name)
	s.warm(t, shop)
	n.loseAnswers(t)
	status, text, err := call(t, s.tools, http.MethodPost, strings.Replace(path, "shop.json", "graphql.json", 1))
	if err != nil || status != http.StatusGatewayTimeout || shop.posts.Load() != 1 {
		t.Errorf("%d %s %v, carried out %d times", status, text, err, shop.posts.Load())
	}
	s.mustAnswer(t, 20, soon) // the pool is gone with it
}

// relay passes connections on until it is told to swallow what comes over those there are.
type relay struct {
	net.Listener
	to    string
	black atomic.Int32 // how many connections, from the first, are swallowed

	mu    sync.Mutex
	conns []net.Conn
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, to: to}
	go r.run()
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range r.conns {
			_ = c.Close()
		}
	})
	return r
}

func (r *relay) run() {
	for {
		here, err := r.Accept()
		if err != nil {
			return
		}
		there, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = here.Close()
			return
		}
		r.mu.Lock()
		r.conns = append(r.conns, here, there)
		number := int32(len(r.conns) / 2)
		r.mu.Unlock()
		go r.pass(there, here, number)
		go r.pass(here, there, number)
	}
}

func (r *relay) pass(to, from net.Conn, number int32) {
	defer to.Close()
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		if number > r.black.Load() {
			_, _ = to.Write(b[:n])
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) goBlack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.black.Store(int32(len(r.conns) / 2))
}

func TestPeerThatAcknowledgesAndNeverAnswersIsLeft(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, "127.0.0.1")
	r := newRelay(t, shop.server.Listener.Addr().String())
	s := start(t, "http://"+r.Addr().String())
	s.warm(t, shop)
	r.goBlack()
	s.mustAnswer(t, 1, later)
	s.mustAnswer(t, 20, time.Second)
	if got := s.resent(t); got != 1 {
		t.Errorf("%g requests were sent again", got)
	}
}

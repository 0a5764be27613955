//go:build linux

package attack

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/test/process"
)

const (
	api  = "/admin/api/2026-07/"
	long = api + "long.json"
	slow = api + "slow.json"
	// answered is how long anybody who behaves well may wait, on a machine that does other things, too.
	answered = 10 * time.Second
	key      = "evg_AttackAttackAttackAttackAttackAttackAttack1"
)

// newShopify answers everything, one path at length and one a byte at a time.
func newShopify(t *testing.T) *httptest.Server {
	t.Helper()
	piece := make([]byte, 64<<10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, long) {
			for range 1 << 10 {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
			return
		}
		if r.URL.Path == slow {
			trickle(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"data":{}}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// trickle answers a byte a second until the client has gone.
func trickle(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(w, " "); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// sidecar is `serve` in a cgroup.
type sidecar struct {
	*process.Process
	tools, admin string
	roots        *x509.CertPool // nil: tools speak plain HTTP
}

func start(t *testing.T, descriptors int, settings ...string) *sidecar {
	t.Helper()
	g := newCgroup(t)
	up := newShopify(t)
	environ := append([]string{
		"SHOPIFY_SHOP=acme", "SHOPIFY_ACCESS_TOKEN=shpat_0123456789abcdef0123456789abcdef", "EVERGATE_UPSTREAM_URL=" + up.URL,
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_PACE=off", "GOMEMLIMIT=104857KiB",
	}, settings...)
	script := fmt.Sprintf(`echo $$ > %s && ulimit -n %d && exec %s serve`, g.procs(), descriptors, binary)
	p := process.Start(t, process.Command(t, "/bin/sh", environ, "-c", script))
	return &sidecar{Process: p, tools: p.AwaitLog(t, "listening for tools").Address, admin: p.AwaitLog(t, "listening for operators").Address}
}

// keysFile has one key, for a listener that demands them.
func keysFile(t *testing.T) string {
	t.Helper()
	sum := sha256.Sum256([]byte(key))
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("agent sha256:"+hex.EncodeToString(sum[:])+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// attack opens n connections and sends on each; they stay open until the test ends. Those that the
// sidecar closes are not its business.
func (s *sidecar) attack(t *testing.T, n int, send func(net.Conn, int)) {
	t.Helper()
	s.attackAt(t, s.tools, n, send)
}

func (s *sidecar) attackAt(t *testing.T, address string, n int, send func(net.Conn, int)) {
	t.Helper()
	var all, under sync.WaitGroup
	slots := make(chan struct{}, 64)
	ctx, stop := context.WithCancel(t.Context())
	for i := range n {
		under.Add(1)
		slots <- struct{}{}
		all.Go(func() {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", address)
			if err == nil {
				_ = conn.SetWriteDeadline(time.Now().Add(answered))
				send(conn, i)
			}
			<-slots
			under.Done()
			if err == nil {
				<-ctx.Done()
				_ = conn.Close()
			}
		})
	}
	t.Cleanup(func() { stop(); all.Wait() })
	under.Wait()
}

// mustAnswer asks as probes, Prometheus and a tool do, each on a new connection.
func (s *sidecar) mustAnswer(t *testing.T, method, path, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: answered}
	tools := "http://" + s.tools
	if s.roots != nil {
		tools = "https://" + s.tools
		client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: s.roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	}
	for _, c := range []struct{ method, url, body string }{
		{http.MethodGet, "http://" + s.admin + "/livez", ""},
		{http.MethodGet, "http://" + s.admin + "/metrics", ""},
		{method, tools + path, body},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Shopify-Access-Token", key)
		if c.body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s %s: %v; running: %v", c.method, c.url, err, s.Running())
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d %.200s %v", c.method, c.url, resp.StatusCode, b, err)
		}
	}
}

// request sends a request and reads its answer.
func request(conn net.Conn, text string) error {
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

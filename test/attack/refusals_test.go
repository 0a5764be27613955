//go:build linux

package attack

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evergate/test/process"
)

const (
	wrongKey = "evg_WrongWrongWrongWrongWrongWrongWrongWrong1234"
	// perConnection is how often a stranger is refused before it connects anew.
	perConnection = 50
)

// refusals are what strangers send where keys are demanded; n makes each of them another one.
var refusals = []struct {
	name string
	text func(n int64) string
}{
	{"without a key", func(n int64) string {
		return fmt.Sprintf("GET %sshop.json?n=%d HTTP/1.1\r\nHost: localhost\r\nUser-Agent: %d\r\n\r\n", api, n, n)
	}},
	{"with keys that are none", func(n int64) string {
		return fmt.Sprintf("GET %sproducts/%d.json HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %.40s%08d\r\n\r\n", api, n, wrongKey, n)
	}},
	{"bodies without a key", func(int64) string { return post(len(query)) + query }},
	{"tunnels without a key", func(n int64) string {
		return fmt.Sprintf("CONNECT %d.example.com:443 HTTP/1.1\r\nHost: %d.example.com:443\r\n\r\n", n, n)
	}},
}

func TestRefusalsWithoutEnd(t *testing.T) {
	for _, c := range refusals {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			s := start(t, plenty, "EVERGATE_CLIENT_KEYS_FILE="+keysFile(t), "EVERGATE_LISTEN=0.0.0.0:0")
			s.tools = "127.0.0.1" + s.tools[strings.LastIndex(s.tools, ":"):]
			var refused atomic.Int64
			s.keepOn(t, 32, func(ctx context.Context) {
				s.stranger(ctx, nil, func(conn net.Conn) {
					read := bufio.NewReader(conn)
					for range perConnection {
						if _, err := io.WriteString(conn, c.text(refused.Load())); err != nil {
							return
						}
						resp, err := http.ReadResponse(read, nil)
						if err != nil {
							return
						}
						if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusProxyAuthRequired {
							t.Errorf("a stranger got %s", resp.Status)
						}
						refused.Add(1)
						if _, err = io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
							return
						}
					}
				})
			})
			s.mustServeBeside(t, &refused, &http.Transport{}, "http://")
		})
	}
}

func TestRefusalsWithoutEndOverHTTP2(t *testing.T) {
	s, config := startTunnels(t, plenty, "EVERGATE_CLIENT_KEYS_FILE="+keysFile(t), "EVERGATE_LISTEN=tls:127.0.0.1:0")
	config.ServerName = "localhost"
	own := &http.Transport{TLSClientConfig: config.Clone()}
	config.NextProtos = []string{"h2"}
	var refused atomic.Int64
	s.keepOn(t, 8, func(ctx context.Context) {
		s.stranger(ctx, config, func(conn net.Conn) {
			h := newStranger(conn)
			for range perConnection {
				key := fmt.Sprintf("%.40s%08d", wrongKey, refused.Load())
				if h.ask(true, ":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", api+"shop.json", "authorization", "Bearer "+key) != nil {
					return
				}
				refused.Add(1)
			}
		})
	})
	s.mustServeBeside(t, &refused, own, "https://")
}

// stranger acts on a connection of its own, over TLS where there is a configuration for it.
func (s *sidecar) stranger(ctx context.Context, config *tls.Config, act func(net.Conn)) {
	d := net.Dialer{Timeout: answered}
	conn, err := d.DialContext(ctx, "tcp", s.tools)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(answered))
	if config != nil {
		act(tls.Client(conn, config)) // conn stays what it was: it is closed from elsewhere
		return
	}
	act(conn)
}

// mustServeBeside has a caller with the key make calls until strangers have been refused many times meanwhile.
func (s *sidecar) mustServeBeside(t *testing.T, refused *atomic.Int64, transport *http.Transport, scheme string) {
	t.Helper()
	const calls, enough = 200, 2000
	client := &http.Client{Transport: transport, Timeout: answered}
	defer transport.CloseIdleConnections()
	made, began, slowest := 0, time.Now(), time.Duration(0)
	for made < calls || refused.Load() < enough {
		if time.Since(began) > 6*answered {
			t.Fatalf("%d calls and %d refusals in %s", made, refused.Load(), time.Since(began))
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+s.tools+api+"shop.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		sent := time.Now()
		resp, err := client.Do(r)
		if err != nil {
			t.Fatalf("the caller with a key: %v", err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the caller with a key: %s", resp.Status)
		}
		slowest = max(slowest, time.Since(sent))
		made++
	}
	t.Logf("%d calls beside %d refusals in %s; the slowest took %s", made, refused.Load(), time.Since(began).Round(time.Millisecond), slowest.Round(time.Millisecond))
	s.mustHoldLittle(t, plenty)
	if n := len(s.Err.String()); n > mostLog {
		t.Errorf("the log has %d bytes: %.2000s", n, s.Err.String())
	}
	scrape := process.Fetch(t, "http://"+s.admin+"/metrics")
	if n, _ := process.Metric(scrape, "evergate_denied_total"); int(n) < enough {
		t.Errorf("evergate_denied_total is %v", n)
	}
	if n := strings.Count(scrape, "\n"); n > 2000 {
		t.Errorf("the metrics have %d lines", n)
	}
}

package wire

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"evergate/test/corpus"
	"evergate/test/process"
)

// held are requests that Shopify answers when it is let.
type held struct {
	arrived chan struct{} // a value for each
	release chan struct{} // closed: they are answered
}

func newHeld() held { return held{arrived: make(chan struct{}, 100), release: make(chan struct{})} }

func (h held) answer(m message) string {
	if strings.Contains(m.target, "/held") {
		h.arrived <- struct{}{}
		<-h.release
	}
	return plainAnswer(m)
}

// mustEnd reads what is left of a connection, which has to be nothing but its end.
func mustEnd(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil && !isReset(err) {
		t.Errorf("%s: %q and %v, want the end", what, rest, err)
	}
}

func TestAShutdownDrainsTunnels(t *testing.T) {
	t.Parallel()
	h := newHeld()
	up := newRecorder(t, h.answer)
	s := up.sidecar(t, withCA)
	roots := s.authority(t)
	const get, post = "GET " + api + "/held1.json HTTP/1.1\r\nHost: " + shopDomain + "\r\n\r\n", "POST " + api + "/held2.json HTTP/1.1\r\nHost: " + shopDomain + "\r\n"

	busy, uploads, asked := s.inside(t, roots, "http/1.1", ""), s.inside(t, roots, "http/1.1", ""), s.inside(t, roots, "http/1.1", "")
	fresh, bare := s.inside(t, roots, "http/1.1", ""), s.open(t, "")
	busy2, idle2 := s.stranger(t, roots, ""), s.stranger(t, roots, "")
	for conn, text := range map[net.Conn]string{asked: corpus.Probe, busy: get, uploads: post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := statuses(t, asked, "GET", 1, false); len(got) != 1 || got[0] != 200 {
		t.Fatalf("%v", got)
	}
	once, err := idle2.begin(true, get2...)
	if err != nil {
		t.Fatal(err)
	}
	if got := idle2.outcome(once); got != "200" {
		t.Fatal(got)
	}
	whole, err := busy2.begin(true, pseudo("GET", api+"/held3.json")...)
	if err != nil {
		t.Fatal(err)
	}
	part, err := busy2.begin(false, pseudo("POST", api+"/held4.json")...)
	if err = errors.Join(err, busy2.data(part, false, "abc")); err != nil {
		t.Fatal(err)
	}
	process.Await(t, "a request in HTTP/1.1", h.arrived)
	process.Await(t, "a request in HTTP/2", h.arrived)
	process.Eventually(t, func() error { return s.counted(t, "evergate_requests_in_flight", 4) })

	s.Signal(t, syscall.SIGTERM)
	for !idle2.away || !busy2.away {
		for _, c := range []*stranger{idle2, busy2} {
			if !c.away && c.step() != nil {
				t.Fatal("a connection of HTTP/2 ended without GOAWAY")
			}
		}
	}
	mustEnd(t, "a tunnel that had asked", asked)
	mustEnd(t, "a tunnel that had not asked", fresh)
	mustEnd(t, "a tunnel without TLS", bare)
	for idle2.step() == nil {
	}
	if conn, err := net.Dial("tcp", s.host); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a newcomer: %v %v", conn, err)
	}
	late, err := busy2.begin(true, pseudo("GET", api+"/late.json")...)
	if err != nil {
		t.Fatal(err)
	}

	// What is under way goes on, both ways.
	if _, err := io.WriteString(uploads, "3\r\ndef\r\n0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := busy2.data(part, true, "def"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		process.Await(t, "the rest of an upload", h.arrived)
	}
	close(h.release)
	for name, conn := range map[string]net.Conn{"GET": busy, "POST": uploads} {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(body) != "ok" || !resp.Close {
			t.Errorf("%s: %s %q, close %v, %v", name, resp.Status, body, resp.Close, err)
		}
	}
	for _, id := range []uint32{whole, part} {
		if got := busy2.outcome(id); got != "200" {
			t.Errorf("stream %d: %s", id, got)
		}
	}
	if got := busy2.outcome(late); got != io.EOF.Error() {
		t.Errorf("a stream that began behind GOAWAY: %s", got)
	}
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, m := range up.take(t) {
		if strings.Contains(m.target, "late") || m.method == "POST" && m.body != "abcdef" {
			t.Errorf("arrived %s", m)
		}
	}
}

// Whatever reached Shopify is answered, and nothing reaches it twice: any other request its client can send again.
func TestAShutdownUnderLoadLosesNoRequestInATunnel(t *testing.T) {
	t.Parallel()
	const callers, before = 8, 200
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol[:6], func(t *testing.T) {
			t.Parallel()
			var seen atomic.Int64
			enough := make(chan struct{})
			up := newRecorder(t, func(m message) string {
				if seen.Add(1) == before {
					close(enough)
				}
				return plainAnswer(m)
			})
			s := up.sidecar(t, withCA)
			client := s.tunnelClient(t, s.authority(t), protocol == "HTTP/2.0")
			var mu sync.Mutex
			answered := map[string]bool{}
			var calling sync.WaitGroup
			for caller := range callers {
				calling.Go(func() {
					for i := 0; ; i++ {
						path := fmt.Sprintf("%s/call%d-%d.json", api, caller, i)
						resp, err := client.Post("https://"+shopDomain+path, "application/json", strings.NewReader(`{"a":1}`))
						if err != nil {
							return
						}
						body, err := io.ReadAll(resp.Body)
						_ = resp.Body.Close()
						if err != nil || resp.StatusCode != 200 || string(body) != "ok" || resp.Proto != protocol {
							t.Errorf("%s: %s %s %q %v", path, resp.Proto, resp.Status, body, err)
						}
						mu.Lock()
						answered[path] = true
						mu.Unlock()
					}
				})
			}
			process.Await(t, "enough requests", enough)
			s.Signal(t, syscall.SIGTERM)
			calling.Wait()
			if code := s.Exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
			times := map[string]int{}
			for _, m := range up.take(t) {
				if times[m.target]++; times[m.target] > 1 || !answered[m.target] {
					t.Errorf("%s arrived %d times, answered: %v", m.target, times[m.target], answered[m.target])
				}
			}
			if broken := up.brokenOff(); len(broken) > 0 {
				t.Errorf("broken off: %q", broken)
			}
			t.Logf("%d requests", len(times))
		})
	}
}

// tunnelClient is Go's client, behind our proxy.
func (s *sidecar) tunnelClient(t *testing.T, roots *x509.CertPool, multiplex bool) *http.Client {
	t.Helper()
	transport := &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: s.host}), TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: multiplex,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

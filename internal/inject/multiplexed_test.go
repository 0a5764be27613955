package inject

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/certtest"
	"evergate/internal/guard"
	"evergate/internal/limit"
	"evergate/internal/metrics"
	"evergate/internal/token"
)

// http2Rig is a handler that one client asks over one connection of HTTP/2, in a bubble whose time rules both.
type http2Rig struct {
	handler *Handler
	client  *http.Client
	budget  *limit.Budget
	set     *limit.Connections
	dial    func() *tls.Conn
}

const manyStall = 40 * time.Second

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// roundTripper answers as Shopify.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newHTTP2Rig(t *testing.T, room int64, shopify roundTripper) *http2Rig {
	t.Helper()
	shop, err := token.ParseShop(shopDomain)
	if err != nil {
		t.Fatal(err)
	}
	admission, err := guard.New(guard.Options{Shops: guard.One(shop)})
	if err != nil {
		t.Fatal(err)
	}
	m := &http2Rig{budget: limit.NewBudget(room)}
	m.handler = New(Options{Shops: &Shop{Shop: shop, Base: &url.URL{Scheme: "https", Host: shopDomain}, Tokens: &fakeTokens{current: "shpat_first"}}, Admission: admission, ReplayBuffer: 1 << 20,
		Metrics: metrics.New(prometheus.NewRegistry(), "test", "none", "go"), Log: slog.New(slog.DiscardHandler), Transport: shopify, Memory: m.budget})
	m.set = limit.NewConnections(200, m.budget, manyStall)
	listener := &pipeListener{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{
		Handler: m.handler, ConnState: limit.State, ConnContext: limit.WithConn, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Hour,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: StreamBuffer},
	}
	own := certtest.SelfSigned(t, x509.Certificate{DNSNames: []string{shopDomain}, NotAfter: time.Now().Add(1000 * time.Hour)})
	config := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, NextProtos: []string{"h2"}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(tls.NewListener(m.set.Wrap(listener), config)) }()
	m.dial = func() *tls.Conn {
		here, there := net.Pipe()
		listener.conns <- there
		return tls.Client(here, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	transport := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c := m.dial()
		return c, c.HandshakeContext(ctx)
	}}
	m.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
		synctest.Wait()
		if held := m.budget.Held(); held != 0 {
			t.Errorf("%d bytes are held when all is over", held)
		}
	})
	return m
}

const manyPath = "https://" + shopDomain + "/admin/api/2026-10/"

func (m *http2Rig) do(method, path string, body io.Reader) (status int, text string, _ error) {
	r, err := http.NewRequest(method, manyPath+path, body)
	if err != nil {
		return 0, "", err
	}
	resp, err := m.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		return 0, "", errors.New(resp.Proto)
	}
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func ok(body io.Reader) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(body)}
}

// late is a body of which each part comes after a while.
type late struct {
	parts []string
	after time.Duration
}

func (l *late) Read(p []byte) (int, error) {
	if len(l.parts) == 0 {
		return 0, io.EOF
	}
	<-time.After(l.after)
	n := copy(p, l.parts[0])
	l.parts = l.parts[1:]
	return n, nil
}

func TestAnAnswerThatShopifyTakesItsTimeForIsNotCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newHTTP2Rig(t, 1<<20, func(*http.Request) (*http.Response, error) {
			return ok(&late{parts: []string{"a", "b", "c"}, after: 3 * manyStall}), nil
		})
		if status, body, err := m.do(http.MethodGet, "p.json", nil); status != 200 || body != "abc" || err != nil {
			t.Errorf("%d %q %v", status, body, err)
		}
	})
}

func TestABodyThatShopifyTakesItsTimeForIsNotCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newHTTP2Rig(t, 1<<20, func(r *http.Request) (*http.Response, error) {
			var all int
			buf := make([]byte, 1<<20)
			for {
				time.Sleep(3 * manyStall)
				n, err := r.Body.Read(buf)
				if all += n; errors.Is(err, io.EOF) {
					return ok(strings.NewReader(fmt.Sprint(all))), nil
				}
				if err != nil {
					return nil, err
				}
			}
		})
		if status, body, err := m.do(http.MethodPost, "p.json", io.MultiReader(strings.NewReader(strings.Repeat("a", 2<<20)))); status != 200 || body != fmt.Sprint(2<<20) || err != nil {
			t.Errorf("%d %q %v", status, body, err)
		}
	})
}

func TestABodyThatDoesNotGoOnIsGivenUpAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newHTTP2Rig(t, 1<<20, func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return ok(&late{parts: []string{"whole"}, after: 2 * manyStall}), nil
			}
			_, err := io.Copy(io.Discard, r.Body)
			return ok(http.NoBody), err
		})
		type result struct {
			status int
			body   string
			err    error
			took   time.Duration
		}
		other := make(chan result, 1)
		go func() {
			status, body, err := m.do(http.MethodGet, "p.json", nil)
			other <- result{status, body, err, 0}
		}()
		synctest.Wait()
		body, sends := io.Pipe()
		defer sends.Close()
		go func() { _, _ = io.WriteString(sends, "a") }()
		began := time.Now()
		status, _, err := m.do(http.MethodPost, "p.json", body)
		if took := time.Since(began); err == nil && status != http.StatusBadRequest || took < manyStall || took > manyStall+time.Second {
			t.Errorf("%d %v after %s", status, err, took)
		}
		if got := <-other; got.status != 200 || got.body != "whole" || got.err != nil {
			t.Errorf("the other request of the connection: %+v", got)
		}
	})
}

func TestARequestThatIsAnsweredEarlyEndsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newHTTP2Rig(t, 1<<20, func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return ok(&late{parts: []string{"whole"}, after: manyStall}), nil
			}
			resp := ok(strings.NewReader("no"))
			resp.StatusCode = http.StatusRequestEntityTooLarge
			return resp, nil
		})
		other := make(chan string, 1)
		go func() {
			status, body, err := m.do(http.MethodGet, "p.json", nil)
			other <- fmt.Sprint(status, body, err)
		}()
		synctest.Wait()
		for _, path := range []string{"p.json", "../../oauth/access_token"} {
			body, sends := io.Pipe()
			go func() { _, _ = io.WriteString(sends, "a") }()
			status, _, err := m.do(http.MethodPost, path, body)
			if err != nil || status != http.StatusRequestEntityTooLarge && status != http.StatusBadRequest && status != http.StatusForbidden {
				t.Errorf("%s: %d %v", path, status, err)
			}
			_ = sends.Close()
		}
		if got := <-other; got != "200whole<nil>" {
			t.Errorf("the other request of the connection: %s", got)
		}
	})
}

func TestEachStreamIsCountedWithItsHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		m := newHTTP2Rig(t, 1<<20, func(*http.Request) (*http.Response, error) { <-answer; return ok(http.NoBody), nil })
		results := make(chan string)
		for i := range 40 {
			go func() {
				r, _ := http.NewRequest(http.MethodGet, manyPath+"p.json", nil)
				for j := range 100 {
					r.Header.Add("X-"+fmt.Sprint(j), "")
				}
				resp, err := m.client.Do(r)
				if err != nil {
					results <- err.Error()
					return
				}
				_ = resp.Body.Close()
				results <- resp.Header.Get("X-Evergate-Error")
			}()
			if i == 0 {
				synctest.Wait()
				if held := m.budget.Held(); held < streamCost+100*fieldCost {
					t.Errorf("a request of 100 fields counts %d", held)
				}
			}
		}
		refused := 0
		synctest.Wait()
		go func() { time.Sleep(time.Second); close(answer) }()
		for range 40 {
			switch got := <-results; got {
			case "memory_budget":
				refused++
			case "":
			default:
				t.Error(got)
			}
		}
		if refused < 10 || refused > 30 {
			t.Errorf("%d of 40 are refused", refused)
		}
	})
}

func TestWhatCannotBeSaidInHTTP1IsRefused(t *testing.T) {
	t.Parallel()
	request := func(change func(*http.Request)) *http.Request {
		r := &http.Request{Method: "POST", RequestURI: "/admin/api/2026-10/p.json?a=%20", Host: shopDomain, ContentLength: 5,
			Header: http.Header{"Content-Length": {"5"}, "Host": {strings.ToUpper(shopDomain)}}}
		change(r)
		return r
	}
	if err := checkDowngrade(request(func(*http.Request) {})); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*http.Request){
		"a space in the path":    func(r *http.Request) { r.RequestURI = "/admin/api/2026-10/p.json HTTP/1.1" },
		"a space in the query":   func(r *http.Request) { r.RequestURI = "/admin/api/2026-10/p.json?a b" },
		"a line in the path":     func(r *http.Request) { r.RequestURI = "/admin\r\nX: y" },
		"an absolute path":       func(r *http.Request) { r.RequestURI = "https://" + shopDomain + "/admin/api/2026-10/p.json" },
		"no path":                func(r *http.Request) { r.RequestURI = "" },
		"a method with a space":  func(r *http.Request) { r.Method = "GET /x" },
		"a method with a colon":  func(r *http.Request) { r.Method = "GET:" },
		"no method":              func(r *http.Request) { r.Method = "" },
		"another host":           func(r *http.Request) { r.Header["Host"] = []string{"evil.example"} },
		"one of two hosts":       func(r *http.Request) { r.Header["Host"] = []string{shopDomain, "evil.example"} },
		"another length":         func(r *http.Request) { r.Header["Content-Length"] = []string{"6"} },
		"one of two lengths":     func(r *http.Request) { r.Header["Content-Length"] = []string{"5", "6"} },
		"a list of lengths":      func(r *http.Request) { r.Header["Content-Length"] = []string{"5, 5"} },
		"a length with a sign":   func(r *http.Request) { r.Header["Content-Length"] = []string{"+5"} },
		"a length and no body":   func(r *http.Request) { r.ContentLength = 0 },
		"a length of nothing":    func(r *http.Request) { r.Header["Content-Length"] = []string{""} },
		"a length of everything": func(r *http.Request) { r.Header["Content-Length"] = []string{"18446744073709551621"} },
	} {
		if checkDowngrade(request(change)) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/certtest"
	"evergate/internal/trust"
	"evergate/internal/wire"
)

// edge is a server in front of many shops. Its answer to each request is what it was and how it came.
type edge struct {
	port  string
	roots *x509.CertPool

	pragma      atomic.Bool  // its answers are for net/http to read
	misdirected atomic.Int32 // how often it said so
	exact       atomic.Bool  // 421 where a connection was made for another name
	handshakes  atomic.Int32
	lookups     sync.Map // of what has no address

	mu         sync.Mutex
	busy, most int      // requests that are being served
	got        []string // host, name of the connection, token
}

func newEdge(t *testing.T, names ...string) *edge {
	t.Helper()
	if names == nil {
		names = []string{"*.myshopify.com"}
	}
	certificate := certtest.SelfSigned(t, x509.Certificate{DNSNames: names, IsCA: true, BasicConstraintsValid: true})
	e := &edge{roots: certtest.Pool(certificate)}
	server := httptest.NewUnstartedServer(http.HandlerFunc(e.serve))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ConnState = e.count
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	_, e.port, _ = net.SplitHostPort(server.Listener.Addr().String())
	return e
}

func (e *edge) count(_ net.Conn, s http.ConnState) {
	if s == http.StateNew {
		e.handshakes.Add(1)
	}
}

func (e *edge) serve(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if e.exact.Load() && r.TLS.ServerName != host {
		e.misdirected.Add(1)
		w.Header().Set("X-Misdirected", host)
		w.WriteHeader(http.StatusMisdirectedRequest)
		return
	}
	if e.pragma.Load() {
		w.Header().Set("Pragma", "no-cache")
	}
	e.mu.Lock()
	e.got = append(e.got, host+" "+r.TLS.ServerName+" "+r.Header.Get("Token"))
	e.busy++
	e.most = max(e.most, e.busy)
	e.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	e.busy--
	e.mu.Unlock()
	fmt.Fprintf(w, "%s for %s: %s", host, r.Header.Get("Token"), body)
}

func (e *edge) seen() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.got, "\n")
}

func (e *edge) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = nil
}

func (e *edge) base(shop string) *url.URL {
	return &url.URL{Scheme: "https", Host: shop + ".myshopify.com:" + e.port}
}

func (e *edge) transport(t *testing.T, set ...func(*Options)) *Transport {
	o := Options{Family: true, Roots: trust.Only(e.roots), Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		if _, none := e.lookups.Load(host); none {
			return nil, &net.DNSError{Name: host, IsNotFound: true}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}}
	for _, f := range set {
		f(&o)
	}
	tr := New(o)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// call sends one request for a shop and returns its status and what its answer says.
func (e *edge) call(t *testing.T, tr *Transport, shop, method string, body io.Reader) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, e.base(shop).String()+"/admin", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = shop + ".myshopify.com"
	r.Header.Set("Token", "of-"+shop)
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func (e *edge) want(t *testing.T, tr *Transport, shop, method string, body io.Reader, sent string) {
	t.Helper()
	status, got, err := e.call(t, tr, shop, method, body)
	if want := fmt.Sprintf("%s.myshopify.com for of-%s: %s", shop, shop, sent); err != nil || status != 200 || got != want {
		t.Errorf("%s: %d %q %v, want %q", shop, status, got, err, want)
	}
}

// until waits for what happens in another goroutine.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for began := time.Now(); !happened(); runtime.Gosched() {
		if time.Since(began) > 20*time.Second {
			t.Fatal("it does not come true that " + what)
		}
	}
}

func TestShopsShareConnections(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tr := e.transport(t)
	for i := range 30 {
		e.want(t, tr, fmt.Sprintf("shop-%d", i), http.MethodGet, nil, "")
	}
	e.want(t, tr, "other", http.MethodPost, strings.NewReader("text"), "text")
	if n := e.handshakes.Load(); n != 1 {
		t.Errorf("%d connections for 31 shops", n)
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for range 5 {
				e.want(t, tr, fmt.Sprintf("shop-%d", i), http.MethodPost, strings.NewReader("text"), "text")
			}
		})
	}
	all.Wait()
}

func TestTheFirstCallOfAFamilyFindsTheHandshakeDone(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tr := e.transport(t, func(o *Options) { o.Warm = 2 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tr.KeepWarm(ctx) }()
	defer func() { cancel(); <-done }()
	tr.Expect(e.base("first"))
	until(t, "two connections are dialled ahead", func() bool { return tr.warm.count() == 2 })
	e.want(t, tr, "second", http.MethodGet, nil, "")
	if got := e.seen(); got != "second.myshopify.com first.myshopify.com of-second" {
		t.Error(got)
	}
}

func TestAMisdirectedRequestIsSentToItsOwnShop(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.exact.Store(true)
	tr := e.transport(t)
	e.want(t, tr, "lead", http.MethodGet, nil, "")
	e.want(t, tr, "get", http.MethodGet, nil, "")
	e.want(t, tr, "post", http.MethodPost, strings.NewReader("text"), "text")
	stream := func() io.Reader { return io.MultiReader(strings.NewReader("a "), strings.NewReader("stream")) } // cannot be sent twice
	e.want(t, tr, "stream", http.MethodPost, stream(), "a stream")
	if tr.family.isApart() {
		t.Error("nothing is shared after two refusals")
	}
	e.want(t, tr, "third", http.MethodGet, nil, "")
	if !tr.family.isApart() {
		t.Error("connections are still shared after three refusals")
	}
	for i := range 5 {
		e.want(t, tr, fmt.Sprintf("shop-%d", i), http.MethodPost, stream(), "a stream")
	}
	for line := range strings.Lines(e.seen()) {
		if f := strings.Fields(line); f[0] != f[1] {
			t.Errorf("carried out on a connection for another: %s", line)
		}
	}
}

// An answer that was not the request's has left nothing.
func TestNothingOfAMisdirectedAnswerIsPassed(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tr := e.transport(t)
	if status, _, err := e.call(t, tr, "lead", http.MethodGet, nil); status != http.StatusOK || err != nil {
		t.Fatal(status, err)
	}
	e.exact.Store(true)
	for i, shop := range []string{"a", "b", "foreign"} {
		foreign := shop == "foreign"
		e.pragma.Store(foreign)
		ctx := &Context{Context: t.Context(), Sort: &wire.Sort{Of: func([]byte) (string, wire.Use) { return "", wire.Passed }}}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base(shop).String()+"/admin", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = shop + ".myshopify.com"
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		passed := string(ctx.Passed())
		if resp.StatusCode != http.StatusOK || strings.Contains(passed, "X-Misdirected") || (passed != "") != (canTell && !foreign) {
			t.Errorf("%s: %d with %q", shop, resp.StatusCode, passed)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		ctx.Release()
		if n := int(e.misdirected.Load()); n != i+1 {
			t.Fatalf("%s: %d answers were of another's connection, want %d", shop, n, i+1)
		}
	}
}

// Whoever sends what cannot be sent twice meets the refusal once, not for ever.
func TestAMisdirectedUploadIsServedNextTime(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tr := e.transport(t)
	e.want(t, tr, "lead", http.MethodGet, nil, "")
	e.want(t, tr, "proof", http.MethodGet, nil, "")
	e.exact.Store(true)
	if status, _, err := e.call(t, tr, "stream", http.MethodPost, io.MultiReader(strings.NewReader("x"))); status != http.StatusMisdirectedRequest || err != nil {
		t.Errorf("%d %v", status, err)
	}
	e.want(t, tr, "stream", http.MethodPost, io.MultiReader(strings.NewReader("x")), "x")
}

func TestACertificateForSomeIsNotSharedByAll(t *testing.T) {
	t.Parallel()
	for name, names := range map[string][]string{
		"a list":              {"a.myshopify.com", "b.myshopify.com"},
		"another wildcard":    {"a.myshopify.com", "b.myshopify.com", "*.example.com"},
		"two levels wildcard": {"a.myshopify.com", "b.myshopify.com", "*.x.myshopify.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, names...)
			tr := e.transport(t)
			for _, shop := range []string{"a", "b", "a", "b"} {
				e.want(t, tr, shop, http.MethodPost, strings.NewReader("x"), "x")
			}
			if _, _, err := e.call(t, tr, "secret", http.MethodGet, nil); err == nil {
				t.Error("a certificate that is for others is taken")
			}
			for line := range strings.Lines(e.seen()) {
				if f := strings.Fields(line); f[0] != f[1] || strings.Contains(line, "secret") {
					t.Errorf("on a connection for another: %s", line)
				}
			}
		})
	}
}

func TestADeadLeadIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.lookups.Store("dead.myshopify.com", true)
	tr := e.transport(t, func(o *Options) { o.Base = e.base("dead") })
	if _, _, err := e.call(t, tr, "dead", http.MethodGet, nil); err == nil {
		t.Error("a name without an address is reached")
	}
	for _, shop := range []string{"b", "c", "d"} {
		e.want(t, tr, shop, http.MethodPost, strings.NewReader("x"), "x")
	}
	if got := tr.family.lead.Load().authority; got != "b.myshopify.com:"+e.port {
		t.Errorf("%s has the lead", got)
	}
	if n := e.handshakes.Load(); n > 2 {
		t.Errorf("%d connections", n)
	}
}

func TestAFamilyHasNoMoreConnectionsThanItMay(t *testing.T) {
	t.Parallel()
	for _, exact := range []bool{false, true} {
		e := newEdge(t)
		e.exact.Store(exact)
		tr := e.transport(t, func(o *Options) { o.Most = 4 })
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				for range 3 {
					e.want(t, tr, fmt.Sprintf("shop-%d", i), http.MethodGet, nil, "")
				}
			})
		}
		all.Wait()
		e.mu.Lock()
		most := e.most
		e.mu.Unlock()
		if most > 4 {
			t.Errorf("exact %v: %d requests at once", exact, most)
		}
		until(t, "no closed connection counts", func() bool {
			tr.CloseIdleConnections()
			return len(tr.slots) == 0
		})
	}
}

func TestAFamilyGoesThroughAProxy(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	var tunnels sync.Map
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tunnels.Store(r.RequestURI, true)
		there, err := net.Dial("tcp", "127.0.0.1:"+e.port)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go splice(here, there)
	}))
	t.Cleanup(proxy.Close)
	tr := e.transport(t, func(o *Options) {
		o.Proxy = func() (Proxy, error) { return Proxy{URL: parse(t, proxy.URL), Setting: "X"}, nil }
	})
	for i := range 10 {
		e.want(t, tr, fmt.Sprintf("shop-%d", i), http.MethodGet, nil, "")
	}
	n := 0
	tunnels.Range(func(address, _ any) bool {
		n++
		if address != "shop-0.myshopify.com:"+e.port {
			t.Errorf("a tunnel to %v", address)
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d tunnels", n)
	}
}

func TestARequestOfAFamilyCostsOneAllocation(t *testing.T) {
	u, err := url.Parse("https://acme.myshopify.com/admin")
	if err != nil {
		t.Fatal(err)
	}
	f, r := newFamily(u), &http.Request{Method: http.MethodGet, URL: u, Host: u.Host}
	if n := testing.AllocsPerRun(100, func() {
		if f.shares(r) == nil || shared(r).Host != r.Host {
			t.Fatal("it is not shared")
		}
	}); n != 1 {
		t.Errorf("%v allocations", n)
	}
}

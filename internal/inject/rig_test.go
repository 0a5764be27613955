package inject

import (
	"bufio"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/guard"
	"evergate/internal/metrics"
	"evergate/internal/token"
	"evergate/internal/trust"
	"evergate/internal/upstream"
)

const shopDomain = "blue-finch.myshopify.com"

// fakeTokens hands out first until it is refused, then the tokens of next in turn.
type fakeTokens struct {
	err  error         // of Token
	none error         // of Replace, when there is no other; nil: one that says so
	life time.Duration // of each token, from when it is handed out on; zero: it has no end

	mu       sync.Mutex
	current  string
	next     []string
	replaced int
}

func (f *fakeTokens) Token(context.Context) (token.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now(), f.err
}

func (f *fakeTokens) now() token.Token {
	return token.Token{Access: token.NewSecret(f.current), Issued: time.Now(), Life: f.life}
}

func (f *fakeTokens) Replace(_ context.Context, refused token.Token) (token.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replaced++
	if refused.Access.Reveal() == f.current {
		if len(f.next) == 0 {
			return token.Token{}, cmp.Or(f.none, errors.New("no other token"))
		}
		f.current, f.next = f.next[0], f.next[1:]
	}
	return f.now(), nil
}

func (*fakeTokens) Accepted(token.Token) {}

// rig is a Handler between a real client and a real upstream on the loopback.
type rig struct {
	url      string // of the front
	host     string
	upstream *httptest.Server
	tokens   *fakeTokens
	registry *prometheus.Registry
	handler  *Handler
}

type rigOption func(*Options, *upstream.Options)

func withReplayBuffer(n int64) rigOption {
	return func(o *Options, _ *upstream.Options) { o.ReplayBuffer = n }
}

func withHeaderTimeout(d time.Duration) rigOption {
	return func(_ *Options, t *upstream.Options) { t.HeaderTimeout = d }
}

func withTokenError(err error) rigOption {
	return func(o *Options, _ *upstream.Options) { oneShop(*o).Tokens.(*fakeTokens).err = err }
}

func newRig(t testing.TB, shopify http.HandlerFunc, options ...rigOption) *rig {
	t.Helper()
	return newRigOn(t, httptest.NewServer(shopify), options...)
}

func newRigOn(t testing.TB, server *httptest.Server, options ...rigOption) *rig {
	t.Helper()
	t.Cleanup(server.Close)
	shop, err := token.ParseShop(shopDomain)
	if err != nil {
		t.Fatal(err)
	}
	admission, err := guard.New(guard.Options{Shops: guard.One(shop)})
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{upstream: server, tokens: &fakeTokens{current: "shpat_first"}, registry: prometheus.NewRegistry()}
	o := Options{Shops: &Shop{Shop: shop, Base: base, Tokens: r.tokens}, Admission: admission, ReplayBuffer: 1 << 20,
		Metrics: metrics.New(r.registry, "test", "none", "go"), Log: slog.New(slog.DiscardHandler)}
	to := upstream.Options{Base: base, Roots: trust.Only(rootsOf(server)), HeaderTimeout: 10 * time.Second}
	for _, set := range options {
		set(&o, &to)
	}
	transport := upstream.New(to)
	t.Cleanup(transport.CloseIdleConnections)
	o.Transport = transport
	r.handler = New(o)
	front := httptest.NewUnstartedServer(inLines(t, onlyRead(t, r.handler)))
	front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	front.Start()
	t.Cleanup(front.Close)
	r.url, r.host = front.URL, strings.TrimPrefix(front.URL, "http://")
	return r
}

// inLines has answers written as internal/front writes them, so that all that a rule reads of an answer is what an exchange puts into its header. Where
// net/http carries the requests (the tag nethttp), it is the whole header.
func inLines(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && r.ProtoAtLeast(1, 1) { // others get net/http's writer
			w = &lineWriter{ResponseWriter: w, t: t}
		}
		next.ServeHTTP(w, r)
	})
}

type lineWriter struct {
	http.ResponseWriter
	t     testing.TB
	lines []byte
}

func (w *lineWriter) PassFields(lines []byte, _ bool) { w.lines = lines }

func (w *lineWriter) Unused() {}

func (*lineWriter) Made() *any { return nil }

// WriteHeader implements http.ResponseWriter. The lines are read only now, as in front.
func (w *lineWriter) WriteHeader(status int) {
	addLines(w.t, w.Header(), w.lines)
	w.lines = nil
	w.ResponseWriter.WriteHeader(status)
}

// addLines adds lines of fields to a header, which may have none of their names.
func addLines(t testing.TB, header http.Header, lines []byte) {
	t.Helper()
	before := maps.Clone(header)
	for line := range strings.Lines(string(lines)) {
		line, ended := strings.CutSuffix(line, "\r\n")
		name, value, ok := strings.Cut(line, ": ")
		if _, twice := before[name]; !ok || !ended || twice {
			t.Errorf("the line %q", line)
		}
		header[name] = append(header[name], value)
	}
}

func (w *lineWriter) Flush()                      { w.ResponseWriter.(http.Flusher).Flush() }
func (w *lineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// onlyRead fails when a request's header is another one after the request, or meanwhile as far as that is seen: a client's next request may have the same map.
func onlyRead(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before, header := r.Header.Clone(), r.Header
		defer func() {
			if !maps.EqualFunc(before, header, slices.Equal) {
				t.Errorf("the header was %q, and is %q", before, header)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func rootsOf(s *httptest.Server) *x509.CertPool {
	if s.Certificate() == nil {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return roots
}

func (r *rig) do(t testing.TB, method, path string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	tr := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// raw sends bytes and returns the connection and a reader of the answers.
func (r *rig) raw(t testing.TB, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", r.host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // a test that hangs fails instead
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// count returns the sum of a counter's series that have all the given label values.
func (r *rig) count(t testing.TB, name string, values ...string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			have := map[string]bool{}
			for _, l := range m.GetLabel() {
				have[l.GetValue()] = true
			}
			all := true
			for _, v := range values {
				all = all && have[v]
			}
			if all {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// oneShop is the one that is served.
func oneShop(o Options) *Shop { return o.Shops.(*Shop) }

func shopNamed(t testing.TB, name string) token.Shop {
	t.Helper()
	shop, err := token.ParseShop(name)
	if err != nil {
		t.Fatal(err)
	}
	return shop
}

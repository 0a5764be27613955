//go:build unix

package inject

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/access"
	"evergate/internal/front"
	"evergate/internal/guard"
	"evergate/internal/limit"
	"evergate/internal/listen"
	"evergate/internal/metrics"
	"evergate/internal/pace"
	"evergate/internal/token"
	"evergate/internal/trust"
	"evergate/internal/upstream"
	"evergate/test/process"
)

// call is one kind of request to measure, together with what Shopify answers to it.
type call struct {
	name, method, path, body string
	readOnly                 bool // the caller's policy reads the body
	header                   http.Header
	answer                   string
}

// calls are what tools send: the header of a usual client, and of the answer what Shopify's
// edge sends beside the body. GraphQL's body is 2 KiB long, most of it the query.
var calls = func() []call {
	usual := http.Header{
		"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "User-Agent": {"bench/1.0"}, "Content-Type": {"application/json"},
	}
	var fields strings.Builder
	for i := 0; fields.Len() < 1900; i++ {
		fmt.Fprintf(&fields, "a%d: metafield(namespace: \\\"n\\\", key: \\\"k%d\\\") { id value } ", i, i)
	}
	body := `{"query":"query Q($after: String) { products(first: 50, after: $after) { nodes { id title ` + fields.String() + `} } }","variables":{"after":"abc"}}`
	rows := strings.Repeat(`{"id":"gid://shopify/Product/1","title":"x"},`, 20)
	graphQL := `{"data":{"products":{"nodes":[` + strings.TrimSuffix(rows, ",") + `]}},"extensions":{"cost":{"requestedQueryCost":12,"actualQueryCost":10,` +
		`"throttleStatus":{"maximumAvailable":20000.0,"currentlyAvailable":19990,"restoreRate":1000.0}}}}`
	return []call{
		{name: "get", method: "GET", path: "/admin/api/2026-10/products/1.json", header: usual, answer: `{"product":{"id":1,"title":"x"}}`},
		{name: "graphql", method: "POST", path: graphQLPath, body: body, header: usual, answer: graphQL},
		{name: "graphql_readonly", method: "POST", path: graphQLPath, body: body, header: usual, answer: graphQL, readOnly: true},
	}
}()

// answerHeader is the header of Shopify's answer.
func (c call) answerHeader() http.Header {
	return http.Header{
		"Content-Type": {"application/json; charset=utf-8"}, "Content-Length": {strconv.Itoa(len(c.answer))},
		"X-Request-Id": {"00000000-0000-0000-0000-000000000000"}, "X-Shopify-Api-Version": {"2026-10"},
		"X-Shopify-Shop-Api-Call-Limit": {"1/40"}, "Strict-Transport-Security": {"max-age=7889238"},
		"Vary": {"Accept-Encoding,Accept"}, "X-Content-Type-Options": {"nosniff"}, "Server": {"cloudflare"}, "Cf-Ray": {"8f00000000000000-DUB"},
	}
}

// message is the request, or the answer, as it goes over a connection.
func message(first string, h http.Header, body string) []byte {
	var b bytes.Buffer
	b.WriteString(first + "\r\n")
	_ = h.Write(&b)
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// shipped are the options of a process as it is started by default, around a transport:
// metered, guarded and paced.
func shipped(t testing.TB, c call, base *url.URL, transport http.RoundTripper) Options {
	t.Helper()
	shop, err := token.ParseShop(shopDomain)
	if err != nil {
		t.Fatal(err)
	}
	policy := access.Options{}
	if c.readOnly {
		policy.Policy = "read-only"
	}
	access, err := access.New(policy)
	if err != nil {
		t.Fatal(err)
	}
	admission, err := guard.New(guard.Options{Shops: guard.One(shop), Access: access})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Shops: &Shop{Shop: shop, Base: base, Tokens: oneToken{token.Token{Access: token.NewSecret("shpat_bench")}}, Pace: pace.New(pace.Options{MaxWait: 8 * time.Second})},
		Admission: admission, Transport: transport, ReplayBuffer: 1 << 20,
		Metrics: metrics.New(prometheus.NewRegistry(), "test", "none", "go"), Log: slog.New(slog.DiscardHandler)}
}

// oneToken is a source whose token is always good.
type oneToken struct{ t token.Token }

func (o oneToken) Token(context.Context) (token.Token, error)                { return o.t, nil }
func (o oneToken) Replace(context.Context, token.Token) (token.Token, error) { return o.t, nil }
func (oneToken) Accepted(token.Token)                                        {}

// instant answers at once and allocates nothing but what it must not share.
type instant struct {
	header http.Header
	body   string
	buf    [4 << 10]byte
	answer http.Response
	reader strings.Reader
}

func (i *instant) RoundTrip(r *http.Request) (*http.Response, error) {
	for r.Body != nil {
		if _, err := r.Body.Read(i.buf[:]); err != nil {
			_ = r.Body.Close()
			break
		}
	}
	i.reader.Reset(i.body)
	i.answer = http.Response{StatusCode: http.StatusOK, Header: i.header, ContentLength: int64(len(i.body)), Body: i, Request: r}
	return &i.answer, nil
}

func (i *instant) Read(p []byte) (int, error) { return i.reader.Read(p) }
func (i *instant) Close() error               { return nil }

// sink takes an answer and can be used again.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header              { return s.header }
func (s *sink) WriteHeader(status int)           { s.status = status }
func (s *sink) Write(p []byte) (int, error)      { s.bytes += len(p); return len(p), nil }
func (*sink) Flush()                             {}
func (*sink) SetReadDeadline(time.Time) error    { return nil }
func (*sink) EnableFullDuplex() error            { return nil }
func (s *sink) begin()                           { clear(s.header); s.status, s.bytes = 0, 0 }
func newSink() *sink                             { return &sink{header: http.Header{}} }
func (c call) transport() *instant               { return &instant{header: c.answerHeader(), body: c.answer} }
func (c call) base() *url.URL                    { return &url.URL{Scheme: "https", Host: shopDomain} }
func (c call) handler(t testing.TB) http.Handler { return New(shipped(t, c, c.base(), c.transport())) }

// incoming is a request as http.Server hands it over, which can be served again and again.
type incoming struct {
	*http.Request
	body   string
	reader strings.Reader
}

func (c call) incoming(t testing.TB) *incoming {
	t.Helper()
	raw := message(c.method+" "+c.path+" HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: "+strconv.Itoa(len(c.body)), c.header, c.body)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:50000"
	in := &incoming{Request: r, body: c.body}
	if c.body != "" {
		r.Body = in
	}
	return in
}

func (i *incoming) again() *http.Request       { i.reader.Reset(i.body); return i.Request }
func (i *incoming) Read(p []byte) (int, error) { return i.reader.Read(p) }
func (i *incoming) Close() error               { return nil }

// BenchmarkHandler is what Evergate itself adds: the handler between a request that has been
// read and a transport that answers at once.
func BenchmarkHandler(b *testing.B) {
	for _, c := range calls {
		b.Run(c.name, func(b *testing.B) {
			h, in, w := c.handler(b), c.incoming(b), newSink()
			b.ReportAllocs()
			for b.Loop() {
				w.begin()
				h.ServeHTTP(w, in.again())
			}
			if w.status != http.StatusOK || w.bytes != len(c.answer) {
				b.Fatalf("%d with %d bytes", w.status, w.bytes)
			}
		})
	}
}

// BenchmarkWhole is a request's whole way, from the client's bytes over the loopback to TLS
// and back, in the lanes that are released. Client and upstream write bytes that were made before and allocate nothing, so
// that what is counted is Evergate's.
func BenchmarkWhole(b *testing.B) {
	for _, c := range calls {
		b.Run(c.name, func(b *testing.B) {
			ask := c.client(b, c.serve(b, true))
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

// client returns what makes the call over one connection, and allocates nothing.
func (c call) client(b testing.TB, address string) (ask func()) {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	first := c.method + " " + c.path + " HTTP/1.1\r\nHost: " + address
	if c.body != "" {
		first += "\r\nContent-Length: " + strconv.Itoa(len(c.body))
	}
	request, answers := message(first, c.header, c.body), bufio.NewReader(conn)
	return func() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := skipMessage(answers, len(c.answer)); err != nil {
			b.Fatal(err)
		}
	}
}

// serve starts Evergate and an upstream for c, with TLS or without, and returns Evergate's address.
func (c call) serve(b testing.TB, secure bool) string {
	b.Helper()
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS() // for its certificate
	b.Cleanup(cert.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	base := &url.URL{Scheme: "http", Host: l.Addr().String()}
	if secure {
		l, base.Scheme = tls.NewListener(l, cert.TLS), "https"
	}
	answer := message("HTTP/1.1 200 OK", c.answerHeader(), c.answer)
	process.Accept(b, l, func(conn net.Conn) {
		defer conn.Close()
		requests := bufio.NewReader(conn)
		for {
			if _, err := skipMessage(requests, len(c.body)); err != nil {
				return
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	})
	transport := upstream.New(upstream.Options{Base: base, Roots: trust.Only(rootsOf(cert)), HeaderTimeout: 10 * time.Second})
	b.Cleanup(transport.CloseIdleConnections)
	handler := New(shipped(b, c, base, transport))
	callers, err := access.New(access.Options{})
	if err != nil {
		b.Fatal(err)
	}
	server := front.New(&http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, ConnState: limit.State,
		BaseContext: func(l net.Listener) context.Context { return callers.BaseContext(front.Inner(l)) },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return callers.ConnContext(limit.WithConn(ctx, c), c)
		},
	}, handler)
	server.HandlerOnlyReads()
	tools, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	connections := limit.NewConnections(100, limit.NewBudget(1<<30), time.Minute)
	go func() {
		_ = server.Serve(callers.Adopt(tools, listen.Address{Network: "tcp", Address: tools.Addr().String()}, access.Wrappers{First: connections.Wrap}))
	}()
	b.Cleanup(func() { _, _ = tools.Close(), server.Close() })
	return tools.Addr().String()
}

// skipMessage reads a header and a body of known length, and allocates nothing.
func skipMessage(r *bufio.Reader, body int) (int, error) {
	n := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		n += len(line)
		if len(textproto.TrimBytes(line)) == 0 {
			break
		}
	}
	m, err := r.Discard(body)
	if err == nil || err == io.EOF && m == body {
		return n + m, nil
	}
	return 0, err
}

//go:build unix && !nethttp

package inject

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/front"
	"evergate/internal/shopify"
	"evergate/internal/token"
	"evergate/internal/tracing"
	"evergate/internal/upstream"
	"evergate/test/process"
)

// newTokens is a source that has another token each time.
type newTokens struct {
	mu sync.Mutex
	n  int
}

func (s *newTokens) Token(context.Context) (token.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return token.Token{Access: token.NewSecret(fmt.Sprintf("shpat_%d", s.n))}, nil
}

func (s *newTokens) Replace(ctx context.Context, _ token.Token) (token.Token, error) {
	return s.Token(ctx)
}
func (*newTokens) Accepted(token.Token) {}

// callFront is a client's connection to the lane of a Handler.
func callFront(t *testing.T, h *Handler) net.Conn {
	t.Helper()
	server := front.New(&http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}, h)
	server.HandlerOnlyReads()
	tools, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(tools) }()
	t.Cleanup(func() { _, _ = tools.Close(), server.Close() })
	client, err := net.Dial("tcp", tools.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	_ = client.SetDeadline(time.Now().Add(20 * time.Second))
	return client
}

// Whatever has come of an answer is the client's before anybody waits for more of it, in pieces of all sizes.
func TestNothingOfAnAnswerIsHeldBack(t *testing.T) {
	t.Parallel()
	sizes := []int{100, 32 << 10, 32 << 10, 16 << 10, 16 << 10, 31 << 10, 1, 24 << 10, 8 << 10, 32<<10 - 1, 32<<10 + 1, 64 << 10, 64 << 10, 7000, 9000, 16 << 10, 32 << 10}
	for _, head := range []int{0, 1 << 10, 9 << 10, 14 << 10} { // how much else there is to gather
		for from := range sizes {
			whole := 0
			for _, n := range sizes[from:] {
				whole += n
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			read := make(chan int, 1<<12)
			process.Accept(t, l, func(conn net.Conn) {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					return
				}
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-Fill: %s\r\nContent-Length: %d\r\n\r\n", strings.Repeat("x", head), whole)
				sent := 0
				for _, n := range sizes[from:] {
					if _, err := conn.Write(make([]byte, n)); err != nil {
						return
					}
					sent += n
					for has := range read {
						if has >= sent {
							break
						}
					}
				}
			})
			base := &url.URL{Scheme: "http", Host: l.Addr().String()}
			transport := upstream.New(upstream.Options{Base: base, HeaderTimeout: 10 * time.Second})
			client := callFront(t, New(shipped(t, calls[0], base, transport)))
			if _, err := io.WriteString(client, "GET /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil || resp.ContentLength != int64(whole) {
				t.Fatalf("%v, %v", resp, err)
			}
			got := 0
			for b := make([]byte, 64<<10); err == nil; {
				var n int
				n, err = resp.Body.Read(b)
				if got += n; n > 0 {
					read <- got
				}
			}
			close(read)
			if _ = resp.Body.Close(); got != whole {
				t.Fatalf("behind a head of %d bytes, from piece %d on: %d of %d bytes came, %v", head, from, got, whole, err)
			}
			transport.CloseIdleConnections()
		}
	}
}

// What is refused is read to its end, so that its client can ask again on the same connection.
func TestALongBodyThatIsRefusedKeepsItsConnection(t *testing.T) {
	t.Parallel()
	h := beforeConnection(t, func(*http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" })
	client := callFront(t, h)
	answers := bufio.NewReader(client)
	for _, size := range []int{700_000, 2 << 20, 700_000, 4 << 20} { // from 1 MiB on they are net/http's
		for path, want := range map[string]int{"/admin/oauth/access_token": http.StatusForbidden, "/admin/api/2026-10/shop.json": http.StatusOK} {
			_, err := fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: %d\r\n\r\n%s", path, size, strings.Repeat("x", size))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want || resp.Close {
				t.Errorf("%s: %d, %v, the connection ends: %t", path, resp.StatusCode, err, resp.Close)
			}
			_ = resp.Body.Close()
		}
	}
}

// A client that says the same again has what was made of its header used again, whatever becomes of its requests. Shopify gets the same as of a
// client that comes anew each time.
func TestWhatIsMadeOfAHeaderIsOfEachRequest(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	var answers []string // the next ones
	got := make(chan *http.Request, 8)
	var mu sync.Mutex
	handler := beforeConnection(t, func(r *http.Request) string {
		got <- r
		mu.Lock()
		defer mu.Unlock()
		answer := answers[0]
		answers = answers[1:]
		return answer
	}, func(o *Options) { o.Shops.(*Shop).Tokens = &newTokens{} })
	client := callFront(t, handler)
	in := bufio.NewReader(client)
	const (
		one   = "X-A: 1\r\nUser-Agent: tool/1\r\nAccept: */*\r\n"
		other = "X-A: 2\r\nx-b: 3\r\n"
		named = "Connection: X-A\r\nX-A: 2\r\n"
	)
	seen := map[string]bool{}
	for i, is := range []struct {
		fields, body string
		answers      []string
		status       int
	}{
		{one, "", []string{ok}, 200},
		{one, "", []string{ok}, 200},
		{one, "{}", []string{ok}, 200},
		{one, `{"a":1}`, []string{ok}, 200},
		{one, `{"a":1}`, []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nPragma: x\r\n\r\n{}"}, 200}, // net/http reads it
		{one, `{"a":2}`, []string{"HTTP/1.1 429 No\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n", ok}, 200},
		{one, `{"a":33}`, []string{"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", ok}, 200},
		{one, `{"a":3}`, []string{"HTTP/1.1 200"}, 502},
		{one, "{}", []string{ok}, 200},
		{other, "{}", []string{ok}, 200},
		{other, `{"a":4}`, []string{ok}, 200},
		{named, "{}", []string{ok}, 200},
		{named, "{}", []string{ok}, 200},
		{one, "{}", []string{ok}, 200},
	} {
		mu.Lock()
		answers = is.answers
		mu.Unlock()
		method, length := "GET", ""
		if is.body != "" {
			method, length = "POST", fmt.Sprintf("Content-Length: %d\r\n", len(is.body))
		}
		if _, err := fmt.Fprintf(client, "%s /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: localhost:8080\r\n%s%s\r\n%s", method, is.fields, length, is.body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != is.status {
			t.Fatalf("request %d: %v, %v", i, resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		for range is.answers {
			r := <-got
			tokens := r.Header[shopify.HeaderAccessToken]
			if len(tokens) != 1 || !strings.HasPrefix(tokens[0], "shpat_") || seen[tokens[0]] {
				t.Errorf("request %d came with the tokens %q", i, tokens)
			}
			seen[tokens[0]] = true
			body, _ := io.ReadAll(r.Body)
			if string(body) != is.body || r.ContentLength != int64(len(is.body)) {
				t.Errorf("request %d came with %d bytes %q", i, r.ContentLength, body)
			}
			var want []string
			switch is.fields {
			case one:
				want = []string{"X-A: 1", "User-Agent: tool/1", "Accept: */*"}
			case other:
				want = []string{"X-A: 2", "X-B: 3"}
			}
			var fields []string
			for name, values := range r.Header {
				for _, v := range values {
					if name != shopify.HeaderAccessToken && name != "Content-Length" {
						fields = append(fields, name+": "+v)
					}
				}
			}
			if slices.Sort(fields); !slices.Equal(fields, slices.Sorted(slices.Values(want))) {
				t.Errorf("request %d came with %q", i, fields)
			}
		}
	}
}

// keeper is a transport that keeps all requests, as a transport may.
type keeper struct {
	all      []*http.Request
	statuses []int
}

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	status := http.StatusOK
	if n := len(k.all); n < len(k.statuses) {
		status = k.statuses[n]
	}
	k.all = append(k.all, r)
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// Each attempt has a header of its own while somebody may look at another's.
func TestNoAttemptHasTheHeaderOfAnother(t *testing.T) {
	t.Parallel()
	k := &keeper{statuses: []int{http.StatusUnauthorized}}
	opt := shipped(t, calls[0], &url.URL{Scheme: "http", Host: "shop.test"}, k)
	opt.Shops.(*Shop).Tokens = &newTokens{}
	h := New(opt)
	made := new(any)
	for range 2 {
		in := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:8080/admin/api/2026-10/shop.json", http.NoBody)
		in.RemoteAddr = "127.0.0.1:50000"
		h.ServeHTTP(&passing{ResponseRecorder: httptest.NewRecorder(), made: made}, in)
	}
	var tokens []string
	for _, r := range k.all {
		tokens = append(tokens, r.Header.Get(shopify.HeaderAccessToken))
	}
	if want := []string{"shpat_1", "shpat_2", "shpat_3"}; !slices.Equal(tokens, want) {
		t.Errorf("the attempts say %q in the end, in place of %q", tokens, want)
	}
}

// A request whose spans are recorded says in its header which it is, which the next one must not say.
func TestATracedRequestLeavesNothingOfItsHeader(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
	tracer, err := tracing.Open(func(name string) string { return environ[name] }, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	parents := make(chan string, 3)
	h := beforeConnection(t, func(r *http.Request) string {
		parents <- r.Header.Get("Traceparent")
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	}, func(o *Options) { o.Tracer = tracer })
	made, seen := new(any), map[string]bool{}
	for range 3 {
		in := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:8080/admin/api/2026-10/shop.json", http.NoBody)
		in.RemoteAddr = "127.0.0.1:50000"
		in.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		h.ServeHTTP(&passing{ResponseRecorder: httptest.NewRecorder(), made: made}, in)
	}
	for range 3 {
		seen[<-parents] = true
	}
	if len(seen) != 3 || *made != nil {
		t.Errorf("three requests have the parents %v, and %v is kept", seen, *made)
	}
}

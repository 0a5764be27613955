//go:build unix && !nethttp

package inject

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/front"
	"evergate/internal/shopify"
	"evergate/internal/token"
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

// A client that says the same again has what was made of its header used again, whatever becomes of its requests. Shopify gets the same as of a
// client that comes anew each time.
func TestWhatIsMadeOfAHeaderIsOfEachRequest(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	var answers []string // the next ones
	got := make(chan *http.Request, 8)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	process.Accept(t, l, func(conn net.Conn) {
		defer conn.Close()
		requests := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(requests)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			got <- r
			mu.Lock()
			answer := answers[0]
			answers = answers[1:]
			mu.Unlock()
			if _, err := io.WriteString(conn, answer); err != nil || !strings.Contains(answer, "\r\n\r\n") {
				return
			}
		}
	})
	base := &url.URL{Scheme: "http", Host: l.Addr().String()}
	transport := upstream.New(upstream.Options{Base: base, HeaderTimeout: 10 * time.Second})
	t.Cleanup(transport.CloseIdleConnections)
	opt := shipped(t, calls[0], base, transport)
	opt.Shops.(*Shop).Tokens = &newTokens{}
	handler := New(opt)
	server := front.New(&http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}, handler)
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

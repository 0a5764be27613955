//go:build unix && !nethttp

package inject

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/upstream"
	"evergate/internal/wire"
	"evergate/test/process"
)

// passing is a client's side that takes lines of fields, as internal/front does.
type passing struct {
	*httptest.ResponseRecorder
	lines  []byte
	dated  bool
	unused bool
	made   *any
}

func (p *passing) PassFields(lines []byte, dated bool) { p.lines, p.dated = slices.Clone(lines), dated }
func (p *passing) Unused()                             { p.unused = true }
func (p *passing) Made() *any                          { return p.made }

// all is what the client gets.
func (p *passing) all(t *testing.T) http.Header {
	t.Helper()
	got := maps.Clone(p.Result().Header)
	addLines(t, got, p.lines)
	if has := bytes.HasPrefix(p.lines, []byte("Date: ")) || bytes.Contains(p.lines, []byte("\r\nDate: ")); has != p.dated {
		t.Errorf("that there is a Date among the lines is said to be %v: %q", p.dated, p.lines)
	}
	return got
}

// readByRules are the fields of an answer that a rule reads, as Shopify writes them, and what front has to know of a message.
var readByRules = []string{
	"Content-Type", "Content-Length", "Content-Encoding", "Date", "Link", "Location", "Retry-After", "X-Request-Id", "X-Shopify-API-Version", "X-Shopify-API-Version-Warning",
	"X-Shopify-API-Deprecated-Reason", "X-Shopify-Shop-Api-Call-Limit",
}

// Some of those rules are tested where no answer comes over a connection.
func TestWhatARuleReadsIsNotOnlyPassed(t *testing.T) {
	t.Parallel()
	if len(readByRules) != len(replacedInAnswers)+len(shownOfAnswers) {
		t.Error("readByRules is to have each name of replacedInAnswers and shownOfAnswers, and no other")
	}
	for _, name := range readByRules {
		want := http.CanonicalHeaderKey(name)
		if known, use := sortAnswer([]byte(want)); known != want || use != wire.Read && use != wire.Shown {
			t.Errorf("%s: %q, %v", name, known, use)
		}
	}
	for name := range neverDownstream.names {
		if known, use := sortAnswer([]byte(name)); known != "" || use != wire.Dropped {
			t.Errorf("%s: %q, %v", name, known, use)
		}
	}
}

// answersFields are fields that an answer may have: those that a rule knows, those that look like one of them, and others.
func answersFields() []string {
	fields := slices.Concat(readByRules, slices.Sorted(maps.Keys(neverDownstream.names)), []string{
		"Access-Control-Allow-Origin", "access-control-expose-headers", "X_Access-Control", "Set_Cookie", "Vary", "X-ShopId", "Server-Timing", "ETag", "CF-RAY",
	})
	return slices.DeleteFunc(fields, func(name string) bool {
		return name == "Content-Length" || name == "Transfer-Encoding" || name == "Trailer" || name == "Upgrade" // which say what kind of answer it is
	})
}

var fieldValues = map[string][]string{
	"Connection":     {"keep-alive", "Keep-Alive", "close", "Vary", "keep-alive, X-ShopId, Link"},
	"Location":       {"https://" + shopDomain + "/admin/a", "/admin/b"},
	"Link":           {"<https://" + shopDomain + "/admin/c?page_info=1>; rel=next"},
	"Retry-After":    {"0"},
	"Content-Length": {"2"},
}

// beforeConnection is a Handler before an upstream that gives these answers, and ends with one that has no whole head. What it is asked has its body
// in memory.
func beforeConnection(t *testing.T, answer func(r *http.Request) string, change ...func(*Options)) *Handler {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
			r.Body = io.NopCloser(bytes.NewReader(body))
			text := answer(r)
			if _, err := io.WriteString(conn, text); err != nil || !strings.Contains(text, "\r\n\r\n") {
				return
			}
		}
	})
	base := &url.URL{Scheme: "http", Host: l.Addr().String()}
	transport := upstream.New(upstream.Options{Base: base, HeaderTimeout: 10 * time.Second})
	t.Cleanup(transport.CloseIdleConnections)
	opt := shipped(t, calls[0], base, transport)
	for _, set := range change {
		set(&opt)
	}
	return New(opt)
}

// The client's side is told that nobody uses a request any more only where that is so.
func TestWhoseRequestNobodyUsesIsTold(t *testing.T) {
	t.Parallel()
	const ok, busy = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"
	for name, is := range map[string]struct {
		method, target string
		body           io.Reader
		answers        []string
		unused         bool
	}{
		"a GET":                            {http.MethodGet, "shop.json", nil, []string{ok}, true},
		"a POST":                           {http.MethodPost, "orders.json", strings.NewReader("{}"), []string{ok}, true},
		"what is denied":                   {http.MethodGet, "../../../elsewhere", nil, nil, false},
		"a body that is passed on":         {http.MethodPost, "orders.json", io.MultiReader(strings.NewReader("{}")), []string{ok}, false},
		"what was sent again":              {http.MethodPost, "orders.json", strings.NewReader("{}"), []string{busy, ok}, false},
		"an answer that net/http has read": {http.MethodPost, "orders.json", strings.NewReader("{}"), []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nPragma: x\r\n\r\n{}"}, false},
		"an answer that breaks off":        {http.MethodGet, "shop.json", nil, []string{"HTTP/1.1 200 OK\r\n"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var given atomic.Int64
			h := beforeConnection(t, func(*http.Request) string { return is.answers[given.Add(1)-1] })
			in := httptest.NewRequestWithContext(t.Context(), is.method, "http://localhost:8080/admin/api/2026-10/"+is.target, is.body)
			in.RemoteAddr = "127.0.0.1:50000"
			w := &passing{ResponseRecorder: httptest.NewRecorder(), made: new(any)}
			h.ServeHTTP(w, in)
			if (*w.made != nil) != w.unused {
				t.Errorf("unused: %v, and what was made of its header is kept: %v", w.unused, *w.made)
			}
			if made, ok := (*w.made).(*madeHeader); ok && made.token[0] != "" {
				t.Error("the token stays with the connection")
			}
			if w.unused != is.unused || int(given.Load()) != len(is.answers) {
				t.Errorf("unused: %v, after %d answers and a status of %d: %.200s", w.unused, given.Load(), w.Code, w.Body)
			}
		})
	}
}

// What of an answer is only passed on, and what is read, is the same to a client as the whole header.
func TestAClientGetsTheFieldsThatItWouldGetOfTheWholeHeader(t *testing.T) {
	t.Parallel()
	var answer atomic.Pointer[string]
	h := beforeConnection(t, func(*http.Request) string { return *answer.Load() })
	names, passed := answersFields(), 0
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 13))
		var b strings.Builder
		b.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")
		for i := range random.IntN(20) {
			name := names[random.IntN(len(names))]
			value := fmt.Sprintf("value %d", i)
			if some := fieldValues[http.CanonicalHeaderKey(name)]; some != nil {
				value = some[random.IntN(len(some))]
			}
			if random.IntN(3) == 0 {
				name = strings.ToLower(name)
			}
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
		b.WriteString("\r\n{}")
		text := b.String()
		answer.Store(&text)
		whole, lined := httptest.NewRecorder(), &passing{ResponseRecorder: httptest.NewRecorder()}
		for _, w := range []http.ResponseWriter{whole, lined} {
			in := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:8080/admin/api/2026-10/shop.json", http.NoBody)
			in.RemoteAddr = "127.0.0.1:50000"
			h.ServeHTTP(w, in)
		}
		if whole.Code != http.StatusOK || lined.Code != http.StatusOK || lined.Body.String() != "{}" {
			t.Fatalf("%d and %d for %q", whole.Code, lined.Code, text)
		}
		if got, want := lined.all(t), whole.Result().Header; !maps.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("seed %d, %q:\n%q, of the whole header:\n%q", seed, text, got, want)
		}
		if len(lined.lines) > 0 {
			passed++
		}
	}
	if passed < 100 {
		t.Errorf("lines were passed for %d answers", passed)
	}
}

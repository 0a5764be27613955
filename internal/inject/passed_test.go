//go:build unix && !nethttp

package inject

import (
	"bufio"
	"fmt"
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
	lines []byte
}

func (p *passing) PassFields(lines []byte) { p.lines = slices.Clone(lines) }

// all is what the client gets.
func (p *passing) all(t *testing.T) http.Header {
	t.Helper()
	got := maps.Clone(p.Result().Header)
	addLines(t, got, p.lines)
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
	if len(readByRules) != len(readOfAnswers) {
		t.Error("readByRules is to have each name of readOfAnswers, and no other")
	}
	for _, name := range readByRules {
		want := http.CanonicalHeaderKey(name)
		if known, use := sortAnswer([]byte(want)); known != want || use != wire.Read {
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

// What of an answer is only passed on, and what is read, is the same to a client as the whole header.
func TestAClientGetsTheFieldsThatItWouldGetOfTheWholeHeader(t *testing.T) {
	t.Parallel()
	var answer atomic.Pointer[string]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	process.Accept(t, l, func(conn net.Conn) {
		defer conn.Close()
		requests := bufio.NewReader(conn)
		for {
			if _, err := http.ReadRequest(requests); err != nil {
				return
			}
			if _, err := conn.Write([]byte(*answer.Load())); err != nil {
				return
			}
		}
	})
	base := &url.URL{Scheme: "http", Host: l.Addr().String()}
	transport := upstream.New(upstream.Options{Base: base, HeaderTimeout: 10 * time.Second})
	t.Cleanup(transport.CloseIdleConnections)
	c := calls[0]
	h := New(shipped(t, c, base, transport))
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

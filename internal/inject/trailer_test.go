package inject

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// answering is an upstream that sends bytes as they are.
func answering(t *testing.T, bytes string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, bytes)
	}
}

func TestTrailerOfAnAnswerIsPassedOn(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	for name, c := range map[string]struct {
		header, body, trailer string
		want                  http.Header
	}{
		"announced":               {"Trailer: X-Sum, X-More\r\n", "hello", "X-Sum: 1\r\nX-More: 2\r\nX-More: 3\r\n", http.Header{"X-Sum": {"1"}, "X-More": {"2", "3"}}},
		"not announced":           {"", "hello", "X-Sum: 1\r\n", http.Header{"X-Sum": {"1"}}},
		"behind a long body":      {"", long, "X-Sum: 1\r\n", http.Header{"X-Sum": {"1"}}},
		"announced and not sent":  {"Trailer: X-Sum\r\n", "hello", "", http.Header{"X-Sum": nil}},
		"of a name in the header": {"Trailer: X-Sum\r\nX-Sum: header\r\n", "hello", "X-Sum: 1\r\n", http.Header{"X-Sum": {"1"}}},
		"of such a name, unsent":  {"Trailer: X-Sum\r\nX-Sum: header\r\n", "hello", "", http.Header{"X-Sum": nil}},
		"without what ends here": {"Trailer: Set-Cookie, X-Sum, Access-Control-Allow-Origin\r\n", "hello",
			"Set-Cookie: a=b\r\nX-Sum: 1\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 5\r\n", http.Header{"X-Sum": {"1"}}},
		"none": {"", "hello", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, answering(t, fmt.Sprintf("HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n%s\r\n", c.header, len(c.body), c.body, c.trailer)))
			resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil)
			if got := text(t, resp); got != c.body {
				t.Errorf("body of %d bytes", len(got))
			}
			if fmt.Sprint(resp.Trailer) != fmt.Sprint(c.want) {
				t.Errorf("trailer %v, want %v", resp.Trailer, c.want)
			}
		})
	}
}

func TestTrailerIsNotForAClientThatKnowsNoChunks(t *testing.T) {
	r := newRig(t, answering(t, "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"))
	_, answers := r.raw(t, "GET /admin/api/2026-10/shop.json HTTP/1.0\r\n\r\n")
	b, err := io.ReadAll(answers)
	if err != nil {
		t.Fatal(err)
	}
	if head, body, _ := strings.Cut(string(b), "\r\n\r\n"); body != "hello" || strings.Contains(head, "Trailer") {
		t.Errorf("%q", b)
	}
}

func TestLinkInATrailerPointsToTheAddressTheClientUsed(t *testing.T) {
	r := newRig(t, answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nLink: <https://"+shopDomain+"/a>\r\n\r\n"))
	resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil)
	_ = text(t, resp)
	if got, want := resp.Trailer.Get("Link"), "<"+r.url+"/a>"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

package wire

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// scripted answers with the bytes that a test has written for a target.
func scripted(answers map[string]string) func(message) string {
	return func(m message) string {
		if a, ok := answers[strings.TrimPrefix(m.target, api+"/")]; ok {
			return a
		}
		return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

// withLength is an answer with a body of known length.
func withLength(status, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nDate: Thu, 26 Nov 2026 10:00:00 GMT\r\n%sContent-Length: %d\r\n\r\n%s", status, header, len(body), body)
}

// inChunks is an answer in chunks, each as given.
func inChunks(status, header, trailer string, chunks ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\nDate: Thu, 26 Nov 2026 10:00:00 GMT\r\n%sTransfer-Encoding: chunked\r\n\r\n", status, header)
	for _, c := range chunks {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
	}
	fmt.Fprintf(&b, "0\r\n%s\r\n", trailer)
	return b.String()
}

// shopifys is a header such as Shopify's, with fields twice, empty, long and odd.
var shopifys = strings.Join([]string{
	"x-request-id: da004e10-0000-4000-8000-000000000000-1712345678", "X-Shopify-API-Version: 2025-10", "X-Shopify-API-Version-Warning: https://shopify.dev/api/usage/versioning",
	"X-Shopify-API-Deprecated-Reason: https://shopify.dev/api/admin-rest/latest/resources/product", "X-Shopify-Shop-Api-Call-Limit: 1/40",
	"HTTP_X_SHOPIFY_SHOP_API_CALL_LIMIT: 1/40", "Retry-After: 2.0", "Vary: Accept-Encoding", "vary: Accept", "VARY: Accept-Encoding", "Server-Timing: a;dur=1, b;dur=2",
	"X-Empty:", "X-Tab: a\tb", "X-Bytes: \xc3\xa4\xff", `X-Quoted: "a,\"b"`, "X-Long: " + strings.Repeat("l", 50<<10), "Content-Type: application/json; charset=utf-8",
	"Set-Cookie: a=b; HttpOnly", "Set-Cookie: c=d", "Strict-Transport-Security: max-age=1", "Alt-Svc: h3=\":443\"", "Access-Control-Allow-Origin: *",
	"Keep-Alive: timeout=5", "ETag: W/\"x\"", "Server: cloudflare", "Content-Security-Policy: default-src 'self'; report-uri /x",
}, "\r\n") + "\r\n"

// many is fifty values of one field, whose order has a meaning.
func many() string {
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "X-Many: %d\r\n", i)
	}
	return b.String()
}

// answers are what Shopify may send, by the last part of the path.
var answers = map[string]string{
	"length":        withLength("200 OK", shopifys, `{"a": 1}`),
	"chunked":       inChunks("200 OK", shopifys, "", `{"a"`, `: 1}`, strings.Repeat(" ", 70<<10)),
	"one-chunk":     inChunks("200 OK", "", "", "x"),
	"empty":         withLength("200 OK", "Content-Type: application/json\r\n", ""),
	"empty-chunked": inChunks("200 OK", "", ""),
	"untyped":       withLength("200 OK", "", "<html><body>looks like a page"),
	"gzip":          withLength("200 OK", "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n", gzipped(`{"a": 1}`)),
	"gzip-chunked":  inChunks("200 OK", "Content-Encoding: gzip\r\n", "", gzipped(strings.Repeat(`{"a": 1}`, 1000))),
	"not-gzip":      withLength("200 OK", "Content-Encoding: gzip\r\n", "\x1f\x8b not really"),
	"many":          withLength("200 OK", many(), "x"),
	"no-content":    "HTTP/1.1 204 No Content\r\nDate: x\r\nX-Request-Id: r-1\r\n\r\n",
	"not-modified":  "HTTP/1.1 304 Not Modified\r\nDate: x\r\nETag: \"a\"\r\nVary: Accept\r\n\r\n",
	"created":       withLength("201 Created", "X-A: b\r\n", "{}"),
	"redirect":      withLength("301 Moved Permanently", "Location: https://elsewhere.example/x\r\n", "moved"),
	"unauthorized":  withLength("401 Unauthorized", "WWW-Authenticate: Basic Realm=\"x\"\r\n", `{"errors":"[API] Invalid API key or access token"}`),
	"teapot":        withLength("418 I'm a teapot", "", "short and stout"),
	"locked":        withLength("423 Locked", "", ""),
	"too-many":      withLength("429 Too Many Requests", "Retry-After: 2.0\r\n", `{"errors":"Exceeded 2 calls per second for api client."}`),
	"rejected":      withLength("430 Shopify Security Rejection", "", ""),
	"server-error":  inChunks("500 Internal Server Error", "Content-Type: text/html\r\n", "", "<html>"),
	"edge":          withLength("530 <none>", "", "error code: 1016"),
	"odd":           withLength("783 Unexpected Error", "", "\x00odd\xff\r\n"),
	"trailer":       inChunks("200 OK", "Trailer: X-More, X-Sum\r\n", "X-Sum: 1\r\nX-More: 2\r\nx-more: 3\r\n", "hello"),
	"trailer-quiet": inChunks("200 OK", "", "X-Sum: 1\r\n", "hello"),
	"head-length":   "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 1234\r\nContent-Type: application/json\r\n\r\n",
	"head-chunked":  "HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n",
	"head-bare":     "HTTP/1.1 404 Not Found\r\nDate: x\r\n\r\n",
}

func TestAnswersAreWhatADirectCallGets(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, scripted(answers))
	s := up.sidecar(t)
	for name := range answers {
		t.Run(name, func(t *testing.T) {
			method := "GET"
			if strings.HasPrefix(name, "head-") {
				method = "HEAD"
			}
			want := request(t, up.dial(t), direct(method, api+"/"+name, "Accept-Encoding: gzip\r\n", ""))
			got := request(t, s.dial(t), through(method, api+"/"+name, "Accept-Encoding: gzip\r\n", ""))
			mustMatch(t, got, want)
		})
	}
}

// mustMatch holds an answer that came through Evergate beside one that did not.
func mustMatch(t *testing.T, got, want reply) {
	t.Helper()
	if got.status != want.status {
		t.Errorf("%s, directly %s", got.line, want.line)
	}
	if got.body != want.body {
		t.Errorf("a body of %d bytes, directly of %d", len(got.body), len(want.body))
	}
	if g, w := passedOn(got.fields, got.framing), passedOn(want.fields, want.framing); !reflect.DeepEqual(g, w) {
		t.Errorf("header\n         %.2000q\ndirectly %.2000q", g, w)
	}
	if g, w := byName(got.trailer), byName(want.trailer); !reflect.DeepEqual(g, w) {
		t.Errorf("trailer %q, directly %q", g, w)
	}
	for name := range byName(got.fields) {
		if slices.Contains(endHere, name) && name != "transfer-encoding" {
			t.Errorf("%s was passed on", name)
		}
	}
}

func TestAnswerWithoutALengthEndsWithTheConnectionOnBothSides(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	up.closes = func(m message) bool { return strings.HasSuffix(m.target, "/until-the-end") }
	up.answer = func(message) string { return "HTTP/1.1 200 OK\r\nDate: x\r\nConnection: close\r\n\r\nall there is" }
	s := up.sidecar(t)
	want := request(t, up.dial(t), direct("GET", api+"/until-the-end", "", ""))
	got := request(t, s.dial(t), through("GET", api+"/until-the-end", "", ""))
	mustMatch(t, got, want)
	if got.framing != "length" && got.framing != "chunked" {
		t.Errorf("the client cannot tell its end: %q", got.fields)
	}
}

func TestHTTP10ClientGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, scripted(answers))
	s := up.sidecar(t)
	for _, name := range []string{"length", "chunked", "gzip", "no-content", "trailer", "odd"} {
		t.Run(name, func(t *testing.T) {
			want := request(t, up.dial(t), direct("GET", api+"/"+name, "", ""))
			conn := s.dial(t)
			got := request(t, conn, "GET "+api+"/"+name+" HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			want.trailer = nil // there are no chunks, so there is no place for it
			want.fields = slices.DeleteFunc(slices.Clone(want.fields), func(f field) bool { return f.name == "Trailer" })
			if got.framing == "chunked" || len(got.interim) > 0 {
				t.Errorf("framing %s, before it %v: such a client knows neither", got.framing, got.interim)
			}
			got.fields = slices.DeleteFunc(got.fields, func(f field) bool { return f.name == "Connection" && f.value == "close" })
			mustMatch(t, got, want)
			if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

func TestPipelinedAnswersComeInOrderOnOneConnection(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, func(m message) string { return withLength("200 OK", "", m.target+" "+m.body) })
	s := up.sidecar(t)
	conn := s.dial(t)
	const n = 60
	go func() {
		for i := range n {
			header, body := "", ""
			switch i % 3 {
			case 1:
				header, body = "Content-Length: 5\r\n", fmt.Sprintf("%05d", i)
			case 2:
				header, body = "Transfer-Encoding: chunked\r\n", fmt.Sprintf("5\r\n%05d\r\n0\r\n\r\n", i)
			}
			_, _ = io.WriteString(conn, through("POST", fmt.Sprintf("%s/%d", api, i), header, body))
		}
	}()
	in := bufio.NewReader(conn)
	for i := range n {
		want := fmt.Sprintf("%s/%d ", api, i)
		if i%3 > 0 {
			want += fmt.Sprintf("%05d", i)
		}
		if got := readReply(t, in, "POST"); got.body != want {
			t.Fatalf("answer %d is %q, want %q", i, got.body, want)
		}
	}
	for i, m := range up.take(t) {
		if m.target != fmt.Sprintf("%s/%d", api, i) {
			t.Fatalf("request %d is %s", i, m)
		}
	}
}

// 1xx answers end here: some of the clients this is for take the first answer that is not
// 100 for the one. See docs/reference/fidelity.md.
func TestInterimAnswersEndHere(t *testing.T) {
	t.Parallel()
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nX-Hint: 1\r\n\r\n"
	interim := map[string]string{
		"hints":      hints,
		"processing": "HTTP/1.1 102 Processing\r\n\r\n",
		"continue":   "HTTP/1.1 100 Continue\r\n\r\n",
		"several":    hints + "HTTP/1.1 102 Processing\r\n\r\n" + hints,
	}
	up := newRecorder(t, func(m message) string {
		return interim[strings.TrimPrefix(m.target, api+"/")] + withLength("200 OK", "X-Final: 1\r\n", "final")
	})
	s := up.sidecar(t)
	for name := range interim {
		t.Run(name, func(t *testing.T) {
			want := request(t, up.dial(t), direct("GET", api+"/"+name, "", ""))
			got := request(t, s.dial(t), through("GET", api+"/"+name, "", ""))
			if len(want.interim) == 0 {
				t.Fatal("the direct call met none")
			}
			if len(got.interim) != 0 {
				t.Errorf("passed on: %v", got.interim)
			}
			mustMatch(t, got, want)
		})
	}
}

// What differs from a direct call after all is what docs/reference/fidelity.md admits, and no more.
func TestDifferencesAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, scripted(map[string]string{
		"typed":    "HTTP/1.1 304 Not Modified\r\nDate: x\r\nETag: \"a\"\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n",
		"dateless": "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\n{}",
		"worded":   withLength("430 Shopify Security Rejection", "", ""),
		"trailer":  inChunks("200 OK", "Trailer: Set-Cookie, X-B, X-A\r\n", "Set-Cookie: a=b\r\nX-B: 1\r\nX-A: 2\r\n", "x"),
	}))
	s := up.sidecar(t)
	call := func(name, header string) reply {
		return request(t, s.dial(t), through("GET", api+"/"+name, header, ""))
	}
	if got := byName(call("typed", "").fields); !reflect.DeepEqual(got, map[string][]string{"date": {"x"}, "etag": {`"a"`}}) {
		t.Errorf("304 came with %q", got)
	}
	dateless := byName(call("dateless", "").fields)
	if len(dateless["date"]) != 1 || len(dateless) != 3 {
		t.Errorf("without a date came %q", dateless)
	}
	if got := call("worded", ""); got.status != 430 || strings.Contains(got.line, "Rejection") {
		t.Errorf("%s: then the documentation can be simpler", got.line)
	}
	if got := call("trailer", ""); !reflect.DeepEqual(byName(got.trailer), map[string][]string{"x-b": {"1"}, "x-a": {"2"}}) ||
		!slices.Equal(byName(got.fields)["trailer"], []string{"X-A, X-B"}) {
		t.Errorf("trailer %q, announced %q", got.trailer, got.fields)
	}
	up.take(t)
	call("dateless", "Pragma: no-cache\r\n")
	if got := up.take(t); len(got) != 1 || !slices.Equal(got[0].get("Pragma"), []string{"no-cache"}) || !slices.Equal(got[0].get("Cache-Control"), []string{"no-cache"}) {
		t.Errorf("%q", got)
	}
}

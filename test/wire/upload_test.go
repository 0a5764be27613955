package wire

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// arrival is what is compared of a request: all but what belongs to the hop.
type arrival struct {
	method, target, body string
	fields               map[string][]string
}

func arrivalOf(m message) arrival {
	fields := byName(m.fields)
	delete(fields, "transfer-encoding")
	return arrival{m.method, m.target, m.body, fields}
}

func TestRequestsArriveAsADirectCallDoes(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, "EVERGATE_REPLAY_BUFFER=1KiB")
	large := strings.Repeat("0123456789abcdef", 1<<10)
	type call struct{ method, target, header, body string }
	calls := map[string]call{
		"bare":               {"GET", "/shop.json", "", ""},
		"query":              {"GET", "/products.json?ids[]=1&ids[]=2&fields=id%2Ctitle&x=a+b%20c&&=&y", "", ""},
		"odd query":          {"GET", "/products.json?q=%zz%&\"<>|^`{}\\&//..//;u=1?w=3#x", "", ""},
		"escapes":            {"GET", "/products/%41%e2%82%AC%C3%a9~!$&'()*+,=:@.json?%6cimit=1", "", ""},
		"dots and such":      {"GET", "/products/a..b;c=d,e!$&'()*+:@~.json", "", ""},
		"escaped letters":    {"GET", "/%70roducts.json?%6cimit=1", "", ""},
		"escapes in a query": {"GET", "/products.json?ids[]=1&page_info=eyJh%3D%3D&q=%c3%A9", "", ""},
		"empty query":        {"GET", "/products.json?", "", ""},
		"raw bytes":          {"GET", "/products/\xc3\xa9.json?\xe2\x82\xac=\xff", "", ""},
		"accept gzip":        {"GET", "/shop.json", "Accept-Encoding: gzip\r\n", ""},
		"accept much":        {"GET", "/shop.json", "Accept-Encoding: br;q=0.5, gzip, *;q=0\r\nAccept-Encoding: zstd\r\n", ""},
		"accept nothing":     {"GET", "/shop.json", "Accept-Encoding:\r\n", ""},
		"usual header":       {"GET", "/shop.json", "User-Agent: Shopify API Library v1\r\nAccept: */*\r\naccept-language: de\r\nX-Request-Id: r-1\r\nShopify-GraphQL-Cost-Debug: 1\r\n", ""},
		"empty agent":        {"GET", "/shop.json", "User-Agent:\r\n", ""},
		"two agents":         {"GET", "/shop.json", "User-Agent: a\r\nUser-Agent: b\r\n", ""},
		"fields twice":       {"GET", "/shop.json", "X-A: 2\r\nX-B: x\r\nX-A: 1\r\nx-a: 3\r\n", ""},
		"odd values":         {"GET", "/shop.json", "X-Tab: a\tb\r\nX-Bytes: \xc3\xa4\xff\r\nX-Empty:\r\nX-Quoted: \"a,\\\"b\"\r\nX-Under_Score: 1\r\n", ""},
		"conditional":        {"GET", "/shop.json", "If-None-Match: W/\"x\"\r\nRange: bytes=0-1\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n", ""},
		"idempotent":         {"POST", "/graphql.json", "Idempotency-Key: k-1\r\nX-Idempotency-Key: k-2\r\nContent-Length: 2\r\n", "{}"},
		"head":               {"HEAD", "/shop.json", "", ""},
		"options":            {"OPTIONS", "/shop.json", "", ""},
		"own method":         {"M-SEARCH", "/shop.json", "", ""},
		"delete":             {"DELETE", "/products/1.json", "", ""},
		"delete with a body": {"DELETE", "/products/1.json", "Content-Length: 2\r\n", "{}"},
		"get with a body":    {"GET", "/shop.json", "Content-Length: 2\r\n", "{}"},
		"post of nothing":    {"POST", "/products.json", "Content-Length: 0\r\n", ""},
		"post":               {"POST", "/products.json", "Content-Length: 4\r\nContent-Type: application/json\r\n", "\x00\xff\r\n"},
		"post untyped":       {"POST", "/products.json", "Content-Length: 2\r\n", "{}"},
		"post gzip":          {"POST", "/products.json", "Content-Encoding: gzip\r\nContent-Length: " + strconv.Itoa(len(gzipped("{}"))) + "\r\n", gzipped("{}")},
		"post large":         {"POST", "/products.json", "Content-Length: " + strconv.Itoa(len(large)) + "\r\n", large},
		"put in chunks":      {"PUT", "/products/1.json", "Transfer-Encoding: chunked\r\n", "5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n"},
		"get in chunks":      {"GET", "/shop.json", "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"},
		"large in chunks":    {"POST", "/products.json", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", len(large), large, len(large), large)},
		"multipart":          {"POST", "/products.json", "Content-Type: multipart/form-data; boundary=\"x\"\r\nContent-Length: 8\r\n", "--x--\r\n\r"},
	}
	for _, size := range []int{1, 1024, 1025, 1 << 20} { // below and above what is kept to be sent again
		body := strings.Repeat("\x00\xff\r\n {\"a\": 1 }\t", size/12+1)[:size]
		calls[fmt.Sprintf("%d bytes", size)] = call{"POST", "/products.json", fmt.Sprintf("Content-Length: %d\r\n", size), body}
		calls[fmt.Sprintf("%d bytes in a chunk", size)] = call{"POST", "/products.json", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body)}
	}
	for name, c := range calls {
		t.Run(name, func(t *testing.T) {
			request(t, up.dial(t), direct(c.method, api+c.target, c.header, c.body))
			want := up.take(t)
			request(t, s.dial(t), through(c.method, api+c.target, c.header, c.body))
			got := up.take(t)
			if len(want) != 1 || len(got) != 1 {
				t.Fatalf("%d arrived, directly %d", len(got), len(want))
			}
			if g, w := arrivalOf(got[0]), arrivalOf(want[0]); !reflect.DeepEqual(g, w) {
				t.Errorf("arrived  %.2000q\ndirectly %.2000q", g, w)
			}
		})
	}
}

func TestChunksOfNothingBecomeNoBody(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t)
	for _, method := range []string{"GET", "DELETE", "POST"} {
		request(t, s.dial(t), through(method, api+"/x.json", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"))
		if got := up.take(t); len(got) != 1 || got[0].body != "" || got[0].get("Content-Length") != nil {
			t.Errorf("%s: %q", method, got)
		}
	}
}

// What a client says that is not for Shopify, beside what is.
func TestCredentialsAndHopByHopFieldsEndHere(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t)
	const here = "http://localhost"
	for name, c := range map[string]struct {
		line, header string
		want         map[string][]string
	}{
		"all that ends here": {"HTTP/1.1\r\nHost: localhost", strings.Join([]string{
			"Authorization: Bearer shpat_ofTheClient", "Proxy-Authorization: Basic eDp5", "Cookie: a=b",
			"X-Shopify-Access-Token: shpat_ofTheClient", "x-shopify-access-token: shpat_again",
			"X_Shopify_Access_Token: shpat_underscore", "X-Shopify_Access-Token: shpat_mixed",
			"Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil.example", "X_Forwarded_Proto: http",
			"Origin: " + here, "Referer: " + here + "/", "TE: trailers", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
			"Connection: keep-alive, X-Of-This-Hop, X-Shopify-Access-Token", "X-Of-This-Hop: 1",
			"X-Stays: one", "X-Stays: two", "Accept-Encoding: br;q=0.5, gzip", "accept: */*", "User-Agent: Legacy/1.0", "",
		}, "\r\n"), map[string][]string{"x-stays": {"one", "two"}, "accept-encoding": {"br;q=0.5, gzip"}, "accept": {"*/*"}, "user-agent": {"Legacy/1.0"}}},
		"upgrade to h2c":         {"HTTP/1.1\r\nHost: localhost", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n", nil},
		"HTTP/1.0 says no more":  {"HTTP/1.0", "", nil},
		"nor does a bare client": {"HTTP/1.1\r\nHost: localhost", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			request(t, s.dial(t), "GET "+api+"/shop.json "+c.line+"\r\n"+c.header+"\r\n")
			arrived := up.take(t)
			if len(arrived) != 1 {
				t.Fatalf("%d arrived", len(arrived))
			}
			want := map[string][]string{"host": {shopDomain}, "x-shopify-access-token": {accessToken}}
			maps.Copy(want, c.want)
			if got := byName(arrived[0].fields); !reflect.DeepEqual(got, want) {
				t.Errorf("arrived %q\nwant    %q", got, want)
			}
		})
	}
}

// patient is an upstream that sees the header of a request before anything else happens.
type patient struct {
	*recorder
	heads chan message
	say   func(message) string // what follows the header at once; a final answer ends the connection
}

func newPatient(t *testing.T, say func(message) string) *patient {
	p := &patient{recorder: newRecorder(t, nil), heads: make(chan message, 16), say: say}
	p.head = func(conn net.Conn, m message) bool {
		p.heads <- m
		now := p.say(m)
		_, _ = io.WriteString(conn, now)
		return now == "" || strings.HasPrefix(now, "HTTP/1.1 100")
	}
	return p
}

const proceed = "HTTP/1.1 100 Continue\r\n\r\n"

// expecting is a POST whose body is too long to be read ahead and waits for leave.
func expecting(framing string) string {
	return through("POST", api+"/x.json", "Expect: 100-continue\r\n"+framing+"\r\n", "")
}

func TestUploadThatWaitsForLeaveGetsShopifys(t *testing.T) {
	t.Parallel()
	for framing, body := range map[string]string{"Content-Length: 5000": strings.Repeat("x", 5000), "Transfer-Encoding: chunked": hello} {
		t.Run(framing, func(t *testing.T) {
			p := newPatient(t, func(message) string { return proceed })
			s := p.sidecar(t, "EVERGATE_REPLAY_BUFFER=1KiB")
			conn := s.dial(t)
			if _, err := io.WriteString(conn, expecting(framing)); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			line := mustReadLine(t, in)
			select {
			case m := <-p.heads:
				if got := m.get("Expect"); len(got) != 1 || got[0] != "100-continue" {
					t.Errorf("Shopify was not asked: %q", m.fields)
				}
			default:
				t.Error("the client got leave before Shopify was asked")
			}
			if line != "HTTP/1.1 100 Continue\r\n" || mustReadLine(t, in) != "\r\n" {
				t.Fatalf("%q", line)
			}
			if _, err := io.WriteString(conn, body); err != nil {
				t.Fatal(err)
			}
			if r := readReply(t, in, "POST"); r.status != 200 {
				t.Error(r.line)
			}
		})
	}
}

func TestUploadThatWaitsForLeaveIsRefusedBeforeItBegins(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"Content-Length: 5000", "Transfer-Encoding: chunked"} {
		t.Run(framing, func(t *testing.T) {
			p := newPatient(t, func(message) string { return withLength("413 Content Too Large", "Connection: close\r\n", "no") })
			s := p.sidecar(t, "EVERGATE_REPLAY_BUFFER=1KiB")
			conn := s.dial(t)
			if _, err := io.WriteString(conn, expecting(framing)); err != nil {
				t.Fatal(err)
			}
			r := readReply(t, bufio.NewReader(conn), "POST")
			if r.status != 413 || r.body != "no" || len(r.interim) > 0 {
				t.Errorf("%v, then %s %q", r.interim, r.line, r.body)
			}
			// Whether the body comes after all, the client alone knows: the connection ends.
			_, _ = io.WriteString(conn, "GET "+api+"/smuggled.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
			_ = conn.(*net.TCPConn).CloseWrite() // it may wait for the rest
			if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Error("the connection goes on")
			}
			if got := p.take(t); len(got) > 0 {
				t.Errorf("arrived: %q", got)
			}
		})
	}
}

func TestShortUploadThatWaitsForLeaveGetsItAtOnce(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t)
	conn := s.dial(t)
	if _, err := io.WriteString(conn, expecting("Content-Length: 5")); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line := mustReadLine(t, in); line != "HTTP/1.1 100 Continue\r\n" || mustReadLine(t, in) != "\r\n" {
		t.Fatalf("%q", line)
	}
	_, _ = io.WriteString(conn, "hello")
	if r := readReply(t, in, "POST"); r.status != 200 {
		t.Error(r.line)
	}
	if got := up.take(t); len(got) != 1 || got[0].body != "hello" || len(got[0].get("Expect")) > 0 {
		t.Errorf("%q", got) // it has the body, so there is nothing to wait for
	}
}

func mustReadLine(t *testing.T, in *bufio.Reader) string {
	t.Helper()
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

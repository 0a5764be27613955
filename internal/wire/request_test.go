package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func TestOrdinaryRequestsAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		head, method, target, host string
		length                     int64
		closes                     bool
	}{
		{"GET /admin/api/2026-10/shop.json?a=%20&b HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", "GET", "/admin/api/2026-10/shop.json?a=%20&b", "localhost:8080", 0, false},
		{"POST /a HTTP/1.1\r\nhost: [::1]:80\r\nConnection: close\r\nContent-Length: 12\r\n\r\n", "POST", "/a", "[::1]:80", 12, true},
		{"POST /a HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n", "POST", "/a", "x", 0, false},
		{"DELETE / HTTP/1.1\r\nContent-Length: 0\r\nHost: x\r\n\r\n", "DELETE", "/", "x", 0, false},
	} {
		var r Request
		if v := r.Parse([]byte(c.head + "rest")); v != Understood {
			t.Errorf("%q: %v", c.head, v)
			continue
		}
		if r.Method() != c.method || string(r.Target()) != c.target || string(r.Host()) != c.host || r.Length != c.length || r.Close != c.closes || r.Size() != len(c.head) {
			t.Errorf("%q: %s %s %s %d %v %d", c.head, r.Method(), r.Target(), r.Host(), r.Length, r.Close, r.Size())
		}
	}
}

// foreignRequests are heads that others have read in two ways, or that ask for more than a request and its answer.
var foreignRequests = []string{
	"get / HTTP/1.1\r\nHost: x\r\n\r\n",
	"PROPFIND / HTTP/1.1\r\nHost: x\r\n\r\n",
	"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
	"GET / HTTP/2.0\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET /\r\nHost: x\r\n\r\n",
	"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /  HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
	"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET / HTTP/1.1\nHost: x\n\n",
	"GET / HTTP/1.1\r\nHost: x\n\r\n",
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost:\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
	"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
	"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 01\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-A\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nTrailer: X\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nHTTP2-Settings: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nPragma: no-cache\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", MaxFields) + "\r\n",
	"GET /" + strings.Repeat("a", MaxHead) + " HTTP/1.1\r\nHost: x\r\n\r\n",
}

func TestWhatHasTwoReadingsIsAForeignRequest(t *testing.T) {
	t.Parallel()
	for _, head := range foreignRequests {
		var r Request
		if v := r.Parse([]byte(head)); v != Foreign {
			t.Errorf("%.80q: %v", head, v)
		}
	}
}

// FuzzRequest compares what is Understood with what net/http reads: the same method, target, fields, body and rest.
func FuzzRequest(f *testing.F) {
	for _, head := range foreignRequests {
		f.Add([]byte(head + "body"))
	}
	f.Add([]byte("POST /a?b=c HTTP/1.1\r\nHost: x\r\nx-a:  b \r\nX-A:\tc\r\ncontent-length: 4\r\nConnection: close\r\n\r\nbodyGET / HTTP/1.1\r\n"))
	f.Add([]byte("OPTIONS / HTTP/1.1\r\nA:\r\nhOST: [::1]:8\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var r Request
		v := r.Parse(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the buffer was changed")
		}
		if v == Foreign {
			return
		}
		for i := range min(len(b), r.size, 400) {
			var part Request
			if got := part.Parse(b[:i]); got != Incomplete {
				t.Fatalf("%v after %d bytes of %q", got, i, b)
			}
		}
		if v == Incomplete {
			return
		}
		reader := bufio.NewReaderSize(bytes.NewReader(before), len(b)+1)
		want, err := http.ReadRequest(reader)
		if err != nil {
			if strings.Contains(err.Error(), "parse ") { // an escape in the target that is none: whoever uses Parse looks at that
				return
			}
			t.Fatalf("%q: net/http: %v", b, err)
		}
		if reader.Buffered() != len(b)-r.Size() {
			t.Fatalf("%q: the head has %d bytes, to net/http %d", b, r.Size(), len(b)-reader.Buffered())
		}
		if want.Method != r.Method() || want.RequestURI != string(r.Target()) || want.Host != string(r.Host()) || want.ContentLength != r.Length || want.Close != r.Close ||
			want.TransferEncoding != nil || want.Trailer != nil || !want.ProtoAtLeast(1, 1) || want.ProtoMajor != 1 {
			t.Fatalf("%q: %s %s %s %d %v, net/http: %+v", b, r.Method(), r.Target(), r.Host(), r.Length, r.Close, want)
		}
		header := map[string][]string{}
		if target, host := r.Fill(header); target != want.RequestURI || host != want.Host {
			t.Fatalf("%q: %s %s beside the header", b, target, host)
		}
		sameHeader(t, header, want.Header)
	})
}

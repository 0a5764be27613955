package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"evergate/test/corpus"
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
	for _, a := range corpus.All() {
		if sent := a.Bytes(); len(sent) < 1000 {
			f.Add([]byte(sent))
		}
	}
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

// FuzzRequestAgain compares what is said of a request by who has read another one before with what is said by who has not.
func FuzzRequestAgain(f *testing.F) {
	for _, heads := range [][2]string{
		{"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n", "DELETE /a HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nGET"},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nA: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nA: b\r\n\r\n"},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"},
		{"POST / HTTP/1.1\r\nContent-Length: 9\r\nHost: x\r\nConnection: close\r\n\r\n", "POST /b HTTP/1.1\r\nContent-Length: 123456789012345678\r\nHost: x\r\nConnection: close\r\n\r\n"},
		{"POST / HTTP/1.1\r\nContent-Length: 9\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 1234567890123456789\r\nHost: x\r\n\r\n"},
		{"POST / HTTP/1.1\r\nContent-Length: 9\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 09\r\nHost: x\r\n\r\n"},
		{"POST / HTTP/1.1\r\nContent-Length: 9\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 9 \r\nHost: x\r\n\r\n"},
		{"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /" + strings.Repeat("a", MaxHead-30) + " HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		f.Add([]byte(heads[0]), []byte(heads[1]))
		f.Add([]byte(heads[1]), []byte(heads[0]))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var r Request
		var kept map[string][]string
		if r.Parse(bytes.Clone(first)) == Understood && r.Keep() {
			kept = r.Header()
		}
		for range 2 {
			var fresh Request
			for i := range min(len(second), 400) { // as it comes
				if got, want := r.Parse(second[:i]), fresh.Parse(second[:i]); got != want {
					t.Fatalf("%q after %q: %v, alone %v", second[:i], first, got, want)
				}
			}
			b := bytes.Clone(second)
			got, want := r.Parse(b), fresh.Parse(bytes.Clone(second)) // Header changes what it is read from
			if !bytes.Equal(b, second) {
				t.Fatal("the buffer was changed")
			}
			if got != want {
				t.Fatalf("%q after %q: %v, alone %v", second, first, got, want)
			}
			if got != Understood {
				return
			}
			if r.Length != fresh.Length || r.Close != fresh.Close || r.Size() != fresh.Size() || r.Method() != fresh.Method() || string(r.Target()) != string(fresh.Target()) || string(r.Host()) != string(fresh.Host()) {
				t.Fatalf("%q after %q: %+v, alone %+v", second, first, r, fresh)
			}
			if !r.Same {
				sameHeader(t, r.Header(), fresh.Header())
				r.Parse(bytes.Clone(second))
				r.Keep() // what is the same again is found the second time
				kept = r.Header()
				continue
			}
			if _, declared := kept["Content-Length"]; declared != fresh.declared {
				t.Fatalf("%q is not the same as what was kept", second)
			} else if declared {
				kept["Content-Length"] = []string{strconv.FormatInt(r.Length, 10)}
			}
			sameHeader(t, kept, fresh.Header())
		}
	})
}

func TestTheSameFieldsAreKnownAgain(t *testing.T) {
	t.Parallel()
	var r Request
	for i, head := range []string{
		"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nA: b\r\n\r\n",
		"POST /abc HTTP/1.1\r\nHost: x\r\nContent-Length: 1234\r\nA: b\r\n\r\n",
		"PUT /abc HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nA: b\r\n\r\n",
	} {
		if v := r.Parse([]byte(head)); v != Understood || r.Same != (i > 0) || string(r.Host()) != "x" {
			t.Errorf("%q: %v, the same %v, Host %q", head, v, r.Same, r.Host())
		}
		if i == 0 && !r.Keep() {
			t.Error("it is not kept")
		}
	}
	long := Request{}
	if v := long.Parse([]byte("GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", longestKept) + "\r\n\r\n")); v != Understood || long.Keep() {
		t.Errorf("%v, and a long one is kept", v)
	}
}

package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func TestOrdinaryAnswersAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		head                     string
		status                   int
		length, declared         int64
		chunked, closes, forHead bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-A: b, c\r\n\r\n", 200, 12, 12, false, false, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 200, 0, 12, false, false, true},
		{"HTTP/1.1 404 \r\ncontent-length:0\r\nConnection: Keep-Alive, Close\r\n\r\n", 404, 0, 0, false, true, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", 200, -1, -1, true, false, false},
		{"HTTP/1.1 204 No Content\r\n\r\n", 204, 0, -1, false, false, false},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, 0, 5, false, false, false},
		{"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 103, 0, -1, false, false, false},
	} {
		var r Response
		if v := r.Parse([]byte(c.head+"rest"), c.forHead); v != Understood {
			t.Errorf("%q: %v", c.head, v)
			continue
		}
		if r.Status != c.status || r.Length != c.length || r.Declared != c.declared || r.Chunked != c.chunked || r.Close != c.closes || r.Size() != len(c.head) {
			t.Errorf("%q: %d, length %d, declared %d, chunked %v, close %v, size %d", c.head, r.Status, r.Length, r.Declared, r.Chunked, r.Close, r.Size())
		}
	}
}

// foreign are heads that others have read in two ways.
var foreign = []string{
	"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 20 OK\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 2000 OK\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200OK\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1  200 OK\r\nContent-Length: 1\r\n\r\n",
	"http/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
	"\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200 OK\nContent-Length: 1\n\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 01\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX-A: b\x00\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX-A: \xe9\r\nContent-Length: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\n\r\n", // as long as the connection lives
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\n",
	"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", MaxFields) + "Content-Length: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", MaxHead) + "\r\nContent-Length: 1\r\n\r\n",
}

func TestWhatHasTwoReadingsIsForeign(t *testing.T) {
	t.Parallel()
	for _, head := range foreign {
		var r Response
		if v := r.Parse([]byte(head), false); v != Foreign {
			t.Errorf("%.80q: %v", head, v)
		}
	}
}

// FuzzResponse compares what is Understood with what net/http reads.
func FuzzResponse(f *testing.F) {
	for _, head := range foreign {
		f.Add([]byte(head+"body"), false)
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nx-a:  b \r\nX-A:\tc\r\nConnection: close\r\n\r\nbodyrest"), false)
	f.Add([]byte("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"), false)
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"), true)
	f.Add([]byte("HTTP/1.1 304 \r\nContent-Length: 4\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, toHead bool) {
		before := bytes.Clone(b)
		var r Response
		v := r.Parse(b, toHead)
		if !bytes.Equal(b, before) {
			t.Fatal("the buffer was changed")
		}
		if v == Foreign {
			return
		}
		for i := range min(len(b), r.size, 400) { // what is good in the end was never bad, and never too early at its end
			var part Response
			if got := part.Parse(b[:i], toHead); got != Incomplete {
				t.Fatalf("%v after %d bytes of %q", got, i, b)
			}
		}
		if v == Incomplete {
			return
		}
		method := http.MethodGet
		if toHead {
			method = http.MethodHead
		}
		reader := bufio.NewReaderSize(bytes.NewReader(b), len(b)+1)
		want, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: net/http: %v", b, err)
		}
		if reader.Buffered() != len(b)-r.Size() {
			t.Fatalf("%q: the head has %d bytes, to net/http %d", b, r.Size(), len(b)-reader.Buffered())
		}
		length := r.Length
		if toHead {
			length = r.Declared
		}
		if want.StatusCode != r.Status || want.ContentLength != length || want.Close != r.Close || (len(want.TransferEncoding) > 0) != r.Chunked || len(want.Trailer) > 0 {
			t.Fatalf("%q: %d %d %v %v, net/http: %d %d %v %v", b, r.Status, length, r.Close, r.Chunked, want.StatusCode, want.ContentLength, want.Close, want.TransferEncoding)
		}
		sameHeader(t, r.Header(), want.Header)
	})
}

func sameHeader(t *testing.T, got, want http.Header) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%q, net/http: %q", got, want)
	}
	for name, values := range want {
		if strings.Join(values, "\x00") != strings.Join(got[name], "\x00") || len(values) != len(got[name]) {
			t.Fatalf("%s: %q, net/http: %q", name, got[name], values)
		}
	}
}

func TestSizesOfChunks(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		size int64
		line int
		v    Verdict
	}{
		"0\r\n": {0, 3, Understood}, "1a\r\nx": {26, 4, Understood}, "FfF\r\n": {0xfff, 5, Understood}, "000\r\n": {0, 5, Understood},
		"123456789abcdef\r\n": {0x123456789abcdef, 17, Understood}, "": {}, "1": {}, "1\r": {},
		"\r\n": {v: Foreign}, "1 \r\n": {v: Foreign}, "1;a=b\r\n": {v: Foreign}, "1\n": {v: Foreign}, "1\rx": {v: Foreign}, "-1\r\n": {v: Foreign}, "0x1\r\n": {v: Foreign},
		"1234567890abcdef\r\n": {v: Foreign}, "g\r\n": {v: Foreign},
	} {
		size, line, v := ChunkSize([]byte(in))
		if v != want.v || v == Understood && (size != want.size || line != want.line) {
			t.Errorf("%q: %d %d %v, want %v", in, size, line, v, want)
		}
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	b := []byte("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-A: b, c\r\nX-B: c\r\n\r\n")
	r := new(Response)
	if n := testing.AllocsPerRun(100, func() {
		if r.Parse(b, false) != Understood {
			t.Fatal("not understood")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package wire

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"evergate/test/corpus"
)

var doubts = map[string]Doubt{
	"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                                             "",
	"GET / HTTP/1.1\nHost: x\r\n\r\n":                                               BareLF,
	"GET / HTTP/1.1\r\nHost: x\n\r\n":                                               BareLF,
	"GET / HTTP/1.1\r\nHost: x\r\n\n":                                               BareLF,
	"GET / HTTP/1.1\r\nA: \rb\r\n\r\n":                                              BareCR,
	"GET / HTTP/1.1\r\nA: b\r\r\n\r\n":                                              BareCR,
	"GET / HTTP/1.1\r\nA: b\r\n c\r\n":                                              Folded,
	"GET / HTTP/1.1\r\n\tA: b\r\n":                                                  Folded,
	"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n":    TwoLengths,
	"POST / HTTP/1.0\r\nTRANSFER-ENCODING: gzip\r\ncontent-length:\r\n\r\n":         TwoLengths,
	"POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n":   TwoLengths,
	"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: content-length: 3\r\n\r\n": "",
	"\x16\x03\x01\n": "", "garbage\n": "", "\r\nGET / HTTP/1.1\r\n\r\n": "", "GET / HTTP/1.1\r\n": "", "": "",
}

func TestAHeadThatCanBeReadInTwoWaysIsDoubted(t *testing.T) {
	t.Parallel()
	for head, want := range doubts {
		var whole, bytewise Scan
		got, v := whole.Look([]byte(head))
		if got != want {
			t.Errorf("%q: %q, want %q", head, got, want)
		}
		d, w := Doubt(""), Incomplete
		for n := 0; n <= len(head) && w == Incomplete; n++ {
			d, w = bytewise.Look([]byte(head[:n]))
		}
		if d != got || w != v || bytewise != whole {
			t.Errorf("%q byte by byte: %q %v %+v, whole: %q %v %+v", head, d, w, bytewise, got, v, whole)
		}
	}
}

func FuzzScan(f *testing.F) {
	for head := range doubts {
		f.Add([]byte(head))
	}
	for _, a := range corpus.All() {
		if sent := a.Bytes(); len(sent) < 1000 {
			f.Add([]byte(sent))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Scan
		doubt, v := s.Look(b)
		r := bufio.NewReaderSize(bytes.NewReader(b), len(b)+16)
		req, err := http.ReadRequest(r)
		if err != nil || doubt != "" || v == Incomplete {
			return // net/http refuses it, or we do
		}
		if req.ProtoMajor != 1 || slices.ContainsFunc(slices.Collect(maps.Keys(req.Header)), func(name string) bool { return !IsToken(name) }) {
			return // its server refuses these, which ReadRequest takes
		}
		if v != Understood {
			t.Fatalf("%q is a request to net/http", b)
		}
		if took := len(b) - r.Buffered(); took != s.Size {
			t.Fatalf("%q: the head has %d bytes to net/http, %d here", b, took, s.Size)
		}
		head := string(b[:s.Size])
		if plain := strings.ReplaceAll(head, "\r\n", ""); strings.ContainsAny(plain, "\r\n") || strings.Contains(head, "\r\n ") || strings.Contains(head, "\r\n\t") {
			t.Fatalf("%q was not doubted", head)
		}
		if req.TransferEncoding != nil && strings.Contains(strings.ToLower(head), "\r\ncontent-length:") {
			t.Fatalf("%q has two lengths", head)
		}
		if req.ProtoAtLeast(1, 1) && req.TransferEncoding == nil && req.ContentLength != s.Length && s.Length >= 0 {
			t.Fatalf("%q: %d bytes of a body to net/http, %d here", head, req.ContentLength, s.Length)
		}
		_, _ = io.Copy(io.Discard, req.Body)
		if rest := len(b) - r.Buffered() - s.Size; s.Length >= 0 && int64(rest) > s.Length {
			t.Fatalf("%q: net/http read %d bytes behind the head, %d are its body", head, rest, s.Length)
		}
	})
}

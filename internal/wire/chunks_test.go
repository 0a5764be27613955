package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

var bodies = map[string]int{ // how long the body is; 0: it has no end
	"0\r\n\r\n":                             5,
	"3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1":   13,
	"3;a=b\r\nabc\r\n0 \t\r\n\r\nx":         19,
	"0000000000000003\r\nabc\r\n00\r\n\r\n": 29,
	"00000000000000003\r\nabc\r\n0\r\n\r\n": 0,
	"A\r\n0123456789\r\n0\r\n\r\n":          20,
	"0\r\nA: b\r\nC: d\r\n\r\nx":            17,
	"0\r\nA: b\nC: d\r\n\r\n":               0,
	"0\r\nA: b\rC: d\r\n\r\n":               0,
	"0\r\n\n":                               0,
	"3\r\nabc\r\n0\r\n\nGET / HTTP/1.1":     0,
	"3;a=\"\r\nb\"\r\nabc\r\n0\r\n\r\n":     0,
	"3;a=b\nabc\r\n0\r\n\r\n":               0,
	"0\n\r\n":                               0, "3\r\nabcd\r\n0\r\n\r\n": 0, ";\r\n\r\n": 0, "\r\n\r\n": 0, "3\rabc": 0, "g\r\n": 0, "": 0,
}

func TestTheEndOfABodyInChunksIsFound(t *testing.T) {
	t.Parallel()
	for body, want := range bodies {
		for _, piece := range []int{1, 2, 3, 100} {
			var c Chunks
			at, end := 0, false
			for at < len(body) && !end {
				var n int
				n, end = c.Follow([]byte(body[at:min(at+piece, len(body))]))
				at += n
			}
			if end != (want > 0) || end && at != want {
				t.Errorf("%q in pieces of %d: %d %v, want %d", body, piece, at, end, want)
			}
		}
	}
}

func FuzzChunks(f *testing.F) {
	for body := range bodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Chunks
		n, end := c.Follow(b)
		const head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		r := bufio.NewReaderSize(bytes.NewReader(append([]byte(head), b...)), len(head)+len(b)+16)
		req, err := http.ReadRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.Copy(io.Discard, req.Body); err != nil {
			return // net/http ends the connection
		}
		if !end && c.state == partLost && bytes.Contains(bytes.ReplaceAll(b, []byte("\r\n"), nil), []byte("\n")) {
			return // it takes LF alone in a trailer
		}
		if took := len(b) - r.Buffered(); !end || n != took {
			t.Errorf("%q has %d bytes here (%v), %d to net/http", b, n, end, took)
		}
		req, err = http.ReadRequest(bufio.NewReader(strings.NewReader(head + string(b[:n]))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.Copy(io.Discard, req.Body); err != nil {
			t.Errorf("%q: net/http looks behind its end: %v", b[:n], err)
		}
	})
}

package wire

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
)

// byLength sorts fields by their names' lengths, which a fuzzer reaches every way of.
func byLength(name []byte) (known string, use Use) {
	switch len(name) % 3 {
	case 0:
		return string(name), Read
	case 1:
		return "", Dropped
	}
	return "", Passed
}

// FuzzSplit compares what is split with the whole header.
func FuzzSplit(f *testing.F) {
	for _, head := range foreign {
		f.Add([]byte(head))
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nABC: \r\nabc: 1\r\nab: 2\r\nAb:3 \r\na: 4\r\nconnection: keep-alive\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nabcdef: 1\r\nabc: 1\r\nAbc: 2\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nab: 1\r\nConnection: close, ab\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, split Response
		if whole.Parse(bytes.Clone(b), false) != Understood {
			return
		}
		all := whole.Header()
		split.Parse(bytes.Clone(b), false)
		got := make(http.Header)
		lines, ok := split.Split(got, []byte("before"), byLength)
		text, kept := strings.CutPrefix(string(lines), "before")
		if !kept {
			t.Fatalf("%q: what was there is gone: %q", b, lines)
		}
		if !ok {
			for _, value := range all["Connection"] {
				if !strings.EqualFold(value, "keep-alive") && !strings.EqualFold(value, "close") {
					if text != "" || len(got) > 0 {
						t.Fatalf("%q was split all the same: %q %q", b, lines, got)
					}
					sameHeader(t, split.Header(), all)
					return
				}
			}
			if !split.Close {
				t.Fatalf("%q was not split", b)
			}
			return
		}
		read, passed := make(http.Header), make(http.Header)
		for name, values := range all {
			switch _, use := byLength([]byte(name)); use {
			case Read:
				read[name] = values
			case Passed:
				passed[name] = values
			case Dropped:
			}
		}
		sameHeader(t, got, read)
		lined := make(http.Header)
		for line := range strings.Lines(text) {
			line, ended := strings.CutSuffix(line, "\r\n")
			name, value, cut := strings.Cut(line, ": ")
			if !ended || !cut || textproto.CanonicalMIMEHeaderKey(name) != name {
				t.Fatalf("%q: the line %q", b, line)
			}
			lined[name] = append(lined[name], value)
		}
		sameHeader(t, lined, passed)
	})
}

package wire

import (
	"bytes"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// byLength sorts fields by their names' lengths, which a fuzzer reaches every way of.
var byLength = Sort{Of: func(name []byte) (known string, use Use) {
	switch len(name) % 3 {
	case 0:
		return string(name), Read
	case 1:
		return "", Dropped
	}
	return "", Passed
}}

// FuzzSplit compares what is split with the whole header. One Response reads answers one after the other, as those of a connection come.
func FuzzSplit(f *testing.F) {
	for _, head := range foreign {
		f.Add([]byte(head), []byte("HTTP/1.1 204 No Content\r\nabc: 1\r\n\r\n"))
	}
	for _, heads := range [][2]string{
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nABC: \r\nabc: 1\r\nab: 2\r\nAb:3 \r\na: 4\r\nconnection: keep-alive\r\n\r\n", "HTTP/1.1 204 N\r\nabc: 1\r\nab: 5\r\na: 4\r\nab: 6\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nabcdef: 1\r\nabc: 1\r\nAbc: 2\r\n\r\n", "HTTP/1.1 204 N\r\nConnection: x\r\nabc: 1\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nab: 1\r\nConnection: close, ab\r\n\r\n", "HTTP/1.1 204 N\r\nabb: 1\r\nab:2\r\n\r\n"},
	} {
		f.Add([]byte(heads[0]), []byte(heads[1]))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var r Response
		for range 2 {
			for _, head := range [][]byte{first, second} {
				splitsAsWhole(t, &r, head)
			}
			r.seen.misses = mostMisses // the second time it learns from the others
		}
	})
}

func splitsAsWhole(t *testing.T, r *Response, b []byte) {
	t.Helper()
	var whole Response
	v := whole.Parse(bytes.Clone(b), false)
	if got := r.Parse(bytes.Clone(b), false); got != v {
		t.Fatalf("%q: %v to who has seen others, %v", b, got, v)
	}
	if v != Understood {
		return
	}
	all := whole.Header()
	got := make(http.Header)
	lines, ok := r.Split(got, []byte("before"), &byLength)
	text, kept := strings.CutPrefix(string(lines), "before")
	if !kept {
		t.Fatalf("%q: what was there is gone: %q", b, lines)
	}
	if !ok {
		if !whole.names || text != "" || len(got) > 0 {
			t.Fatalf("%q was not split, with %q %q", b, lines, got)
		}
		sameHeader(t, r.Header(), all)
		return
	}
	if named := all["Connection"]; !whole.Close && slices.ContainsFunc(named, func(v string) bool { return !strings.EqualFold(v, "keep-alive") }) {
		t.Fatalf("%q was split, though Connection names fields", b)
	}
	read, passed := make(http.Header), make(http.Header)
	for name, values := range all {
		switch _, use := byLength.Of([]byte(name)); {
		case name == "Connection", name == "Transfer-Encoding":
		case use == Read:
			read[name] = values
		case use == Passed:
			passed[name] = values
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
}

// What is learnt of names does not grow with the answers, and their texts are not made anew for each.
func TestNamesAreLearntOnce(t *testing.T) {
	heads := []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nab: 1\r\nabc: 2\r\nvary: x\r\nabcde: y\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nab: 1\r\nvary: x\r\nabcde: y\r\n\r\n", // one is missing
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nab: 1\r\nabc: 2\r\nabcdefgh: 3\r\nvary: x\r\nabcde: y\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + strings.Repeat("x", 2*longestSeen) + ": 1\r\n\r\n",
	}
	known := Sort{Of: func(name []byte) (string, Use) {
		if string(name) == "Content-Length" {
			return "Content-Length", Read
		}
		return "", Passed
	}}
	var r Response
	header, lines, b := make(http.Header), make([]byte, 0, 1<<10), make([]byte, 1<<10)
	if n := testing.AllocsPerRun(3000, func() {
		for _, head := range heads {
			clear(header)
			r.Parse(b[:copy(b, head)], false)
			lines, _ = r.Split(header, lines[:0], &known)
		}
	}); n > 2*float64(len(heads)) { // the text and the list of what is read; those of names come rarely enough to be none
		t.Errorf("%v allocations for %d answers", n, len(heads))
	}
	if len(r.seen.all) > 6 {
		t.Errorf("%d names are remembered", len(r.seen.all))
	}
}

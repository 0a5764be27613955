package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// byLength sorts fields by their names' lengths, which a fuzzer reaches every way of.
var byLength = Sort{Of: func(name []byte) (known string, use Use) {
	switch len(name) % 4 {
	case 0:
		return string(name), Shown
	case 1:
		return "", Dropped
	case 2:
		return "", Passed
	}
	return string(name), Read
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
		{"HTTP/1.1 204 N\r\nAb: 1\r\nAb:\t1\r\nAb: 1\t\r\n\r\n", "HTTP/1.1 204 N\r\nAb:\t1\r\nAb: 1\r\nAb:  1\r\n\r\n"},
		{"HTTP/1.1 304 N\r\nA: x, close\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 304 N\r\nContent-Length: 1\r\nA: x, close\r\n\r\n"},
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
	into := Sorted{Header: got, Passed: []byte("before")}
	ok := r.Split(&into, &byLength)
	text, kept := strings.CutPrefix(string(into.Passed), "before")
	if !kept {
		t.Fatalf("%q: what was there is gone: %q", b, into.Passed)
	}
	if !ok {
		if !whole.names || text != "" || len(got) > 0 {
			t.Fatalf("%q was not split, with %q %q", b, into.Passed, got)
		}
		sameHeader(t, r.Header(), all)
		return
	}
	if named := all["Connection"]; !whole.Close && slices.ContainsFunc(named, func(v string) bool { return !strings.EqualFold(v, "keep-alive") }) {
		t.Fatalf("%q was split, though Connection names fields", b)
	}
	read, passed := make(http.Header), make(http.Header)
	for name, values := range all {
		if name == "Connection" || name == "Transfer-Encoding" {
			continue
		}
		_, use := byLength.Of([]byte(name))
		if use == Read || use == Shown {
			read[name] = values
		}
		if use == Passed || use == Shown {
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
	into, b := Sorted{Header: make(http.Header), Passed: make([]byte, 0, 1<<10)}, make([]byte, 1<<10)
	if n := testing.AllocsPerRun(3000, func() {
		for _, head := range heads {
			into.Again()
			r.Parse(b[:copy(b, head)], false)
			r.Split(&into, &known)
		}
	}); n >= 1 { // what is made for many answers comes rarely enough to be none
		t.Errorf("%v allocations for %d answers", n, len(heads))
	}
	if len(r.seen.all) > 6 {
		t.Errorf("%d names are remembered", len(r.seen.all))
	}
}

// What was read of an answer stays as it was, whatever the next ones say, and where it lies is not made anew for each of them.
func TestWhatWasReadIsKept(t *testing.T) {
	t.Parallel()
	read := Sort{Of: func(name []byte) (string, Use) { return string(name), Read }}
	var r Response
	into := Sorted{Header: make(http.Header)}
	got := make(map[string]string)
	for i := range 500 {
		into.Again()
		id := strings.Repeat(string(rune('a'+i%26)), i%(2*longestText))
		r.Parse(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nId: %s\r\nSame: x\r\nId: %d\r\n\r\n", id, i), false)
		if !r.Split(&into, &read) || len(into.Header) != 3 || into.Header["Same"][0] != "x" || !slices.Equal(into.Header["Id"], []string{id, strconv.Itoa(i)}) {
			t.Fatalf("answer %d: %q", i, into.Header)
		}
		for _, v := range into.Header["Id"] {
			got[strings.Clone(v)] = v
		}
	}
	for want, is := range got {
		if want != is {
			t.Errorf("%q has become %q", want, is)
		}
	}
	into.Again()
	if len(into.Header) > 0 || len(into.Passed) > 0 || slices.ContainsFunc(into.values[:cap(into.values)], func(v string) bool { return v != "" }) {
		t.Errorf("%q is left", into.values[:cap(into.values)])
	}
}

func TestAnAnswerThatSaysSomethingElseNeedsNoMemoryOfItsOwn(t *testing.T) {
	read := Sort{Of: func(name []byte) (string, Use) {
		if string(name) == "X-Request-Id" {
			return "X-Request-Id", Read
		}
		return "", Passed
	}}
	var r Response
	into, b, i := Sorted{Header: make(http.Header), Passed: make([]byte, 0, 1<<10)}, []byte(nil), 0
	if n := testing.AllocsPerRun(3000, func() {
		i++
		into.Again()
		b = append(strconv.AppendInt(append(b[:0], "HTTP/1.1 204 N\r\nVary: a\r\nX-Request-Id: 0a1b2c3d-"...), int64(i), 10), "\r\n\r\n"...)
		r.Parse(b, false)
		r.Split(&into, &read)
	}); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

// A line that is the one of the answer before is not read again, and one that has moved, changed or become another's is.
func TestALineIsWhatItWasOnlyWhereItIsTheSame(t *testing.T) {
	t.Parallel()
	const first = "HTTP/1.1 200 OK\r\nDate: a\r\nContent-Length: 10\r\nVary: x\r\nServer: y\r\nAbc: 1\r\n\r\n"
	for name, second := range map[string]string{
		"the same":           first,
		"another value":      strings.Replace(first, "Date: a", "Date: b", 1),
		"another length":     strings.Replace(first, ": 10", ": 12", 1),
		"a longer value":     strings.Replace(first, "Date: a", "Date: ab", 1),
		"another name":       strings.Replace(first, "Vary", "Ab  "[:2]+"cd", 1),
		"one less":           strings.Replace(first, "Vary: x\r\n", "", 1),
		"one more":           strings.Replace(first, "Vary: x\r\n", "Vary: x\r\nAb: x\r\n", 1),
		"none at the end":    strings.Replace(first, "Abc: 1\r\n", "", 1),
		"another status":     strings.Replace(first, "200 OK", "204 No", 1),
		"a length in place":  strings.Replace(first, "Content-Length: 10", "content-length: 11", 1),
		"nothing":            "HTTP/1.1 204 N\r\n\r\n",
		"a line without end": strings.Replace(first, "Vary: x\r\n", "Vary: x\n\n", 1),
		"a tab":              strings.Replace(first, "Server: y", "Server:\ty", 1),
		"two lengths":        strings.Replace(first, "Vary: x\r\nServer: y", "Content-Length: 10", 1),
	} {
		var r Response
		for _, head := range []string{first, first, first, second, second, first, second} {
			splitsAsWhole(t, &r, []byte(head))
			var alone Response
			if alone.Parse([]byte(head), false) == Understood && (r.Length != alone.Length || r.Declared != alone.Declared || r.Status != alone.Status || r.Close != alone.Close) {
				t.Errorf("%s: %+v, and read alone %+v", name, r.Declared, alone.Declared)
			}
		}
	}
}

// One Response reads answers of a few kinds, split in one way or another or not at all: each is what it would be to one that has read no other.
func TestAnswersBeforeChangeNothing(t *testing.T) {
	t.Parallel()
	some := []string{
		"A: x, close", "Content-Length: 10", "content-length: 10", "Ab: 1", "Ab:\t1", "Ab: 1 ", "ab: 2", "Abc: 3", "Connection: close", "Connection: keep-alive", "Connection: Ab",
		"Transfer-Encoding: chunked", "Vary: x", "Vary:", "X-Request-Id: 1", "X-Request-Id: 2", "Server: y", "Trailer: a", "Pragma: no-cache",
	}
	other := Sort{Of: func(name []byte) (string, Use) {
		if len(name)%2 == 0 {
			return string(name), Read
		}
		return "", Passed
	}}
	random := rand.New(rand.NewPCG(13, 27))
	for range 300 {
		var r Response
		heads := make([]string, 4)
		for i := range heads {
			heads[i] = "HTTP/1.1 304 N\r\n"
			for range random.IntN(6) {
				heads[i] += some[random.IntN(len(some))] + "\r\n"
			}
			heads[i] += "\r\n"
		}
		for range 60 {
			head := heads[random.IntN(len(heads))]
			if random.IntN(20) == 0 {
				r.seen.misses = mostMisses // then names are learnt anew
			}
			switch random.IntN(8) {
			case 0:
				var alone Response
				v := alone.Parse([]byte(head), false)
				if got := r.Parse([]byte(head), false); got != v || v == Understood && (r.Close != alone.Close || r.Declared != alone.Declared) {
					t.Fatalf("%q: %v, and alone %v", head, got, v)
				}
			case 1:
				if r.Parse([]byte(head), false) == Understood {
					r.Split(&Sorted{Header: make(http.Header)}, &other)
				}
			default:
				splitsAsWhole(t, &r, []byte(head))
			}
		}
	}
}

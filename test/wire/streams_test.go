package wire

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// stream is a random sequence of valid requests and what a mutation makes of it.
type stream struct {
	*rand.Rand
	b []byte
}

// pick returns one of the choices.
func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

// newStream writes a few valid requests, one behind the other, each with a mark of its own.
func newStream(seed, n uint64) *stream {
	s := &stream{Rand: rand.New(rand.NewPCG(seed, n))}
	for i := range 1 + s.IntN(4) {
		s.request(fmt.Sprintf("m%d-%d", n, i))
	}
	return s
}

func (s *stream) request(mark string) {
	method := pick(s.Rand, "GET", "GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD")
	target := fmt.Sprintf("%s/%s.json%s", api, mark, pick(s.Rand, "", "?", "?limit=2&x=%2f", "?a=b;c=d&&=%zz", "?q=//..//"))
	lines := []string{fmt.Sprintf("%s %s HTTP/1.1", method, target), "Host: localhost", "X-Mark: " + mark}
	for range s.IntN(4) {
		lines = append(lines, pick(s.Rand, "Accept: */*", "User-Agent: Legacy/1.0", "X-Long: "+strings.Repeat("y", s.IntN(300)), "X-Empty:",
			"X-Shopify-Access-Token: shpat_evil", "Authorization: Bearer x", "Connection: keep-alive", "Cookie: a=b"))
	}
	body := ""
	switch {
	case method == "GET" || method == "HEAD" || s.IntN(4) == 0:
	case s.IntN(2) == 0:
		body = s.content()
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	default:
		body = s.chunked(s.content())
		lines = append(lines, "Transfer-Encoding: chunked")
	}
	s.Shuffle(len(lines)-1, func(i, j int) { lines[1+i], lines[1+j] = lines[1+j], lines[1+i] })
	s.b = fmt.Appendf(s.b, "%s\r\n\r\n%s", strings.Join(lines, "\r\n"), body)
}

// content is a body, which may look like anything.
func (s *stream) content() string {
	return pick(s.Rand, `{"product":{}}`, "\r\n\r\n", "0\r\n\r\n", smuggled, strings.Repeat("z", s.IntN(2000)), "\x00\xff", hello+smuggled, "x")
}

func (s *stream) chunked(body string) string {
	var b strings.Builder
	for body != "" {
		n := 1 + s.IntN(len(body))
		fmt.Fprintf(&b, pick(s.Rand, "%x", "%X", "0%x", "%x;ext")+"\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n" + pick(s.Rand, "", "", "X-Sum: 1\r\n") + "\r\n")
	return b.String()
}

// nasty are bytes that mean something to some parser.
const nasty = "\r\n \t:;,\x00\x0b\x0c\x7f\xff0159aAfFgx-+_%#?/\\\"'()@[]"

// nastyLines are fields that change what a request means, or where it ends.
func (s *stream) nastyLine() string {
	return pick(s.Rand, "Content-Length: 0", "Content-Length: 5", "Content-Length: 60", "Content-Length: +5", "Transfer-Encoding: chunked",
		"Transfer-Encoding: identity", "Transfer-Encoding : chunked", "transfer_encoding: chunked", "Content-Length : 5", " folded", "\tTransfer-Encoding: chunked",
		"X-A: b\n", "X-A: b\r", "", "Connection: close", "Connection: Content-Length, X-Mark", "Host: evil.example", "Trailer: X-Sum",
		"Upgrade: h2c", "GET "+api+"/x.json HTTP/1.1", "0", "5", smuggled) + "\r\n"
}

// mutate changes the stream in one place.
func (s *stream) mutate() {
	if len(s.b) == 0 {
		return
	}
	at := s.IntN(len(s.b))
	end := min(len(s.b), at+1+s.IntN(40))
	piece := string(s.b[at:end])
	switch s.IntN(12) {
	case 0:
		s.b[at] = nasty[s.IntN(len(nasty))]
	case 1:
		s.replace(at, at+1, "")
	case 2:
		s.replace(at, at, string(nasty[s.IntN(len(nasty))]))
	case 3:
		s.replace(at, at, piece)
	case 4:
		s.replace(at, end, "")
	case 5, 6:
		if line := s.lineEnd(at); line >= 0 {
			s.replace(line+2, line+2, s.nastyLine())
		}
	case 7, 8:
		if line := s.lineEnd(at); line >= 0 {
			s.replace(line, line+2, pick(s.Rand, "\n", "\r", "\r\r\n", "\r\n ", "\n\r", "\r\n\r\n", "", "\x00\r\n"))
		}
	case 9:
		to := s.IntN(len(s.b))
		s.replace(to, to, piece)
	case 10:
		s.b = s.b[:at]
	case 11: // a digit of a length or a size
		if digit := strings.IndexAny(string(s.b[at:]), "0123456789"); digit >= 0 {
			s.b[at+digit] = "0123456789"[s.IntN(10)]
		}
	}
}

// lineEnd is where the next line ends from there; below zero when none does.
func (s *stream) lineEnd(from int) int {
	if i := strings.Index(string(s.b[from:]), "\r\n"); i >= 0 {
		return from + i
	}
	return -1
}

func (s *stream) replace(from, to int, with string) {
	s.b = []byte(string(s.b[:from]) + with + string(s.b[to:]))
}

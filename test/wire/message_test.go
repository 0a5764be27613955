package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// message is a request as it stands on the wire.
type message struct {
	method, target, version string
	fields                  []field // in the order of the wire, names as spelt
	body                    string
	trailer                 []field
}

type field struct{ name, value string }

// get returns the values of a field.
func (m message) get(name string) (values []string) {
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

// String is the request in one line, as the tables write it.
func (m message) String() string {
	s := m.method + " " + m.target
	if m.body != "" {
		s += " " + m.body
	}
	return s
}

// malformed is what a strict reader does not read.
type malformed struct{ what string }

func (e *malformed) Error() string { return e.what }

func bad(format string, args ...any) error { return &malformed{fmt.Sprintf(format, args...)} }

// reading is how forgiving a reader is. The zero reading forgives nothing. The other one
// is what RFC 9112 lets a server do with a client's request, and what net/http's does: it tells which
// requests a client can be said to have sent.
type reading struct {
	lenient    bool
	afterAPost bool // a lenient reader drops line ends that stand behind a POST
}

// read reads one request. It returns io.EOF if there is none, io.ErrUnexpectedEOF if one is
// not whole and *malformed if it is none.
func (how *reading) read(r *bufio.Reader) (m message, err error) {
	if m, err = how.header(r); err != nil {
		return m, err
	}
	return m, how.body(r, &m)
}

// header is the part of read before the body.
func (how *reading) header(r *bufio.Reader) (m message, err error) {
	if how.lenient && how.afterAPost {
		peek, _ := r.Peek(4)
		n := len(peek) - len(bytes.TrimLeft(peek, "\r\n"))
		_, _ = r.Discard(n)
	}
	if _, err := r.Peek(1); err != nil {
		return m, io.EOF
	}
	if err := how.requestLine(r, &m); err != nil {
		return m, err
	}
	if m.fields, err = how.section(r, isToken); err != nil {
		return m, err
	}
	how.afterAPost = m.method == "POST"
	return m, nil
}

func (how *reading) requestLine(r *bufio.Reader, m *message) error {
	line, err := how.line(r)
	if err != nil {
		return err
	}
	parts := strings.SplitN(line, " ", 3)
	if len(parts) != 3 {
		return bad("request line %q", line)
	}
	m.method, m.target, m.version = parts[0], parts[1], parts[2]
	known := m.version == "HTTP/1.1" ||
		how.lenient && len(m.version) == 8 && strings.HasPrefix(m.version, "HTTP/1.") && isDigit(m.version[7])
	if !isToken(m.method) || m.target == "" || !known {
		return bad("request line %q", line)
	}
	for i := range len(m.target) {
		if c := m.target[i]; c <= ' ' || c == 0x7f {
			return bad("request target %q", m.target)
		}
	}
	return nil
}

// line reads up to a line's end, which it drops.
func (how *reading) line(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", io.ErrUnexpectedEOF
	}
	line = line[:len(line)-1]
	if trimmed, ok := strings.CutSuffix(line, "\r"); ok {
		line = trimmed
	} else if !how.lenient {
		return "", bad("a line %q that ends with a bare LF", line)
	}
	return line, nil
}

// section reads header fields, or those of a trailer, and the empty line behind them.
func (how *reading) section(r *bufio.Reader, isName func(string) bool) (fields []field, err error) {
	for {
		line, err := how.line(r)
		if err != nil {
			return nil, err
		}
		if line == "" {
			return fields, nil
		}
		if line[0] == ' ' || line[0] == '\t' {
			if !how.lenient || len(fields) == 0 {
				return nil, bad("a folded line %q", line)
			}
			last := &fields[len(fields)-1]
			last.value = strings.Trim(last.value+" "+strings.Trim(line, " \t"), " \t")
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found || !isName(name) {
			return nil, bad("a field line %q", line)
		}
		for i := range len(value) {
			if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
				return nil, bad("a field value %q", line)
			}
		}
		fields = append(fields, field{name, strings.Trim(value, " \t")})
	}
}

// body reads what the header announces.
func (how *reading) body(r *bufio.Reader, m *message) error {
	coding, length := m.get("Transfer-Encoding"), m.get("Content-Length")
	if how.lenient && m.version == "HTTP/1.0" {
		coding = nil // it knows none
	}
	for _, l := range length {
		if l != length[0] || !isNumber(l) {
			return bad("Content-Length: %q", length)
		}
	}
	switch {
	case len(coding) > 1 || len(coding) == 1 && !(coding[0] == "chunked" || how.lenient && strings.EqualFold(coding[0], "chunked")):
		return bad("Transfer-Encoding: %q", coding)
	case !how.lenient && (len(length) > 1 || len(length)+len(coding) > 1):
		return bad("framed twice: Content-Length %q, Transfer-Encoding %q", length, coding)
	case len(coding) == 1:
		return how.chunks(r, m)
	case len(length) == 0:
		return nil
	}
	n, err := strconv.ParseInt(length[0], 10, 64)
	if err != nil {
		return bad("Content-Length: %q", length)
	}
	return m.take(r, n)
}

func (m *message) take(r *bufio.Reader, n int64) error {
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, n); err != nil {
		return io.ErrUnexpectedEOF
	}
	m.body += b.String()
	return nil
}

func (how *reading) chunks(r *bufio.Reader, m *message) error {
	strict := reading{} // both readers take a chunk's line by the letter except for what stands behind its size
	for {
		line, err := strict.line(r)
		if err != nil {
			return err
		}
		size := line
		if how.lenient {
			size, _, _ = strings.Cut(strings.TrimRight(line, " \t"), ";")
		}
		n, err := strconv.ParseUint(size, 16, 63)
		if err != nil || !isHexNumber(size) {
			return bad("a chunk's size %q", line)
		}
		if n == 0 {
			if how.lenient && !trailerEnds(r) {
				return io.ErrUnexpectedEOF
			}
			m.trailer, err = how.section(r, isTrailerName)
			return err
		}
		if err := m.take(r, int64(n)); err != nil {
			return err
		}
		var end [2]byte
		if _, err := io.ReadFull(r, end[:]); err != nil {
			return io.ErrUnexpectedEOF
		}
		if string(end[:]) != "\r\n" {
			return bad("%q behind a chunk", end)
		}
	}
}

// trailerEnds reports whether the end of a trailer is in sight, without which net/http does
// not begin to read it.
func trailerEnds(r *bufio.Reader) bool {
	ahead, _ := r.Peek(r.Size())
	return bytes.HasPrefix(ahead, []byte("\r\n")) || bytes.Contains(ahead, []byte("\r\n\r\n"))
}

// sent returns the requests that a client can be said to have sent with these bytes, and
// what stands behind them: nil for nothing, io.ErrUnexpectedEOF for a part of a request.
func sent(stream string) (all []message, rest error) {
	r := bufio.NewReaderSize(strings.NewReader(stream), len(stream)+16)
	how := &reading{lenient: true}
	for {
		m, err := how.read(r)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return all, err
		}
		all = append(all, m)
	}
}

func isToken(s string) bool {
	return s != "" && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return !(isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0)
	})
}

// isTrailerName also takes names with spaces, as net/http does where it throws the field away.
func isTrailerName(s string) bool { return s != "" && isToken(strings.ReplaceAll(s, " ", "x")) }

func isNumber(s string) bool {
	return s != "" && !slices.ContainsFunc([]byte(s), func(c byte) bool { return !isDigit(c) })
}

func isHexNumber(s string) bool {
	return s != "" && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return !(isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f')
	})
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

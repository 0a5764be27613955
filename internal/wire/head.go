package wire

import (
	"bytes"
	"encoding/binary"
)

// span is where something is in a buffer.
type span struct{ from, to uint16 }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

type fieldSpan struct {
	name, value span
	seen        uint8 // which of the names that have been seen before it is, counted from 1; 0: none
}

// lines cuts a head into lines as it comes. Its zero value is at the beginning of one.
type lines struct {
	buf  []byte
	next int // where the line begins that has not been read
	from int // how far it has been searched for its end
}

// line returns where the next line is, without its end.
func (l *lines) line() (span, Verdict) {
	if l.from < l.next {
		l.from = l.next
	}
	i := bytes.IndexByte(l.buf[l.from:], '\n')
	if i < 0 {
		l.from = len(l.buf)
		if len(l.buf) >= MaxHead {
			return span{}, Foreign
		}
		return span{}, Incomplete
	}
	end := l.from + i
	if end+1 > MaxHead || end == l.next || l.buf[end-1] != '\r' {
		return span{}, Foreign
	}
	s := span{uint16(l.next), uint16(end - 1)}
	l.next = end + 1
	return s, Understood
}

// fields are the field lines of a head.
type fields struct {
	at [MaxFields]fieldSpan
	n  int
}

// add reads one line. Whoever expects names has them found first.
func (f *fields) add(buf []byte, line span, names *seenNames) bool {
	b := line.of(buf)
	if f.n == MaxFields {
		return false
	}
	colon, seen := names.find(b)
	if seen == 0 {
		if colon = bytes.IndexByte(b, ':'); colon <= 0 {
			return false
		}
		for _, c := range b[:colon] {
			if !isToken[c] {
				return false
			}
		}
	}
	from, to := colon+1, len(b)
	for from < to && isBlank(b[from]) {
		from++
	}
	for from < to && isBlank(b[to-1]) {
		to--
	}
	if !IsText(b[from:to]) {
		return false
	}
	f.at[f.n] = fieldSpan{
		name:  span{line.from, line.from + uint16(colon)},
		value: span{line.from + uint16(from), line.from + uint16(to)},
		seen:  seen,
	}
	f.n++
	return true
}

// next reads the next field line of a head. It reports false at the end of the head.
func (f *fields) next(l *lines, names *seenNames) (at *fieldSpan, more bool, v Verdict) {
	line, v := l.line()
	switch {
	case v != Understood:
		return nil, false, v
	case line.from == line.to:
		return nil, false, Understood
	case !f.add(l.buf, line, names):
		return nil, false, Foreign
	}
	return &f.at[f.n-1], true, Understood
}

// IsText reports whether all bytes are visible ASCII, spaces and tabs.
func IsText(b []byte) bool {
	const each, low, high = 0x0101010101010101, 0x20 * 0x0101010101010101, 0x80 * 0x0101010101010101
	for ; len(b) >= 8; b = b[8:] {
		// The highest bit of a byte says that there may be one below 0x20 or above 0x7E. The lowest byte that is so is never missed.
		if x := binary.LittleEndian.Uint64(b); (x|(x-low)|(x+each))&high != 0 && !eachIsText(b[:8]) {
			return false
		}
	}
	return eachIsText(b)
}

func eachIsText(b []byte) bool {
	for _, c := range b {
		if c-0x20 > 0x7e-0x20 && c != '\t' {
			return false
		}
	}
	return true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// isToken are the characters of a token (RFC 9110, 5.6.2).
var isToken = [256]bool{
	'!': true, '#': true, '$': true, '%': true, '&': true, '\'': true, '*': true, '+': true, '-': true, '.': true, '^': true, '_': true, '`': true, '|': true, '~': true,
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'A': true, 'B': true, 'C': true, 'D': true, 'E': true, 'F': true, 'G': true, 'H': true, 'I': true, 'J': true, 'K': true, 'L': true, 'M': true,
	'N': true, 'O': true, 'P': true, 'Q': true, 'R': true, 'S': true, 'T': true, 'U': true, 'V': true, 'W': true, 'X': true, 'Y': true, 'Z': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true, 'g': true, 'h': true, 'i': true, 'j': true, 'k': true, 'l': true, 'm': true,
	'n': true, 'o': true, 'p': true, 'q': true, 'r': true, 's': true, 't': true, 'u': true, 'v': true, 'w': true, 'x': true, 'y': true, 'z': true,
}

// equalFold reports whether a name is want, which is in lower case.
func equalFold(name []byte, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

const mostLengthDigits = 18

// length reads a Content-Length: 1 to 18 digits without a leading zero.
func length(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > mostLengthDigits || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// hasToken reports whether a list of tokens has one, which is in lower case.
func hasToken(list []byte, want string) bool {
	for len(list) > 0 {
		var item []byte
		if i := bytes.IndexByte(list, ','); i >= 0 {
			item, list = list[:i], list[i+1:]
		} else {
			item, list = list, nil
		}
		if equalFold(bytes.Trim(item, " \t"), want) {
			return true
		}
	}
	return false
}

// IsToken reports whether s is a token, and so may be the name of a field.
func IsToken(s string) bool {
	for i := range len(s) {
		if !isToken[s[i]] {
			return false
		}
	}
	return s != ""
}

// mostChunkDigits is how many hexadecimal digits the size of a chunk may have.
const mostChunkDigits = 15

// ChunkSize reads the line before a chunk, and says how long that line is. An extension is Foreign.
func ChunkSize(b []byte) (size int64, line int, v Verdict) {
	for i, c := range b {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		case c == '\r' && i > 0 && i+1 == len(b):
			return 0, 0, Incomplete
		case c == '\r' && i > 0 && b[i+1] == '\n':
			return size, i + 2, Understood
		default:
			return 0, 0, Foreign
		}
		if i == mostChunkDigits {
			return 0, 0, Foreign
		}
		size = size<<4 | int64(c)
	}
	return 0, 0, Incomplete
}

// fill puts the field lines into an empty map as net/http has it, but for those that skip names. Names and values are parts of one string; the buffer is
// changed, and nobody may read it again. It returns the string.
func (f *fields) fill(header map[string][]string, head []byte, skip func(name string) bool) (all string) {
	for i := range f.n {
		canonicalize(f.at[i].name.of(head))
	}
	all = string(head)
	values := make([]string, 0, f.n)
	for i := range f.n {
		at := &f.at[i]
		name, value := all[at.name.from:at.name.to], all[at.value.from:at.value.to]
		if skip(name) {
			continue
		}
		n, names := len(values), len(header)
		values = append(values, value)
		if header[name] = values[n : n+1 : n+1]; len(header) == names {
			header[name] = f.named(name, all, i)
		}
	}
	return all
}

// named are the values of the fields of one name, up to the last one.
func (f *fields) named(name, all string, last int) (values []string) {
	for _, at := range f.at[:last+1] {
		if all[at.name.from:at.name.to] == name {
			values = append(values, all[at.value.from:at.value.to])
		}
	}
	return values
}

// canonicalize writes a name as net/http has it: textproto.CanonicalMIMEHeaderKey.
func canonicalize(name []byte) {
	upper := true
	for i, c := range name {
		switch {
		case upper && 'a' <= c && c <= 'z':
			name[i] = c - 0x20
		case !upper && 'A' <= c && c <= 'Z':
			name[i] = c + 0x20
		}
		upper = c == '-'
	}
}

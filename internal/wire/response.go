package wire

import "strings"

// Response is the head of an answer. Its zero value is ready; it is used again and again by one goroutine.
type Response struct {
	// Status has three digits.
	Status int
	// Length is the body's in bytes; -1: it comes in chunks. It is 0 where there is none, whatever Content-Length says; see Declared.
	Length int64
	// Declared is what Content-Length says; -1: nothing.
	Declared int64
	// Chunked says that Transfer-Encoding says so.
	Chunked bool
	// Close says that the connection ends with the body.
	Close bool

	reason span
	size   int
	names  bool // Connection names fields
	fields fields
	known  [MaxFields]string // the names of fields that Split keeps; each of them is somebody's constant
	seen   seenNames
	before linesBefore
	texts  strings.Builder // see text
	buf    []byte
}

// Parse reads the head that b begins with. toHead says that the request was a HEAD. When it is Understood, Size is the head's length, and
// the rest is valid as long as b does not change.
func (r *Response) Parse(b []byte, toHead bool) Verdict {
	l := lines{buf: b}
	r.Status, r.Length, r.Declared, r.Chunked, r.Close, r.names, r.buf, r.fields.n = 0, 0, -1, false, false, false, b, 0
	r.seen.next, r.before.changed = 0, false
	line, v := l.line()
	if v != Understood {
		if v == Incomplete && !beginsLike(b, "HTTP/1.1 ") {
			return Foreign
		}
		return v
	}
	if !r.statusLine(line) {
		return Foreign
	}
	for {
		at := r.before.next(&l, &r.fields)
		if at != nil {
			r.seen.expectAfter(at.seen)
		} else {
			var more bool
			if at, more, v = r.fields.next(&l, &r.seen); v != Understood {
				return v
			}
			if !more {
				break
			}
			r.before.changed = true
		}
		if s := r.seen.at(at.seen); (s == nil || s.noted) && !r.note(at) {
			return Foreign
		}
	}
	r.size = l.next
	r.before.keep(b[:r.size], &r.fields)
	return r.frame(toHead)
}

func beginsLike(b []byte, want string) bool {
	n := min(len(b), len(want))
	return string(b[:n]) == want[:n]
}

// statusLine reads the first line: HTTP/1.1, three digits, and a reason that may be empty.
func (r *Response) statusLine(line span) bool {
	b := line.of(r.buf)
	const version = "HTTP/1.1 "
	if len(b) < len(version)+4 || string(b[:len(version)]) != version || b[len(version)+3] != ' ' {
		return false
	}
	for _, c := range b[len(version) : len(version)+3] {
		if c < '0' || c > '9' {
			return false
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	r.reason = span{line.from + uint16(len(version)+4), line.to}
	for _, c := range r.reason.of(r.buf) {
		if c-0x20 > 0x7e-0x20 && c != '\t' {
			return false
		}
	}
	return r.Status >= 100
}

// isNoted reports whether note may have something to do with a name.
func isNoted(name string) bool {
	for _, noted := range []string{"content-length", "transfer-encoding", "connection", "trailer", "pragma"} {
		if strings.EqualFold(name, noted) {
			return true
		}
	}
	return false
}

// note takes what a field says of the message itself. Who makes it look at another name adds that to isNoted.
func (r *Response) note(at *fieldSpan) bool {
	name, value := at.name.of(r.buf), at.value.of(r.buf)
	switch len(name) {
	case len("content-length"):
		if !equalFold(name, "content-length") {
			return true
		}
		n, ok := length(value)
		if !ok || r.Declared >= 0 {
			return false
		}
		r.Declared = n
	case len("transfer-encoding"):
		if !equalFold(name, "transfer-encoding") {
			return true
		}
		if r.Chunked || !equalFold(value, "chunked") {
			return false
		}
		r.Chunked = true
	case len("connection"):
		if !equalFold(name, "connection") {
			return true
		}
		r.Close = r.Close || hasToken(value, "close")
		r.names = r.names || !equalFold(value, "close") && !equalFold(value, "keep-alive")
	case len("trailer"), len("pragma"):
		if equalFold(name, "trailer") || equalFold(name, "pragma") { // net/http makes a Cache-Control of the latter
			return false
		}
	}
	return true
}

// frame settles how long the body is.
func (r *Response) frame(toHead bool) Verdict {
	switch {
	case r.Chunked && r.Declared >= 0, r.Status == 101:
		return Foreign
	case r.Status < 200, r.Status == 204, r.Status == 304, toHead:
		if r.Chunked || r.Status < 200 && r.Declared >= 0 || r.Status == 204 && r.Declared >= 0 {
			return Foreign
		}
	case r.Chunked:
		r.Length = -1
	case r.Declared < 0:
		return Foreign // it is as long as the connection lives
	default:
		r.Length = r.Declared
	}
	return Understood
}

// Size is how long the head is, in bytes.
func (r *Response) Size() int { return r.size }

// Reason is what the status line says behind the status.
func (r *Response) Reason() []byte { return r.reason.of(r.buf) }

// Header makes a map of the fields as net/http has it: without Transfer-Encoding, and without Connection where it says close. The buffer is
// changed by that, and the Response can only be asked for its numbers any more.
func (r *Response) Header() map[string][]string {
	header := make(map[string][]string, r.fields.n)
	r.Fill(header)
	return header
}

// Fill is Header for who has an empty map, whose values are used by no other and stay as they are.
func (r *Response) Fill(header map[string][]string) {
	r.fields.fill(header, r.buf[:r.size], r.isSaid)
}

// isSaid reports whether a field is in the numbers, and net/http leaves it out of the header.
func (r *Response) isSaid(name string) bool {
	return r.Chunked && name == "Transfer-Encoding" || r.Close && name == "Connection"
}

package wire

// Request is the head of a request. Its zero value is ready; it is used again and again by one goroutine.
type Request struct {
	// Length is the body's in bytes.
	Length int64
	// Close says that the client wants the connection to end with the answer.
	Close bool
	// Same says that the fields are those of the request that was kept last, but for what Content-Length says. Then they are not to be had here.
	Same bool

	method, target, host span
	declared             bool
	declares             span // what Content-Length says
	below                int  // where the field lines begin
	size                 int
	fields               fields
	buf                  []byte
	last                 last
}

const version = " HTTP/1.1"

// Parse reads the head that b begins with. When it is Understood, Size is its length, and the rest is valid as long as b does not change.
func (r *Request) Parse(b []byte) Verdict {
	l := lines{buf: b}
	r.Length, r.Close, r.Same, r.host, r.declared, r.buf, r.fields.n = 0, false, false, span{}, false, b, 0
	line, v := l.line()
	if v != Understood {
		if v == Incomplete && !mayBeMethod(b) {
			return Foreign
		}
		return v
	}
	if !r.requestLine(line) {
		return Foreign
	}
	r.below = l.next
	for more := !r.parseAgain(); more; {
		var at *fieldSpan
		if at, more, v = r.fields.next(&l, nil); v != Understood {
			return v
		}
		if more && !r.note(at) {
			return Foreign
		}
		r.size = l.next
	}
	if r.host.from == r.host.to || r.declared && (r.is("GET") || r.is("HEAD")) {
		return Foreign
	}
	return Understood
}

// methods are those that Shopify knows.
var methods = [...]string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}

// mayBeMethod reports whether b begins like one of the methods.
func mayBeMethod(b []byte) bool {
	for _, m := range methods {
		if n := min(len(m), len(b)); string(b[:n]) == m[:n] && (len(b) <= len(m) || b[len(m)] == ' ') {
			return true
		}
	}
	return false
}

func (r *Request) is(method string) bool { return string(r.method.of(r.buf)) == method }

// requestLine reads the first line: a method, a target in origin-form, and HTTP/1.1, with one space between.
func (r *Request) requestLine(line span) bool {
	b := line.of(r.buf)
	for _, m := range methods {
		if len(b) < len(m)+1+1+len(version) || string(b[:len(m)]) != m || b[len(m)] != ' ' || b[len(m)+1] != '/' {
			continue
		}
		if string(b[len(b)-len(version):]) != version {
			return false
		}
		from, to := len(m)+1, len(b)-len(version)
		for _, c := range b[from:to] {
			if c-0x21 > 0x7e-0x21 || c == '#' {
				return false
			}
		}
		r.method = span{line.from, line.from + uint16(len(m))}
		r.target = span{line.from + uint16(from), line.from + uint16(to)}
		return true
	}
	return false
}

// note takes what a field says of the message itself. It reports false for one that changes how the rest is read, or is nobody's but
// net/http's to understand.
func (r *Request) note(at *fieldSpan) bool {
	name, value := at.name.of(r.buf), at.value.of(r.buf)
	switch len(name) {
	case len("te"):
		return !equalFold(name, "te")
	case len("host"):
		if !equalFold(name, "host") {
			return true
		}
		if r.host.to > 0 || !isHost(value) {
			return false
		}
		r.host = at.value
	case len("expect"): // and pragma, of which net/http makes a Cache-Control
		return !equalFold(name, "expect") && !equalFold(name, "pragma")
	case len("upgrade"): // and trailer
		return !equalFold(name, "upgrade") && !equalFold(name, "trailer")
	case len("connection"):
		if !equalFold(name, "connection") {
			return true
		}
		if equalFold(value, "close") {
			r.Close = true
			return true
		}
		return equalFold(value, "keep-alive")
	case len("content-length"): // and http2-settings
		if equalFold(name, "http2-settings") {
			return false
		}
		if !equalFold(name, "content-length") {
			return true
		}
		n, ok := length(value)
		if !ok || r.declared {
			return false
		}
		r.Length, r.declared, r.declares = n, true, at.value
	case len("transfer-encoding"):
		return !equalFold(name, "transfer-encoding")
	}
	return true
}

// isHost reports whether a Host is one that needs no thought: letters, digits, and what parts them.
func isHost(b []byte) bool {
	for _, c := range b {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == ':' || c == '[' || c == ']') {
			return false
		}
	}
	return len(b) > 0
}

// Size is how long the head is, in bytes.
func (r *Request) Size() int { return r.size }

// Method is one of those that Shopify knows.
func (r *Request) Method() string {
	for _, m := range methods {
		if r.is(m) {
			return m
		}
	}
	return ""
}

// Target is what stands in the request line, in origin-form.
func (r *Request) Target() []byte { return r.target.of(r.buf) }

// Host is the Host.
func (r *Request) Host() []byte { return r.host.of(r.buf) }

// Header makes a map of the fields as net/http has it: without Host. The buffer is changed by that, and the Request can only be asked for its
// numbers any more.
func (r *Request) Header() map[string][]string {
	header := make(map[string][]string, r.fields.n)
	r.Fill(header)
	return header
}

// Fill is Header for who has an empty map, whose values are used by no other and stay as they are. It returns the target and the Host as parts of what
// they are parts of.
func (r *Request) Fill(header map[string][]string) (target, host string) {
	all := r.fields.fill(header, r.buf[:r.size], func(name string) bool { return name == "Host" })
	return all[r.target.from:r.target.to], all[r.host.from:r.host.to]
}

package tracing

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
)

// The fields of W3C Trace Context, as net/http has them.
const (
	traceparentField = "Traceparent"
	tracestateField  = "Tracestate"
)

// extract reads the context that a request came with; it is not valid if there is none, or none that can be read. A
// tracestate that cannot be read is left out, and the traceparent stands (W3C Trace Context, 4.3).
func extract(h http.Header) spanContext {
	parents := h[traceparentField]
	if len(parents) == 0 {
		return spanContext{}
	}
	c, ok := parseTraceparent(parents[0])
	if !ok {
		return spanContext{}
	}
	if states := h[tracestateField]; len(states) > 0 {
		c.state = parseTracestate(strings.Join(states, ","))
	}
	return c
}

// inject writes a context on a request.
func (c *spanContext) inject(h http.Header) {
	h[traceparentField] = []string{c.traceparent()}
	if c.state != "" {
		h[tracestateField] = []string{c.state}
	}
}

// A traceparent is version-trace-parent-flags, in lower-case hexadecimal.
const (
	traceAt        = len("00-")
	parentAt       = traceAt + 2*len(traceID{}) + 1
	flagsAt        = parentAt + 2*len(spanID{}) + 1
	traceparentLen = flagsAt + 2
)

func (c *spanContext) traceparent() string {
	var b [traceparentLen]byte
	copy(b[:], "00-")
	hex.Encode(b[traceAt:], c.trace[:])
	b[parentAt-1] = '-'
	hex.Encode(b[parentAt:], c.span[:])
	b[flagsAt-1] = '-'
	hex.Encode(b[flagsAt:], []byte{c.flags})
	return string(b[:])
}

// parseTraceparent reads version 00 and, of a later one, what 00 has: more may follow there.
func parseTraceparent(s string) (c spanContext, ok bool) {
	if len(s) < traceparentLen || s[traceAt-1] != '-' || s[parentAt-1] != '-' || s[flagsAt-1] != '-' {
		return spanContext{}, false
	}
	var version, flags [1]byte
	if !readHex(version[:], s) || !readHex(c.trace[:], s[traceAt:]) || !readHex(c.span[:], s[parentAt:]) || !readHex(flags[:], s[flagsAt:]) {
		return spanContext{}, false
	}
	rest := s[traceparentLen:]
	switch version[0] {
	case 0:
		ok = rest == "" && flags[0]&^knownFlags == 0
	case 0xff:
	default:
		ok = rest == "" || rest[0] == '-'
	}
	if c.flags = flags[0] & knownFlags; !ok || !c.valid() {
		return spanContext{}, false
	}
	return c, true
}

// readHex fills a value from the beginning of s, which is long enough. Upper case is not allowed.
func readHex(into []byte, s string) bool {
	for i := range into {
		high, ok := hexDigit(s[2*i])
		low, fine := hexDigit(s[2*i+1])
		if !ok || !fine {
			return false
		}
		into[i] = high<<4 | low
	}
	return true
}

func hexDigit(c byte) (v byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// maxMembers is how many a tracestate may have.
const maxMembers = 32

// parseTracestate returns a tracestate without what is allowed between its members; empty if anything in it is not
// allowed. What it returns has at most 16 KiB and keeps nothing longer in memory.
func parseTracestate(s string) string {
	var members, keys [maxMembers]string
	n, size := 0, 0
	for rest, more := s, true; more; {
		var member string
		member, rest, more = strings.Cut(rest, ",")
		if member = strings.Trim(member, " \t"); member == "" {
			continue
		}
		key, value, _ := strings.Cut(member, "=")
		if n == maxMembers || !isMemberKey(key) || !isMemberValue(value) || slices.Contains(keys[:n], key) {
			return ""
		}
		members[n], keys[n] = member, key
		n++
		size += len(member) + len(",")
	}
	if size == len(s)+len(",") {
		return s
	}
	if n == 1 {
		return strings.Clone(members[0]) // which Join returns as it is, with all around it
	}
	return strings.Join(members[:n], ",")
}

// isMemberKey: a name, or tenant@system (W3C Trace Context, 3.3.1.3.1).
func isMemberKey(s string) bool {
	tenant, system, ok := strings.Cut(s, "@")
	if !ok {
		return isKeyPart(s, 256) && !isDigit(s[0])
	}
	return isKeyPart(tenant, 241) && isKeyPart(system, 14) && !isDigit(system[0])
}

func isKeyPart(s string, longest int) bool {
	if s == "" || len(s) > longest || strings.IndexByte("_-*/", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && (c < 'a' || c > 'z') && strings.IndexByte("_-*/", c) < 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isMemberValue: visible ASCII and spaces, of which none is the last. What ends with one has been trimmed.
func isMemberValue(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '=' {
			return false
		}
	}
	return true
}

package guard

import (
	"bytes"
	"net/http"
	"strings"

	"evergate/internal/ascii"
	"evergate/internal/denial"
)

const (
	adminPrefix = "/admin/"
	apiPrefix   = "/admin/api/"
	// scopesPath is the one harmless endpoint among those of OAuth: it lists the scopes
	// of the token in use. Only this spelling passes.
	scopesPath = "/admin/oauth/access_scopes.json"
)

// CheckPath judges a method and the raw path: the bytes of the request target before
// the question mark, as the client sent them and as they will be forwarded.
//
// Everything below /admin/api/ passes, and so do /admin/*.json and a GET of the scopes.
// These must match byte for byte, which no client finds hard. What mints or destroys
// credentials is looked for in what any decoder could make of the path.
func CheckPath(method, rawPath string) error {
	if ascii.EqualFold(method, http.MethodTrace) || ascii.EqualFold(method, http.MethodConnect) {
		return denial.New(http.StatusForbidden, denial.CodeDeniedMethod,
			"The Admin API has no use for the method "+denial.Quote(method)+". Use GET, POST, PUT or DELETE.")
	}
	var buf [256]byte // paths are shorter as a rule; a longer one allocates
	plain, why := decodeFully(buf[:0], rawPath)
	if why == "" {
		why = doubtfulSegment(plain)
	}
	switch {
	case why != "":
		return ambiguous(why, rawPath)
	case rawPath == scopesPath && method == http.MethodGet:
		return nil
	case rawPath == scopesPath:
		return denial.New(http.StatusForbidden, denial.CodeDeniedMethod,
			"The list of granted scopes can only be read: use GET for "+scopesPath+".")
	case touchesCredentials(plain):
		return denial.New(http.StatusForbidden, denial.CodeDeniedPath,
			"The path "+denial.Quote(rawPath)+" mints or destroys credentials, which Evergate does itself and lets no client do. "+
				"Use evergate login or evergate token instead.")
	case strings.HasPrefix(rawPath, apiPrefix) && len(rawPath) > len(apiPrefix),
		strings.HasPrefix(rawPath, adminPrefix) && strings.HasSuffix(rawPath, ".json"):
		return nil
	}
	return denial.New(http.StatusForbidden, denial.CodeDeniedPath,
		"The path "+denial.Quote(rawPath)+" is not part of the Admin API. "+
			"Use one below /admin/api/, for example /admin/api/2026-10/graphql.json.")
}

// decodeFully appends to dst what is left of raw when percent escapes are undone until
// none is left, or says why raw is ambiguous.
//
// One pass is enough, because undoing an escape on sight gives the same as undoing them
// round by round: an escape begins with the only byte that none continues with, so no
// two overlap and the order cannot matter. And it takes time in proportion to the
// path, where rounds over "%2525252525..." would take its square.
//
// The result also stands for every reading on the way to it: a slash, a dot or a whole
// denied name is no part of an escape, so later rounds do not undo it.
func decodeFully(dst []byte, raw string) (plain []byte, why string) {
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '%' && (len(raw)-i < 3 || !isHex(raw[i+1]) || !isHex(raw[i+2])):
			return nil, "a percent sign that begins no escape"
		case c == '#' || c == '?':
			return nil, "a raw " + string(c)
		case c == '\\':
			return nil, "a backslash"
		case c <= ' ' || c == 0x7f:
			return nil, "a space or control character"
		default:
			dst = append(dst, c)
		}
		for n := len(dst); n >= 3 && dst[n-3] == '%' && isHex(dst[n-2]) && isHex(dst[n-1]); n = len(dst) {
			c := unhex(dst[n-2])<<4 | unhex(dst[n-1])
			switch c {
			case '/':
				return nil, "an encoded slash"
			case '\\':
				return nil, "an encoded backslash"
			case 0:
				return nil, "an encoded NUL"
			}
			dst = append(dst[:n-3], c)
		}
	}
	if overlong(dst) {
		return nil, "an overlong UTF-8 sequence"
	}
	return dst, ""
}

// overlong reports whether p holds the beginning of a UTF-8 sequence that is longer than
// its character needs. A careless decoder makes a slash or a dot of it.
func overlong(p []byte) bool {
	for i, c := range p {
		switch {
		case c == 0xc0 || c == 0xc1:
			return true
		case c == 0xe0 && i+1 < len(p) && 0x80 <= p[i+1] && p[i+1] < 0xa0,
			c == 0xf0 && i+1 < len(p) && 0x80 <= p[i+1] && p[i+1] < 0x90:
			return true
		}
	}
	return false
}

// doubtfulSegment says why a segment of a decoded path is ambiguous. Some servers drop
// what follows a semicolon before they look at dots, so only what precedes it counts.
func doubtfulSegment(plain []byte) (why string) {
	if len(plain) == 0 || plain[0] != '/' {
		return "" // no path at all; the policy refuses it
	}
	for rest, more := plain[1:], true; more; {
		var segment []byte
		segment, rest, more = bytes.Cut(rest, []byte{'/'})
		name, _, params := bytes.Cut(segment, []byte{';'})
		switch {
		case len(name) == 0 && (more || params):
			return "an empty segment"
		case string(name) == "." || string(name) == "..":
			return "a dot segment"
		}
	}
	return ""
}

// touchesCredentials reports whether a decoded path names an endpoint that mints or
// destroys credentials: directly below /admin, below /admin/api, or below a version.
// Deeper, such a word is the name of some resource.
func touchesCredentials(plain []byte) bool {
	rest, ok := bytes.CutPrefix(plain, []byte(adminPrefix))
	if !ok {
		return false // no other path passes in any case
	}
	first, rest, _ := bytes.Cut(rest, []byte{'/'})
	if credentialName(first) {
		return true
	}
	if !named(first, "api") {
		return false
	}
	version, rest, _ := bytes.Cut(rest, []byte{'/'})
	resource, _, _ := bytes.Cut(rest, []byte{'/'})
	return credentialName(version) || credentialName(resource)
}

func credentialName(segment []byte) bool {
	return named(segment, "oauth") || named(segment, "api_permissions") || named(segment, "access_tokens")
}

// named reports whether a router could take segment for name, in any letter case and
// with anything behind it that does not make it another word: .json, ;x, a space.
func named(segment []byte, name string) bool {
	return len(segment) >= len(name) && ascii.EqualFold(segment[:len(name)], name) &&
		(len(segment) == len(name) || !ascii.IsWord(segment[len(name)]))
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= ascii.Lower(c) && ascii.Lower(c) <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return ascii.Lower(c) - 'a' + 10
}

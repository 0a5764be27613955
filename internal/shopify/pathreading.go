package shopify

import "evergate/internal/ascii"

// isPlain reports whether a path has one reading, byte by byte, and nothing to decode.
func isPlain(raw string) bool {
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c > '~' || c == '%' || c == '#' || c == '?' || c == '\\' {
			return false
		}
	}
	return true
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
func decodeFully(dst []byte, raw string) (plain []byte, why AmbiguousPathError) {
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '%' && (len(raw)-i < 3 || !ascii.IsHex(raw[i+1]) || !ascii.IsHex(raw[i+2])):
			return nil, "a percent sign that begins no escape"
		case c == '#':
			return nil, "a raw #"
		case c == '?':
			return nil, "a raw ?"
		case c == '\\':
			return nil, "a backslash"
		case c <= ' ' || c == 0x7f:
			return nil, "a space or control character"
		default:
			dst = append(dst, c)
		}
		for n := len(dst); n >= 3 && dst[n-3] == '%' && ascii.IsHex(dst[n-2]) && ascii.IsHex(dst[n-1]); n = len(dst) {
			c := ascii.Unhex(dst[n-2])<<4 | ascii.Unhex(dst[n-1])
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

// readSegments goes through a decoded path once.
//
// A segment is doubtful if it is empty, unless it is the last, or made of dots. Some servers drop
// what follows a semicolon before they look at dots, so only what precedes it counts.
//
// Credentials are minted, destroyed or shown directly below /admin, below /admin/api, or below a
// version. Deeper, such a word is the name of some resource.
func readSegments[P string | []byte](plain P) (found seen, _ error) {
	if len(plain) == 0 || plain[0] != '/' {
		return seen{}, nil // no path at all, and elsewhere in any case
	}
	admin, api := false, false
	for n, start := 0, 1; start <= len(plain); n++ {
		end := start + index(plain[start:], '/')
		segment, last := plain[start:end], end == len(plain)
		start = end + 1
		name := segment[:index(segment, ';')]
		switch {
		case len(name) == 0 && (!last || len(segment) > 0):
			return seen{}, AmbiguousPathError("an empty segment")
		case string(name) == "." || string(name) == "..":
			return seen{}, AmbiguousPathError("a dot segment")
		}
		found.graphQL = found.graphQL || named(segment, "graphql")
		switch {
		case n == 0:
			admin = string(segment) == "admin" && !last
		case n == 1:
			api = named(segment, "api")
			found.credentials = admin && namesCredentials(segment)
		case n <= 3 && admin && api:
			found.credentials = found.credentials || namesCredentials(segment)
		}
	}
	return found, nil
}

// index is where c stands in p, or p's length.
func index[P string | []byte](p P, c byte) int {
	for i := range len(p) {
		if p[i] == c {
			return i
		}
	}
	return len(p)
}

// named reports whether a router could take segment for name, which is in lower case: in any
// letter case and with anything behind it that does not make it another word: .json, ;x, a space.
func named[P string | []byte](segment P, name string) bool {
	if len(segment) < len(name) {
		return false
	}
	for i := range len(name) {
		if ascii.Lower(segment[i]) != name[i] {
			return false
		}
	}
	return len(segment) == len(name) || !ascii.IsWord(segment[len(name)])
}

// isWord reports whether s has only letters, digits, - and _, and at least one.
func isWord(s string) bool {
	for i := range len(s) {
		if !ascii.IsWord(s[i]) {
			return false
		}
	}
	return s != ""
}

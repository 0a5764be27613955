// Package ascii compares and classifies the bytes of protocol elements, whose letters are ASCII
// letters and whose case does not count: host names, header fields, methods, URI schemes.
//
// strings.EqualFold would fold Unicode as well, where a long s equals s and a Kelvin sign
// equals k, so a name could pass for another one.
package ascii

// EqualFold reports whether a and b are equal, ASCII letters in any case. It allocates nothing.
func EqualFold[A, B string | []byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if Lower(a[i]) != Lower(b[i]) {
			return false
		}
	}
	return true
}

// HasSuffixFold reports whether s ends in suffix, ASCII letters in any case.
func HasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && EqualFold(s[len(s)-len(suffix):], suffix)
}

// Lower returns an ASCII letter's small form, and any other byte as it is.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// IsWord reports whether c is a letter, a digit, an underscore or a hyphen.
func IsWord(c byte) bool {
	return 'a' <= Lower(c) && Lower(c) <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// IsHostName reports whether s is dot-separated labels of letters, digits, hyphens and
// underscores, none of them empty: neither a leading nor a trailing dot.
func IsHostName(s string) bool {
	label := 0
	for i := range len(s) {
		switch {
		case IsWord(s[i]):
			label++
		case s[i] == '.' && label > 0:
			label = 0
		default:
			return false
		}
	}
	return label > 0
}

// IsHex reports whether c is a hexadecimal digit in either case.
func IsHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= Lower(c) && Lower(c) <= 'f'
}

// Unhex is the value of a hexadecimal digit; c must be one.
func Unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return Lower(c) - 'a' + 10
}

package pgstore

import (
	"strings"

	"evergate/internal/remedy"
)

// isTokenLike reports whether a text looks like a token of Shopify's: a short prefix, an underscore and what follows it, as
// shpat_0123abcd, or, from before 2020, 32 digits of hex. What an app's encryption makes of one is JSON, base64, hex of another
// length, or parts with dots and colons.
func isTokenLike(s string) bool {
	prefix, rest, found := strings.Cut(s, "_")
	if !found {
		return len(s) == 32 && all(s, func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' })
	}
	return 2 <= len(prefix) && len(prefix) <= 8 && all(prefix, isLower) && rest != "" &&
		all(rest, func(c byte) bool { return isDigit(c) || isLower(c) || 'A' <= c && c <= 'Z' || c == '_' || c == '-' })
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func all(s string, is func(c byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

// plausible refuses a column whose content is no token: it must never be sent to Shopify, nor written over.
func (s shape) plausible(column, value string) error {
	if value == "" || isTokenLike(value) {
		return nil
	}
	return remedy.New("have the app keep this column as Shopify gives it (Rails: take shopify_token and refresh_token out of `encrypts`, after decrypting the rows), or keep Evergate's grants in EVERGATE_STORE_LAYOUT="+LayoutOwn+" and let only one of the two refresh",
		"the column %s of the app's table %s holds no token of Shopify's but, it seems, an encrypted one, which Evergate can neither read nor write", column, s.table)
}

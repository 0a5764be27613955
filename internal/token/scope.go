package token

import (
	"slices"
	"strings"
)

// MissingScopes returns the scopes of want that have does not cover, in want's order. A
// write scope covers its read scope, because Shopify may name the write one only.
func MissingScopes(want, have []string) []string {
	var missing []string
	for _, w := range want {
		if !covers(have, w) {
			missing = append(missing, w)
		}
	}
	return missing
}

func covers(have []string, want string) bool {
	if slices.Contains(have, want) {
		return true
	}
	for _, prefix := range []string{"", "unauthenticated_"} {
		if name, ok := strings.CutPrefix(want, prefix+"read_"); ok && slices.Contains(have, prefix+"write_"+name) {
			return true
		}
	}
	return false
}

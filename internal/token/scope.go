package token

import (
	"encoding/json"
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

const (
	// mostScopes is several times the number of Shopify's scopes.
	mostScopes = 1000
	// mostScopeBytes is what they may take as JSON.
	mostScopeBytes = 16 << 10
)

// BelievableScopes is the list as it came, or nil, as if nothing had been said, if no app can have so many scopes: they are
// kept for as long as the token, and shown.
func BelievableScopes(list []string) []string {
	if len(list) > mostScopes {
		return nil
	}
	if b, err := json.Marshal(list); err != nil || len(b) > mostScopeBytes {
		return nil
	}
	return list
}

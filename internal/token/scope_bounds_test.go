package token

import (
	"strings"
	"testing"
)

func TestAListOfScopesIsBelievedUpToASize(t *testing.T) {
	for _, c := range []struct {
		scope string
		n     int
		want  bool
	}{
		{"write_merchant_managed_fulfillment_orders", 250, true}, {"a", mostScopes, true}, {"a", mostScopes + 1, false},
		{strings.Repeat("a", mostScopeBytes), 1, false}, {strings.Repeat("\x01", mostScopeBytes/5), 1, false},
	} {
		list := make([]string, c.n)
		for i := range list {
			list[i] = c.scope
		}
		if got := BelievableScopes(list); (got != nil) != c.want {
			t.Errorf("%d of %.20q: %d", c.n, c.scope, len(got))
		}
	}
	if BelievableScopes(nil) != nil || BelievableScopes([]string{}) == nil {
		t.Error("nothing said and no scopes are two things")
	}
}

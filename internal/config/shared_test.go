package config

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryStoreThatIsSharedNeedsAKey(t *testing.T) {
	t.Parallel()
	const missing = "EVERGATE_STORE is shared with other machines"
	needsKey := func(settings ...string) bool {
		return slices.ContainsFunc(mistakes(t, minimal(settings...)...), func(said string) bool { return strings.Contains(said, missing) })
	}
	for _, place := range []string{
		"redis://h", "rediss://h?addr=i", "redis://h?master_set=m", "postgres://u@h/d?sslmode=verify-full", "postgresql://u@h/d?sslmode=verify-full", "kubernetes:ns", "kubernetes:",
	} {
		if !needsKey("EVERGATE_STORE=" + place) {
			t.Errorf("%s needs no key", place)
		}
	}
	for _, layout := range []string{LayoutPrisma, LayoutPostgreSQL, LayoutRails} { // what is ours beside an app's rows
		if !needsKey("EVERGATE_STORE=postgres://u@h/d?sslmode=verify-full", "EVERGATE_STORE_LAYOUT="+layout) {
			t.Errorf("%s needs no key", layout)
		}
	}
}

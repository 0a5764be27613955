package brief

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""}, {"abcd", "abcd"}, {"abcde", "abcd… (5 bytes)"}, {"ééé", "éé… (6 bytes)"}, {"aééé", "aé… (7 bytes)"},
	} {
		if got := Text(c.text, 4); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
	if got := Text(strings.Repeat("a", 1<<20), 100); len(got) > 130 {
		t.Errorf("%d bytes", len(got))
	}
}

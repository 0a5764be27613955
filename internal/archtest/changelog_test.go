package archtest

import (
	"strings"
	"testing"
)

// Entries that two branches move and change come back doubled, with a word changed here and there.
func TestTheChangelogSaysNothingTwice(t *testing.T) {
	t.Parallel()
	const told = 60 // characters by which an entry is known
	seen := map[string]bool{}
	for line := range strings.Lines(page(t, "CHANGELOG.md")) {
		if strings.HasPrefix(line, "- ") {
			line = line[:min(told, len(line))]
			if seen[line] {
				t.Errorf("CHANGELOG.md has two entries that begin with %q", line)
			}
			seen[line] = true
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d entries were found", len(seen))
	}
}

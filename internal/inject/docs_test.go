package inject

import (
	"os"
	"strings"
	"testing"
)

func TestFidelityPageNamesEveryHeaderThatEndsHere(t *testing.T) {
	b, err := os.ReadFile("../../docs/reference/fidelity.md")
	if err != nil {
		t.Fatal(err)
	}
	up, down, found := strings.Cut(strings.ToLower(string(b)), "\n## to the client\n")
	if !found {
		t.Fatal("the page has no part about answers")
	}
	for part, names := range map[string]fieldNames{up: neverUpstream, down: neverDownstream} {
		for name := range names.names {
			if !strings.Contains(part, "`"+strings.ToLower(name)+"`") {
				t.Errorf("%s is not named where it should be", name)
			}
		}
	}
}

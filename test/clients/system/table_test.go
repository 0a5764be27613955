//go:build linux

package system

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const manual = "../../../docs/using/clients.md"

// table says of each client in which mode it worked.
func (r *result) table() string {
	var b strings.Builder
	b.WriteString("\n| client |")
	for _, m := range modes {
		fmt.Fprintf(&b, " %s |", m)
	}
	b.WriteString(" reads | mind |\n|" + strings.Repeat("---|", len(modes)+3) + "\n")
	for _, c := range clients {
		fmt.Fprintf(&b, "| %s |", c.name)
		for _, m := range modes {
			cell := "–"
			if worked, tried := r.worked[c.name][m]; tried {
				cell = map[bool]string{true: "yes", false: "**no**"}[worked]
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		fmt.Fprintf(&b, " %s | %s |\n", c.needs, c.trap)
	}
	return b.String() + "\n"
}

// compare holds the manual against what came of the test, if everything was tried.
func (r *result) compare(t *testing.T) {
	t.Helper()
	for _, c := range clients {
		if len(r.worked[c.name]) != len(c.in) {
			return
		}
	}
	inManual(t, "system", r.table())
}

// inManual holds a place in the manual against what there has to be.
func inManual(t *testing.T, place, want string) {
	t.Helper()
	begin := "<!-- " + place + ":begin (written by `go test ./test/clients/system -update`) -->\n"
	end := "<!-- " + place + ":end -->\n"
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	have, after, closed := strings.Cut(rest, end)
	switch {
	case !found || !closed:
		t.Fatalf("%s has no place for the table: it needs the lines\n%s%s", manual, begin, end)
	case have == want:
	case *update:
		if err := os.WriteFile(manual, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s says something else than what worked: `go test ./test/clients/system -update`. It should say:\n%s", manual, want)
	}
}

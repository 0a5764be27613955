//go:build linux

package libraries

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write into the manual what worked")

const manual = "../../../docs/using/clients.md"

// ways are the columns of the table, by the cells below them.
var ways = []struct {
	mode  mode
	title string
	cell  func(library) string
}{
	{byURL, "base URL", func(l library) string { return strings.TrimSuffix("yes, "+l.base, ", ") }},
	{byRun, "`evergate run --`", func(library) string { return "yes" }},
	{byHosts, "hosts file", func(library) string { return "yes" }},
}

// The manual says what a library can do when it has done it, and shows the lines with which it did.
func TestTheManualShowsTheProgramsThatRun(t *testing.T) {
	t.Parallel()
	if *update {
		t.Skip("written by the other test")
	}
	inManual(t, "libraries", chapter(t, func(library, mode) bool { return true }))
}

// compareWithDocs compares the manual with what worked, if all has been tried.
func (m *matrix) compareWithDocs(t *testing.T) {
	t.Helper()
	for _, l := range libraries {
		if len(m.worked[l.name]) < len(modes) && (l.noRun == "" || len(m.worked[l.name]) < len(modes)-1) {
			return
		}
	}
	inManual(t, "libraries", chapter(t, func(l library, way mode) bool { return m.worked[l.name][way] }))
}

// inManual holds a place in the manual against what there has to be.
func inManual(t *testing.T, place, want string) {
	t.Helper()
	begin := "<!-- " + place + ":begin (written by `go test ./test/clients/libraries -update`) -->\n"
	end := "<!-- " + place + ":end -->\n"
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	have, after, closed := strings.Cut(rest, end)
	switch {
	case !found || !closed:
		t.Fatalf("%s has no place for it: it needs the lines\n%s%s", manual, begin, end)
	case have == want:
	case *update:
		if err := os.WriteFile(manual, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s says something else than what worked: `go test ./test/clients/libraries -update`. It should say:\n%s", manual, want)
	}
}

// chapter is what the manual has to say.
func chapter(t *testing.T, worked func(library, mode) bool) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("\n| library |")
	for _, w := range ways {
		fmt.Fprintf(&b, " %s |", w.title)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(ways)) + "\n")
	for _, l := range libraries {
		fmt.Fprintf(&b, "| %s |", l.name)
		for _, w := range ways {
			cell := "no"
			switch {
			case w.mode == byRun && l.noRun != "":
				cell = l.noRun
			case worked(l, w.mode):
				cell = w.cell(l)
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	var shown []string
	for _, l := range libraries {
		if slices.Contains(shown, l.program) {
			continue
		}
		shown = append(shown, l.program)
		title, _, _ := strings.Cut(l.name, ",")
		fmt.Fprintf(&b, "\n### %s\n\n```%s\n%s```\n", title, languages[filepath.Ext(l.program)], snippet(t, l.program))
	}
	return b.String() + "\n"
}

var languages = map[string]string{".mjs": "js", ".java": "java", ".go": "go"}

// snippet is what stands between two marks in a program, without their indentation.
func snippet(t *testing.T, program string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", program))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), "// snippet\n")
	body, _, closed := strings.Cut(rest, "// end\n")
	if !found || !closed {
		t.Fatalf("%s has no snippet", program)
	}
	indent := before[strings.LastIndex(before, "\n")+1:]
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(strings.TrimRight(body, " "), "\n") + "\n") {
		b.WriteString(strings.TrimPrefix(line, indent))
	}
	return b.String()
}

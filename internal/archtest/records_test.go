package archtest

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	recordName = regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)
	recordLink = regexp.MustCompile(`\[[^\]]*?(\d+)\]\((?:[^)\s]*/)?(\d{4})-[a-z0-9-]+\.md\)`)
	// bareRecord is a record that is named by its number alone.
	bareRecord = regexp.MustCompile(`(?i)\badr[ /-]0*\d+\b(?:[^-\d]|$)`)
)

// Whoever is sent to "ADR 16" finds one.
func TestEachDecisionRecordHasANumberOfItsOwn(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(filepath.Join(root, "docs", "adr"))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		m := recordName.FindStringSubmatch(e.Name())
		if m == nil {
			t.Fatalf("docs/adr/%s: a record is named NNNN-what-it-says.md", e.Name())
		}
		if want := fmt.Sprintf("%04d", i+1); m[1] != want {
			t.Fatalf("docs/adr/%s: the record at this place has the number %s: a number is used twice, or one is left out", e.Name(), want)
		}
		if title := fmt.Sprintf("# %d. ", i+1); !strings.HasPrefix(page(t, path.Join("docs/adr", e.Name())), title) {
			t.Errorf("docs/adr/%s does not begin with %q", e.Name(), title)
		}
	}
	if len(entries) < 10 {
		t.Errorf("only %d records", len(entries))
	}
}

// A number that was moved leaves references behind that still lead somewhere. A link has the number of the page
// to which it leads; code has the page's name, which TestPagesNamedOutsideTheDocumentationExist looks for.
func TestDecisionRecordsAreReferredToByTheirName(t *testing.T) {
	t.Parallel()
	links := 0
	err := walk(".md", func(name string) error {
		text := readPage(t, name)
		for _, m := range recordLink.FindAllStringSubmatch(text, -1) {
			if links++; strings.TrimLeft(m[1], "0") != strings.TrimLeft(m[2], "0") {
				t.Errorf("%s: %s", name, m[0])
			}
		}
		if m := bareRecord.FindString(recordLink.ReplaceAllString(text, "")); m != "" {
			t.Errorf("%s: %q is no link", name, m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if links < 10 {
		t.Errorf("only %d links to records", links)
	}
	for _, ext := range []string{".go", ".yaml", ".tpl", ".sh"} {
		err := walk(ext, func(name string) error {
			if m := bareRecord.FindString(page(t, name)); m != "" && !strings.HasPrefix(name, "internal/archtest/") {
				t.Errorf("%s: %q: write docs/adr/ and the page's whole name", name, m)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// place is a file, a folder or a pattern of the source, as docs/architecture.md names them.
var place = regexp.MustCompile("`((?:internal|cmd)/[\\w./*-]+)`")

// mentioned are the functions of a file: "`file.go` (`roundTrip`, `learn`)".
var mentioned = regexp.MustCompile("`((?:internal|cmd)/[\\w./-]+\\.go)` \\(((?:`\\w+`(?:, )?)+)\\)")

func TestWhatTheArchitecturePageNamesExists(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/architecture.md")
	places := place.FindAllStringSubmatch(text, -1)
	for _, m := range places {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(m[1]))); err != nil {
			t.Errorf("there is no %s", m[1])
		}
	}
	functions := 0
	for _, m := range mentioned.FindAllStringSubmatch(text, -1) {
		source := page(t, m[1])
		for _, name := range quotedIn(m[2]) {
			if functions++; !regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?` + name + `\(`).MatchString(source) {
				t.Errorf("%s has no function %s", m[1], name)
			}
		}
	}
	if len(places) < 50 || functions < 8 {
		t.Errorf("only %d places and %d functions were found", len(places), functions)
	}
}

package archtest

import (
	"go/ast"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
)

func TestLinksInTheDocumentationLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages, links := 0, 0
	err := walk(".md", func(name string) error {
		pages++
		text := readPage(t, name)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
				continue
			}
			if target.Scheme != "" || target.Host != "" {
				continue // the network is no part of a test
			}
			links++
			to := name
			if target.Path != "" {
				to = path.Join(path.Dir(name), target.Path)
			}
			info, err := os.Stat(filepath.Join(root, filepath.FromSlash(to)))
			switch {
			case err != nil:
				t.Errorf("%s: %s does not exist", name, m[1])
			case target.Fragment != "" && !info.IsDir() && strings.HasSuffix(to, ".md") && !hasAnchor(readPage(t, to), target.Fragment):
				t.Errorf("%s: %s has no heading %q", name, to, target.Fragment)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pages < 2 || links == 0 {
		t.Errorf("%d pages with %d links: these are not the docs", pages, links)
	}
}

// readPage returns a page without its code.
func readPage(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return fence.ReplaceAllString(string(b), "")
}

// hasAnchor reports whether a page has a heading that GitHub gives the anchor to.
func hasAnchor(text, anchor string) bool {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		if slug == anchor {
			return true
		}
	}
	return false
}

// mention is a page of docs/ that something other than a page speaks of: an error, a comment, an annotation.
var mention = regexp.MustCompile(`\bdocs/[\w/-]+\.(?:md|svg)\b`)

func TestPagesNamedOutsideTheDocumentationExist(t *testing.T) {
	t.Parallel()
	found := 0
	for _, ext := range []string{".go", ".yaml", ".json", ".txt", ".tpl", ".service", ".socket", ""} {
		err := walk(ext, func(name string) error {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
			if err != nil {
				return err
			}
			for _, page := range mention.FindAllString(string(b), -1) {
				found++
				if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(page))); err != nil {
					t.Errorf("%s speaks of %s, which does not exist", name, page)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 30 {
		t.Errorf("only %d mentions of a page were found", found)
	}
}

var testName = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)

func TestTestsNamedInTheDocumentationExist(t *testing.T) {
	t.Parallel()
	exist := map[string]bool{}
	for _, f := range files(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.isTest() {
				exist[fn.Name.Name] = true
			}
		}
	}
	found := 0
	err := walk(".md", func(name string) error {
		if name == "CHANGELOG.md" {
			return nil // it tells of what was
		}
		for _, test := range testName.FindAllString(readPage(t, name), -1) {
			if found++; !exist[test] {
				t.Errorf("%s: there is no %s", name, test)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 10 {
		t.Errorf("only %d tests are named", found)
	}
}

// A promise that nothing holds is a wish.
func TestEveryPromiseNamesItsTest(t *testing.T) {
	t.Parallel()
	page := readPage(t, "SECURITY.md")
	_, promises, ok := strings.Cut(page, "## What Evergate promises\n")
	promises, _, ended := strings.Cut(promises, "## What it does not\n")
	if !ok || !ended {
		t.Fatal("SECURITY.md has no promises")
	}
	bullets := strings.Split(promises, "\n- ")
	for _, bullet := range bullets[1:] {
		if !testName.MatchString(bullet) {
			t.Errorf("SECURITY.md promises this without naming a test: %.80s", bullet)
		}
	}
	if len(bullets) < 30 {
		t.Errorf("only %d promises were found", len(bullets)-1)
	}
}

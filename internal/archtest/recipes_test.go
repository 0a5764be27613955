package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	recipe     = regexp.MustCompile(`(?m)^### (Add .*)$`)
	recipeStep = regexp.MustCompile(`(?m)^\d+\. `)
	// identifier is what a recipe calls by its name in the code; a test has one of another kind.
	identifier = regexp.MustCompile("`([A-Za-z]+[A-Z][A-Za-z]+|[a-z]+\\(\\))`")
)

// TestRecipesNameWhatThereIs holds CONTRIBUTING.md to what it says of itself: a recipe is steps, names files and the
// test that complains, and what it calls by name is in one of those files. That files and tests exist is held for all
// pages, by TestLinksInTheDocumentationLeadSomewhere and TestTestsNamedInTheDocumentationExist.
func TestRecipesNameWhatThereIs(t *testing.T) {
	t.Parallel()
	text := readPage(t, "CONTRIBUTING.md")
	_, text, _ = strings.Cut(text, "\n## Recipes\n")
	found := map[string]bool{}
	names := 0
	starts := recipe.FindAllStringSubmatchIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		title, section := text[at[2]:at[3]], text[at[1]:end]
		found[title] = true
		if len(recipeStep.FindAllString(section, -1)) < 3 || !testName.MatchString(section) {
			t.Errorf("%q has no steps, or no test that complains", title)
		}
		source := linkedSource(t, section)
		for _, m := range identifier.FindAllStringSubmatch(section, -1) {
			name := strings.TrimSuffix(m[1], "()")
			if names++; !strings.HasPrefix(name, "Test") && !regexp.MustCompile(`\b`+name+`\b`).MatchString(source) {
				t.Errorf("%q: %s is in none of the files that it names", title, name)
			}
		}
	}
	for _, title := range []string{"Add a setting", "Add a metric", "Add a command", "Add a grant", "Add a store", "Add a fact about Shopify to the simulator"} {
		if !found[title] {
			t.Errorf("CONTRIBUTING.md does not say how to %s", strings.ToLower(title))
		}
	}
	if names < 15 {
		t.Errorf("only %d names are in the recipes", names)
	}
}

// linkedSource is the text of all files that a section links to; of a folder, of those in it.
func linkedSource(t *testing.T, section string) string {
	t.Helper()
	var all strings.Builder
	for _, m := range link.FindAllStringSubmatch(section, -1) {
		path := filepath.Join(root, filepath.FromSlash(m[1]))
		files := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			files, _ = filepath.Glob(filepath.Join(path, "*.go"))
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Error(err)
			}
			all.Write(b)
		}
	}
	if all.Len() == 0 {
		t.Error("a recipe names no file")
	}
	return all.String()
}

package supply

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A line for a directory that was moved owns nothing, and nobody is told.
func TestEveryOwnedPathExists(t *testing.T) {
	t.Parallel()
	owned := 0
	for line := range strings.Lines(read(t, filepath.Join(root, ".github/CODEOWNERS"))) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		owned++
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "@") {
			t.Errorf("%q has no owner", line)
		}
		if fields[0] == "*" {
			continue
		}
		info, err := os.Stat(filepath.Join(root, fields[0]))
		if err != nil || info.IsDir() != strings.HasSuffix(fields[0], "/") {
			t.Errorf("%s does not exist, or is written as what it is not", fields[0])
		}
	}
	if owned < 2 {
		t.Errorf("%d lines", owned)
	}
}

// GitHub leaves a template out, silently, that does not say what it is.
func TestEveryIssueTemplateSaysWhatItIs(t *testing.T) {
	t.Parallel()
	templates, err := filepath.Glob(filepath.Join(root, ".github/ISSUE_TEMPLATE/*.md"))
	if err != nil || len(templates) == 0 {
		t.Fatal(templates, err)
	}
	for _, path := range templates {
		head, _, ok := strings.Cut(strings.TrimPrefix(read(t, path), "---\n"), "\n---\n")
		for _, key := range []string{"name: ", "about: "} {
			if !ok || !strings.Contains("\n"+head, "\n"+key) {
				t.Errorf("%s has no %q", path, key)
			}
		}
	}
}

package supply

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	bothStreams = regexp.MustCompile(`(?m)^.*\.CombinedOutput\(\).*$`)
	forMessage  = regexp.MustCompile(`^\s*if out, err := .*\.CombinedOutput\(\); err != nil \{$`)
)

// A program that works may say something on standard error, as the Go command does of each module
// that a new machine has not got yet. Whoever reads both streams takes that for the answer.
func TestNoTestReadsStandardErrorAsOutput(t *testing.T) {
	t.Parallel()
	files := 0
	for _, top := range []string{"cmd", "internal", "test", "tools"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "supply/output_test.go") {
				return err
			}
			files++
			for _, line := range bothStreams.FindAllString(read(t, path), -1) {
				if !forMessage.MatchString(line) && !strings.Contains(line, "// both: ") {
					t.Errorf("%s: %s\n\tuse process.Output, or say why both streams are wanted with // both: …", path, strings.TrimSpace(line))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 200 {
		t.Errorf("%d files: these are not all", files)
	}
}

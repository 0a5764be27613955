//go:build linux

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// listed is a command in the list that `evergate help` prints.
var listed = regexp.MustCompile(`(?m)^  ([a-z]+)  +\S`)

// TestEveryCommandIsTypedByATest holds that each command is run as a person types it: by a script in testdata, or by a block of a page
// that is run. Asking for its help is not running it.
func TestEveryCommandIsTypedByATest(t *testing.T) {
	t.Parallel()
	help, err := exec.Command(binary, "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	commands := listed.FindAllStringSubmatch(string(help), -1)
	if len(commands) < 10 {
		t.Fatalf("these are not all commands: %q", commands)
	}
	typed := typedLines(t)
	for _, c := range commands {
		runs := regexp.MustCompile(`(?m)\bevergate (?:--env-file \S+ )?` + c[1] + `(?:[ ;)"]|$)`)
		if !runs.MatchString(typed) {
			t.Errorf("no test types `evergate %s`: give it a session in test/cli/testdata, or a block on a page that pages_table_test.go has run", c[1])
		}
	}
}

// typedLines are all lines that tests give to a shell or run by themselves.
func typedLines(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if step, _, _ := strings.Cut(strings.TrimPrefix(line, "! "), " "); (step == "exec" || step == "exits") && !strings.Contains(line, "help") {
				all.WriteString(line)
			}
		}
	}
	for page, plan := range typed {
		for i, text := range blocksOf(t, page) {
			if i < len(plan) && plan[i].not == "" {
				all.WriteString(text + "\n" + plan[i].before + "\n" + plan[i].after + "\n")
			}
		}
	}
	return all.String()
}

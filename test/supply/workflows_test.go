package supply

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// workflows returns the text of each file that GitHub runs.
func workflows(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, ".github/workflows/*"))
	if err != nil || len(paths) < 3 {
		t.Fatalf("%q, %v", paths, err)
	}
	all := map[string]string{}
	for _, path := range paths {
		all[filepath.Base(path)] = read(t, path)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	uses   = regexp.MustCompile(`(?m)^\s*(?:- )?uses:\s*(.*)$`)
	pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	ours   = regexp.MustCompile(`^\./\.github/workflows/[a-z]+\.yml$`)
)

// A tag can be moved by whoever gets hold of an action's repository; a commit cannot.
func TestActionsArePinnedByCommit(t *testing.T) {
	t.Parallel()
	count := 0
	for name, text := range workflows(t) {
		for _, m := range uses.FindAllStringSubmatch(text, -1) {
			if count++; !pinned.MatchString(m[1]) && !ours.MatchString(m[1]) {
				t.Errorf("%s: %q is not pinned by a full commit with its version beside it", name, m[1])
			}
		}
	}
	if count < 8 {
		t.Errorf("%d actions: these are not the workflows", count)
	}
}

func TestTheSameActionIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, text := range workflows(t) {
		for _, m := range uses.FindAllStringSubmatch(text, -1) {
			action, pin, _ := strings.Cut(m[1], "@")
			if before := seen[action]; before != "" && before != pin {
				t.Errorf("%s: %s is pinned to %s here and to %s elsewhere", name, action, pin, before)
			}
			seen[action] = pin
		}
	}
}

var permission = regexp.MustCompile(`(?m)^      (\S+): write( # .+)?$`)

func TestWorkflowsMayDoNoMoreThanTheyMust(t *testing.T) {
	t.Parallel()
	for name, text := range workflows(t) {
		if !strings.Contains(text, "\npermissions: {}\n") {
			t.Errorf("%s: whatever no job asks for must be denied: write `permissions: {}` at the top", name)
		}
		for _, m := range permission.FindAllStringSubmatch(text, -1) {
			if strings.Contains(text, "pull_request:") {
				t.Errorf("%s runs for everybody's pull requests and may write %s", name, m[1])
			}
		}
		checkouts, forgetful := strings.Count(text, "actions/checkout@"), strings.Count(text, "persist-credentials: false")
		if checkouts != forgetful {
			t.Errorf("%s: %d of %d checkouts leave the token behind for whatever runs next", name, checkouts-forgetful, checkouts)
		}
		// What an outsider has written must not become part of a script.
		for _, bad := range []string{"pull_request_target", "workflow_run", "${{ github.event.", "${{ github.head_ref", "self-hosted", "write-all", "curl "} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
	}
}

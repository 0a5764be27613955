package simulator

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
)

var binary string

func TestMain(m *testing.M) { os.Exit(process.Main(m, &binary)) }

const examples = "../../examples/simulator/"

// run runs a program with evergate on its PATH, and returns what it wrote and its exit code.
func run(t *testing.T, dir, name string, args ...string) (string, int) {
	t.Helper()
	var said bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // one that does not end is a failure, too
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return said.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return said.String(), 0
}

// language is one in which there is an example.
type language struct {
	needs, remedy string
	command       []string
	passes        string // what it says when a test has passed
	code          string // the file with the code under test, and how that becomes code that asks for a token twice
	right, wrong  string
	fails         string // takes the place of right, and has the test fail before its end
}

func languages(t *testing.T) map[string]language {
	t.Helper()
	python := "/usr/bin/python3" // which sees Debian's packages
	if _, err := os.Stat(python); err != nil {
		python = "python3"
	}
	return map[string]language{
		"go": {"go", "install Go", []string{"go", "test", "-count=1", "-v", "."}, "--- PASS: TestATokenIsFetchedAlthoughAnAnswerIsLost",
			"shopify_test.go", "token, err := fetchToken(s)\n", "_, _ = fetchToken(s)\n\ttoken, err := fetchToken(s)\n", "token, err := \"\", error(nil)\n\tt.Fatal(\"in its middle\")\n"},
		"python": {python, "apt-get install python3-pytest", []string{python, "-m", "pytest", "-q", "-p", "no:cacheprovider"}, "1 passed",
			"test_shopify.py", "    request = urllib.request.Request(\n", "    fetch_token(shopify)\n    request = urllib.request.Request(\n", "    raise RuntimeError\n    request = urllib.request.Request(\n"},
		"node": {"node", "apt-get install nodejs", []string{"node", "--test"}, "# pass 1",
			"shopify.test.mjs", "  const headers =", "  await fetchToken(shopify);\n  const headers =", "  throw new Error();\n  const headers ="},
		"bash": {"curl", "apt-get install curl", []string{"bash", "test.sh", "./count.sh"}, `{"count":10}`,
			"count.sh", "\ntoken=$(", "\ncurl -sS --fail --retry 1 --retry-all-errors \"$SIMULATOR_URL/admin/oauth/access_token\" -d grant_type=client_credentials -d \"client_id=$SHOPIFY_CLIENT_ID\" -d \"client_secret=$SHOPIFY_CLIENT_SECRET\"\ntoken=$(", "\nexit 7\ntoken=$("},
	}
}

func TestTheExamplesOfEachLanguage(t *testing.T) {
	t.Parallel()
	for name, l := range languages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			process.RequireProgram(t, l.needs, l.remedy)
			if name == "python" {
				if out, code := run(t, ".", l.needs, "-c", "import pytest"); code != 0 {
					process.Missing(t, out, l.remedy)
				}
			}
			dir := copied(t, name)
			if out, code := run(t, dir, l.command[0], l.command[1:]...); code != 0 || !strings.Contains(out, l.passes) {
				t.Errorf("exit code %d\n%s", code, out)
			}
			file := filepath.Join(dir, l.code)
			text := read(t, file)
			if strings.Count(text, l.right) != 1 {
				t.Fatalf("%s has no %q", l.code, l.right)
			}
			with := func(code string) (string, int) {
				t.Helper()
				if err := os.WriteFile(file, []byte(strings.Replace(text, l.right, code, 1)), 0o700); err != nil {
					t.Fatal(err)
				}
				return run(t, dir, l.command[0], l.command[1:]...)
			}
			// Both tokens were asked for within a moment, the second for nothing.
			if out, code := with(l.wrong); code == 0 || !strings.Contains(out, "token_parallel") && !strings.Contains(out, "token_per_call") {
				t.Errorf("code that asks for a token twice passes: exit code %d\n%s", code, out)
			}
			// A test that fails has its simulator end, and ends itself.
			if out, code := with(l.fails); code == 0 || !strings.Contains(out, " requests, 0 findings") {
				t.Errorf("a test that fails in its middle: exit code %d\n%s", code, out)
			}
		})
	}
}

// copied is a language's folder as somebody has it who copied it.
func copied(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(examples+name)); err != nil {
		t.Fatal(err)
	}
	if name == "go" {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example\n\ngo 1.25\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheWorkflowOfThePageIsOne(t *testing.T) {
	t.Parallel()
	const file = examples + "github/test.yml"
	workflow := read(t, file)
	if !strings.Contains(read(t, "../../docs/using/simulator.md"), "```yaml\n"+workflow+"```") {
		t.Error("docs/using/simulator.md does not have examples/simulator/github/test.yml, letter by letter")
	}
	// What it gives to the program are flags that exist, and what that prints is fit for GITHUB_ENV.
	_, flags, found := strings.Cut(workflow, "  SIMULATE: ")
	flags, _, _ = strings.Cut(flags, "\n")
	out, code := run(t, ".", binary, append(strings.Fields(flags), "--print-env")...)
	if !found || code != 0 || strings.Count(out, "\nexport ") < 4 || strings.ContainsAny(out, `'"`) {
		t.Errorf("%q: exit code %d\n%s", flags, code, out)
	}
	const actionlint = "../../bin/actionlint"
	if _, err := os.Stat(actionlint); err != nil {
		process.Missing(t, "bin/actionlint is not built", "make bin/actionlint")
	}
	if out, code := run(t, ".", actionlint, file); code != 0 {
		t.Errorf("%s", out)
	}
}

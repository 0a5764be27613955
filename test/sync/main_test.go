package sync

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"evergate/test/process"
)

// program is Evergate's binary.
var program string

func TestMain(m *testing.M) { os.Exit(process.Main(m, &program)) }

const folder = "../../examples/sheet-sync"

// python is the system's Python, which has nothing but what it came with.
func python(t *testing.T) string {
	t.Helper()
	const debian = "/usr/bin/python3"
	if _, err := os.Stat(debian); err == nil {
		return debian
	}
	process.RequireProgram(t, "python3", "apt-get install python3")
	return "python3"
}

// TestInItsOwnLanguage runs the sync's own tests.
func TestInItsOwnLanguage(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), python(t), "-W", "error", "-m", "unittest", "discover", "-v")
	cmd.Dir = folder
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// setting is a number that the environment may give.
func setting(t *testing.T, name string, unless int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return unless
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

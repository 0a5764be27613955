package prometheus

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	child "evergate/test/process"
)

// patience bounds every wait for something that takes a moment. It is far above what a
// loaded machine needs, so that only what will never happen runs into it.
const patience = 60 * time.Second

// What is tested, relative to this package.
const (
	rulesFile     = "../../deploy/prometheus/rules.yaml"
	rulesTestFile = "../../deploy/prometheus/rules_test.yaml"
	dashboardFile = "../../deploy/grafana/evergate.json"
	docs          = "../../docs"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "evergate-prometheus-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "evergate")
	cmd := exec.Command("go", "build", "-o", binary, "evergate/cmd/proxy")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the binary under test:", err)
		return 1
	}
	return m.Run()
}

// requireProgram skips the test on a person's machine where a program is missing. Where
// everything has to be there, a skipped test would be a hole nobody sees, so it fails.
func requireProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") != "" || os.Getenv("TEST_COMPONENTS") == "required" {
		t.Fatalf("%s is not installed: run scripts/install-prometheus", name)
	}
	t.Skipf("%s is not installed: to run this test, scripts/install-prometheus", name)
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventually is for what takes scrapes and evaluations to come about.
func eventually(t *testing.T, longest time.Duration, ask func() error) {
	t.Helper()
	child.EventuallyWithin(t, longest, 250*time.Millisecond, ask)
}

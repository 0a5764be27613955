package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	child "evergate/test/process"
)

// patience bounds every wait for something that takes a moment. It is far above what a
// loaded machine needs, so that only what will never happen runs into it.
const patience = child.Patience

// atOnce is how many tests run together unless -parallel says otherwise: they wait for
// tokens to age, which takes no processor.
const atOnce = "8"

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if len(os.Args) > 2 && os.Args[1] == commandMark {
		return command(os.Args[2:])
	}
	flag.Parse()
	if !given("test.parallel") {
		_ = flag.Set("test.parallel", atOnce)
	}
	dir, err := os.MkdirTemp("", "evergate-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "evergate")
	var flags []string
	if os.Getenv("TEST_RACE") == "1" {
		flags = append(flags, "-race")
	}
	if err := child.Build(binary, flags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func given(name string) (yes bool) {
	flag.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// requireProgram ends the test when a program it needs is not installed.
func requireProgram(t *testing.T, name, debianPackage string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, name+" is not installed", debianPackage)
	}
}

// missing skips the test on a person's machine. Where everything has to be there, a skipped
// test would be a hole nobody sees, so it fails.
func missing(t *testing.T, what, debianPackage string) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("TEST_COMPONENTS") == "required" {
		t.Fatalf("%s: run `apt-get install %s`", what, debianPackage)
	}
	t.Skipf("%s: to run this test, `apt-get install %s`", what, debianPackage)
}

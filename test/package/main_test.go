//go:build linux

package pkg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"evergate/test/process"
)

const (
	root = "../.."

	oldVersion, newVersion = "1.2.3", "1.2.4"
)

func requirePrograms(t *testing.T, debianPackageOf map[string]string) {
	t.Helper()
	for name, debianPackage := range debianPackageOf {
		process.RequireProgram(t, name, "apt-get install "+debianPackage)
	}
}

// packages builds both packages for this machine's processor, once, and returns where they are.
func packages(t *testing.T, version string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds packages: not with -short")
	}
	dir, err := builds[version]()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var builds = map[string]func() (string, error){
	oldVersion: sync.OnceValues(func() (string, error) { return build(oldVersion) }),
	newVersion: sync.OnceValues(func() (string, error) { return build(newVersion) }),
}

var scratch string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "evergate-package-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

func build(version string) (string, error) {
	dir := filepath.Join(scratch, version)
	// Whichever of two programs is missing or old, make knows.
	if err := releaseTools(); err != nil {
		return "", err
	}
	return dir, buildInto(dir, version)
}

var releaseTools = sync.OnceValue(func() error {
	if out, err := exec.Command("make", "-C", root, "--no-print-directory", "bin/nfpm", "bin/cyclonedx-gomod").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

func buildInto(dir, version string) error {
	arch, err := exec.Command("go", "env", "GOARCH").Output()
	if err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(root, "scripts/package"), "--output", dir, strings.TrimSpace(string(arch)))
	release, err := process.Alone()
	if err != nil {
		return err
	}
	defer release()
	cmd.Env = append(os.Environ(), "VERSION=v"+version, "COMMIT=0123456789abcdef0123456789abcdef01234567", "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("scripts/package: %w: %s", err, out)
	}
	return nil
}

// the returns the one file of a kind in a directory.
func the(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s in %s: %q, %v", pattern, dir, found, err)
	}
	return found[0]
}

// output runs a program of this machine and returns what it printed.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, exit.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

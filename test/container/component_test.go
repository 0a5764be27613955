//go:build linux

package container

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

// requireComponents ends the test when a program it needs is not installed.
func requireComponents(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds an image: not with -short")
	}
	if _, err := exec.LookPath("podman"); err != nil {
		missing(t, "podman is not installed", "podman")
	}
	if _, err := ociRuntime(); err != nil {
		missing(t, err.Error(), "runc")
	}
	if _, err := exec.LookPath("ldd"); err != nil {
		missing(t, "ldd is not installed", "libc-bin")
	}
	if _, err := os.Stat(caRoots); err != nil {
		missing(t, caRoots+" does not exist", "ca-certificates")
	}
}

// missing skips the test on a person's machine. Where everything has to be there, a skipped test would be a hole
// nobody sees, so it fails.
func missing(t *testing.T, what, debianPackage string) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("TEST_COMPONENTS") == "required" {
		t.Fatalf("%s: run `apt-get install %s`", what, debianPackage)
	}
	t.Skipf("%s: to run this test, `apt-get install %s`", what, debianPackage)
}

// ociRuntime prefers runc: crun refuses to start on machines that have both versions of cgroups.
func ociRuntime() (string, error) {
	for _, name := range []string{"runc", "crun"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("neither runc nor crun is installed")
}

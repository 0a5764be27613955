//go:build linux

package container

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"evergate/test/process"
)

// requireComponents ends the test when a program it needs is not installed.
func requireComponents(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds an image: not with -short")
	}
	process.RequireProgram(t, "podman", "apt-get install podman")
	if _, err := ociRuntime(); err != nil {
		process.Missing(t, err.Error(), "apt-get install runc")
	}
	process.RequireProgram(t, "ldd", "apt-get install libc-bin")
	if _, err := os.Stat(caRoots); err != nil {
		process.Missing(t, caRoots+" does not exist", "apt-get install ca-certificates")
	}
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

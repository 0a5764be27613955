//go:build !windows

package localca

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEverythingIsPrivate(t *testing.T) {
	t.Parallel()
	dir, file := made(t)
	for path, mode := range map[string]os.FileMode{dir: 0o700, file: 0o600, filepath.Join(dir, ".lock"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestKeyThatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	dir, file := made(t)
	for _, c := range []struct {
		path string
		mode os.FileMode
		want string
	}{{dir, 0o755, "chmod 700 " + dir}, {dir, 0o700, ""}, {file, 0o640, "chmod 600 " + file}, {file, 0o604, "chmod 600 " + file}, {file, 0o600, ""}} {
		if err := os.Chmod(c.path, c.mode); err != nil {
			t.Fatal(err)
		}
		a, _ := at(dir)
		_, err := a.Roots()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with mode %o: %v", c.path, c.mode, err)
		}
	}
	if err := os.Chown(file, 12345, -1); err != nil {
		t.Skipf("only root can give a file away: %v", err)
	}
	a, _ := at(dir)
	if _, err := a.Roots(); err == nil || !strings.Contains(err.Error(), "12345") {
		t.Errorf("%v", err)
	}
}

func TestSymlinkInPlaceOfTheKeyIsRefused(t *testing.T) {
	t.Parallel()
	dir, file := made(t)
	if err := os.Rename(file, dir+".pem"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+".pem", file); err != nil {
		t.Fatal(err)
	}
	a, _ := at(dir)
	if _, err := a.Roots(); err == nil || !strings.Contains(err.Error(), "symlink") {
		t.Errorf("%v", err)
	}
}

func TestDirectoryThatCannotBeWrittenIsSaid(t *testing.T) {
	t.Parallel()
	// Below a file there is no directory, for root as well.
	path := filepath.Join(t.TempDir(), "file")
	put(t, path, nil)
	for _, dir := range []string{path, filepath.Join(path, "ca")} {
		a, _ := at(dir)
		if _, err := a.Roots(); err == nil || !strings.Contains(err.Error(), "EVERGATE_CA_DIR") {
			t.Errorf("%v", err)
		}
	}
}

package process

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// NodeModules is where the packages are that package-lock.json, in this directory, names. They are installed once for each
// state of that file, below name in the user's cache: from then on no network is needed. A test ends where they cannot be.
func NodeModules(t testing.TB, name string) string {
	t.Helper()
	RequireProgram(t, "node", "apt-get install nodejs")
	RequireProgram(t, "npm", "apt-get install npm")
	modules, err := installModules(name)
	if err != nil {
		Missing(t, err.Error(), "npm ci --ignore-scripts, in the directory of the test")
	}
	return modules
}

func installModules(name string) (modules string, err error) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	home := filepath.Join(cache, name, hex.EncodeToString(sum[:8]))
	modules = filepath.Join(home, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(home), "new-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	manifest, err := os.ReadFile("package.json")
	if err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{"package.json": manifest, "package-lock.json": lock} {
		if err := os.WriteFile(filepath.Join(temp, name), content, 0o644); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = temp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the packages are not installed: npm ci: %w: %s", err, out)
	}
	// Whole or not at all; another test process may be faster.
	if err := os.Rename(temp, home); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return "", err
	}
	return modules, nil
}

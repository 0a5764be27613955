//go:build unix

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRootsThatOthersCanWriteAreRefused: whoever chooses them decides to whom the token goes.
func TestRootsThatOthersCanWriteAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	mustSay(t, mistakes(t, minimal("EVERGATE_UPSTREAM_CA_FILE="+path)...), "EVERGATE_UPSTREAM_CA_FILE", "chmod go-w "+path)
}

func TestAnEnvFileThatOthersCanChangeIsSaid(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(path, []byte("EVERGATE_UPSTREAM_URL=https://elsewhere.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, said := range map[os.FileMode]bool{0o600: false, 0o644: false, 0o664: false, 0o666: true, 0o602: true} { // a group is a person's own on many systems
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if environ, warning, err := ReadEnvFile(path); err != nil || len(environ) != 1 || (warning != nil) != said || said && !strings.Contains(warning.Error(), "chmod go-w "+path) {
			t.Errorf("mode %#o: %q, %v, %v", mode, environ, warning, err)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 1234, -1); err != nil {
		t.Skipf("only root can give a file away: %v", err)
	}
	if _, warning, err := ReadEnvFile(path); err != nil || warning == nil || !strings.Contains(warning.Error(), "another user") {
		t.Errorf("of another user: %v, %v", warning, err)
	}
}

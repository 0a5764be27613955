//go:build unix

package pgstore

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesOfTheAddressAreReadByOurRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	private, shared := write("private", 0o600), write("shared", 0o622)
	for name, env := range map[string]string{"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "passfile": "PGPASSFILE", "servicefile": "PGSERVICEFILE"} {
		want := map[string]string{private: "", filepath.Join(dir, "missing"): "", dir: "is a directory, and no file", "/dev/zero": "is a device", shared: "chmod go-w " + shared}
		if name == "passfile" || name == "servicefile" {
			want[shared] = "" // what it may be is PostgreSQL's rule
		}
		for path, complaint := range want {
			inURL := checkFiles("postgres://h/d?"+url.Values{name: {path}}.Encode(), func(string) string { return "" })
			inEnv := checkFiles("postgres://h/d", func(v string) string {
				if v == env {
					return path
				}
				return ""
			})
			for said, err := range map[string]error{"EVERGATE_STORE, " + name: inURL, env: inEnv} {
				if (err == nil) != (complaint == "") || err != nil && (!strings.Contains(err.Error(), complaint) || !strings.HasPrefix(err.Error(), said)) {
					t.Errorf("%s=%s: %v, want %q", said, path, err, complaint)
				}
			}
		}
	}
	if err := checkFiles("postgres://h/d?sslrootcert=system", func(string) string { return "" }); err != nil {
		t.Error(err)
	}
	if _, err := parse("postgres://u@h/d?sslmode=verify-full&sslrootcert=/dev/zero"); err == nil || !strings.Contains(err.Error(), "is a device") {
		t.Errorf("%v", err)
	}
}

package guard

import (
	"os"
	"path/filepath"
	"testing"
)

// writeFile writes a file that only its owner can write.
func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

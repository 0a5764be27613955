package tunnel

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"evergate/internal/caller"
)

func newKey(t *testing.T, name string) (key, line string) {
	t.Helper()
	secret, line, err := caller.NewKey(name, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal(), line
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rewrite changes a file, and its time, whatever the file system's clock makes of it.
func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

func netipOf(a net.Addr) (netip.Addr, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(n.IP)
}

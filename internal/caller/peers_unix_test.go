//go:build linux || darwin

package caller

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"evergate/internal/pipetest"
)

func TestSupplementaryGroupsCount(t *testing.T) {
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	_, served := pipetest.Sockets(t, "unix", socketPath(t))
	p, err := peerOf(served.(*net.UnixConn))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if !(peerRule{group: true, id: uint32(g)}).fits(p) {
			t.Errorf("the group %d is not among %v", g, p.groups)
		}
	}
}

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "guard")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "evergate.sock")
}

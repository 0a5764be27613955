//go:build linux || darwin

package caller

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestSupplementaryGroupsCount(t *testing.T) {
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	client, server := unixPair(t)
	defer client.Close()
	defer server.Close()
	p, err := peerOf(server)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if !(peerRule{group: true, id: uint32(g)}).fits(p) {
			t.Errorf("the group %d is not among %v", g, p.groups)
		}
	}
}

func unixPair(t *testing.T) (client, server *net.UnixConn) {
	t.Helper()
	l, err := net.Listen("unix", socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.UnixConn), s.(*net.UnixConn)
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

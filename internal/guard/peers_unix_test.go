//go:build linux || darwin

package guard

import (
	"net"
	"os"
	"strconv"
	"testing"

	"evergate/internal/denial"
	"evergate/internal/listen"
)

func TestThePeerOfASocketIsKnown(t *testing.T) {
	uid, gid, pid := os.Geteuid(), os.Getegid(), os.Getpid()
	for _, c := range []struct{ peers, caller, kind, code string }{
		{"", Anonymous, "process " + strconv.Itoa(uid) + " " + strconv.Itoa(pid), ""},
		{"uid:" + strconv.Itoa(uid), Anonymous, "process " + strconv.Itoa(uid) + " " + strconv.Itoa(pid), ""},
		{"uid:4242424,agent=uid:" + strconv.Itoa(uid), "agent", "name agent", ""},
		{"team=gid:" + strconv.Itoa(gid) + ",agent=uid:" + strconv.Itoa(uid), "team", "name team", ""},
		{"uid:4242424,gid:4242424", Anonymous, "process " + strconv.Itoa(uid) + " " + strconv.Itoa(pid), denial.CodeDeniedPeer},
	} {
		l := serveAccess(t, accessWith(t, AccessOptions{Peers: c.peers}), listen.Address{Network: "unix", Address: socketPath(t)})
		resp := send(t, l.Addr(), "GET /admin/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if got := resp.Header.Get("X-Caller"); got != c.caller {
			t.Errorf("%s: the caller is %s, want %s", c.peers, got, c.caller)
		}
		if got := resp.Header.Get("X-Kind"); got != c.kind {
			t.Errorf("%s: the key is %s, want %s", c.peers, got, c.kind)
		}
		if got := resp.Header.Get(denial.Header); got != c.code {
			t.Errorf("%s: %s, want %s", c.peers, got, c.code)
		}
		info, err := os.Lstat(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		want := listen.OwnerMode
		if c.peers != "" {
			want = listen.EverybodyMode
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v", c.peers, info.Mode(), want)
		}
	}
}

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

//go:build linux || darwin

package guard

import (
	"os"
	"strconv"
	"testing"

	"evergate/internal/access"
	"evergate/internal/caller"
	"evergate/internal/denial"
	"evergate/internal/listen"
)

func TestThePeerOfASocketIsKnown(t *testing.T) {
	uid, gid := os.Geteuid(), os.Getegid()
	for _, c := range []struct{ peers, caller, kind, code string }{
		{"", caller.Anonymous, "user " + strconv.Itoa(uid), ""},
		{"uid:" + strconv.Itoa(uid), caller.Anonymous, "user " + strconv.Itoa(uid), ""},
		{"uid:4242424,agent=uid:" + strconv.Itoa(uid), "agent", "name agent", ""},
		{"team=gid:" + strconv.Itoa(gid) + ",agent=uid:" + strconv.Itoa(uid), "team", "name team", ""},
		{"uid:4242424,gid:4242424", caller.Anonymous, "user " + strconv.Itoa(uid), denial.CodeDeniedPeer},
	} {
		l := serveAccess(t, accessWith(t, access.Options{Peers: c.peers}), listen.Address{Network: "unix", Address: socketPath(t)})
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

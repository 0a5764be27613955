//go:build linux

package system

import (
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/clients/machine"
	"evergate/test/process"
)

// Where the file of hosts leads the shop's name to the sidecar, `check` looks it up as that does, whether it runs or not.
func TestCheckWhereTheFileOfHostsLeadsHere(t *testing.T) {
	t.Parallel()
	m := machine.New(t, shopsim.Settings{}, 3, machine.Shop)
	admin := "EVERGATE_ADMIN_LISTEN=127.0.0.1:9090"
	check := func(environ ...string) (code int, out string) {
		p := process.Start(t, process.Command(t, binary, append(slices.Clone(environ), admin), "check"))
		return p.Exit(t), p.Out.String()
	}
	for _, listen := range []string{"EVERGATE_LISTEN=tls:127.0.0.1:443", "EVERGATE_LISTEN=tls:localhost:443"} {
		environ := append(slices.Clone(m.Environ), listen)
		if code, out := check(environ...); code != 0 || !strings.Contains(out, machine.Shop+" is 192.0.2.1") || !strings.Contains(out, "a token was obtained") {
			t.Errorf("%s: exit code %d:\n%s", listen, code, out)
		}
		without := slices.DeleteFunc(environ, func(e string) bool { return strings.HasPrefix(e, "EVERGATE_RESOLVER=") })
		if code, out := check(without...); code != 1 || !strings.Contains(out, "leads to this Evergate itself") || !strings.Contains(out, "EVERGATE_RESOLVER") || strings.Contains(out, "firewall") {
			t.Errorf("%s, without EVERGATE_RESOLVER: exit code %d:\n%s", listen, code, out)
		}
	}
	environ := append(slices.Clone(m.Environ), "EVERGATE_LISTEN=tls:127.0.0.1:443", admin)
	process.Start(t, process.Command(t, binary, environ, "serve")).AwaitLog(t, "listening for operators")
	if code, out := check(environ...); code != 0 || !strings.Contains(out, machine.Shop+" is 192.0.2.1") {
		t.Errorf("beside a sidecar: exit code %d:\n%s", code, out)
	}
}

package fleet

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// TestListenersFollowTheFile opens, hands over and closes addresses of shops' own while they are called.
func TestListenersFollowTheFile(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Settings{RESTSize: 1e6, RESTLeak: 1e6}, []string{"acme", "beta", "gamma"})
	var at [3]string
	for i := range at {
		at[i] = "127.0.0.1:" + process.FreePort(t)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	text := func(acme, beta, gamma string) string {
		all := shopsFile(nil, "")
		all = all[:len(all)-len("  {}\n")]
		for name, listens := range map[string]string{"acme": acme, "beta": beta, "gamma": gamma} {
			if listens != "" {
				all += fmt.Sprintf("  %s: {listen: %q}\n", name, listens)
				continue
			}
			all += "  " + name + ": {}\n"
		}
		return all
	}
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, text(at[0], at[1], ""))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file)
	isOf := func(address, name string) error {
		a, err := c.get(t.Context(), "http://"+address+shopJSON, "")
		switch {
		case err != nil:
			return fmt.Errorf("%s at %s: %w", name, address, err)
		case !a.isOf(name):
			return fmt.Errorf("%s at %s: %s", name, address, a)
		}
		return nil
	}
	for address, name := range map[string]string{at[0]: "acme", at[1]: "beta"} {
		if err := isOf(address, name); err != nil {
			t.Fatal(err)
		}
	}

	// beta's address is acme's now, which has another besides; gamma gets acme's old one. All are called meanwhile.
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for _, address := range at[:2] {
		for range 4 {
			callers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if a, err := c.get(t.Context(), "http://"+address+shopJSON, ""); err != nil || a.status != http.StatusOK {
						t.Errorf("%s: %s, %v", address, a, err)
						return
					}
				}
			})
		}
	}
	replace(t, file, text(at[1]+","+at[2], "", at[0]))
	process.Eventually(t, func() error { return isOf(at[2], "acme") })
	for address, name := range map[string]string{at[0]: "gamma", at[1]: "acme"} {
		if err := isOf(address, name); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	callers.Wait()

	// An address that cannot be opened changes nothing else, is said, and is tried again.
	replace(t, file, text(at[1], taken.Addr().String(), at[0]))
	c.AwaitLog(t, "an address of the shops file cannot be opened: mend that, then have the files read again (SIGHUP), or change the file")
	process.Eventually(t, func() error {
		if l, err := net.Listen("tcp", at[2]); err == nil {
			_ = l.Close()
			return nil
		}
		return fmt.Errorf("%s is still open", at[2])
	})
	if err := isOf(at[0], "gamma"); err != nil {
		t.Error(err)
	}
	address := taken.Addr().String()
	_ = taken.Close()
	if err := c.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	process.Eventually(t, func() error { return isOf(address, "beta") })

	c.client.CloseIdleConnections()
	replace(t, file, text("", "", ""))
	for _, address := range []string{at[0], at[1], address} {
		process.Eventually(t, func() error {
			if conn, err := net.Dial("tcp", address); err == nil {
				_ = conn.Close()
				return fmt.Errorf("%s is still open", address)
			}
			return nil
		})
	}
	if a := c.call(t, "acme"); !a.isOf("acme") {
		t.Error(a)
	}
}

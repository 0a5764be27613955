package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"evergate/internal/token"
)

func TestListenSpecsAreRead(t *testing.T) {
	acme, err := token.ParseShop("acme")
	if err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]Address{
		"127.0.0.1:8080":                {Network: "tcp", Address: "127.0.0.1:8080"},
		" localhost:0 ":                 {Network: "tcp", Address: "localhost:0"},
		":8080":                         {Network: "tcp", Address: ":8080"},
		"[::1]:8080":                    {Network: "tcp", Address: "[::1]:8080"},
		"my-host.example:65535":         {Network: "tcp", Address: "my-host.example:65535"},
		"acme@127.0.0.1:8081":           {Network: "tcp", Address: "127.0.0.1:8081", Shop: acme},
		"ACME.myshopify.com@[::1]:1":    {Network: "tcp", Address: "[::1]:1", Shop: acme},
		"unix:" + rooted("run/e@x.sck"): {Network: "unix", Address: rooted("run/e@x.sck")},
		"acme@unix:" + rooted("run/e"):  {Network: "unix", Address: rooted("run/e"), Shop: acme},
		"tls:0.0.0.0:8443":              {Network: "tcp", Address: "0.0.0.0:8443", TLS: true},
		"acme@tls:[::1]:8443":           {Network: "tcp", Address: "[::1]:8443", TLS: true, Shop: acme},
	} {
		got, err := Parse(spec)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%q: %v, %v; want %v", spec, got, err, want)
			continue
		}
		if again, err := Parse(got[0].String()); err != nil || again[0] != want {
			t.Errorf("%q does not survive its own String %q: %v", spec, got[0], err)
		}
	}
	got, err := Parse("127.0.0.1:0,127.0.0.1:0, acme@localhost:1")
	if err != nil || len(got) != 3 {
		t.Errorf("three addresses: %v, %v", got, err)
	}
}

func TestMistakenListenSpecsSayTheRemedy(t *testing.T) {
	for spec, remedy := range map[string]string{
		"":                               "give host:port",
		"8080":                           "write 127.0.0.1:8080",
		"localhost":                      "write, for example, 127.0.0.1:8080",
		"127.0.0.1":                      "write 127.0.0.1:8080",
		"::1":                            "write [::1]:8080",
		"::1:x:8080":                     "in brackets",
		"http://localhost:8080/":         "drop \"http://\" and any path, for example localhost:8080",
		"unix:///run/x.sock":             "drop \"unix://\"",
		"localhost:http":                 "a number from 0 to 65535",
		"localhost:65536":                "a number from 0 to 65535",
		"localhost:080":                  "a number from 0 to 65535",
		"localhost:":                     "a number from 0 to 65535",
		"local host:80":                  "give an IP address or a host name",
		"*:80":                           "give an IP address or a host name",
		"unix:run/x.sock":                "needs an absolute path",
		"unix:@abstract":                 "needs an absolute path",
		"unix:":                          "needs an absolute path",
		"@127.0.0.1:80":                  "what precedes the @ must be",
		"a_b@127.0.0.1:80":               "letters, digits and hyphens",
		"acme@x@127.0.0.1:80":            "give an IP address or a host name",
		"127.0.0.1:80,acme@127.0.0.1:80": "remove one",
		"127.0.0.1:80,tls:127.0.0.1:80":  "remove one",
		"tls:8443":                       "write 127.0.0.1:8443",
		"tls:":                           "write, for example, 127.0.0.1:8080",
		"tls:unix:/run/x.sock":           "a number from 0 to 65535",
		"tls:acme@127.0.0.1:80":          "what precedes the @ must be",
		"tls://127.0.0.1:80":             "drop \"tls://\"",
	} {
		got, err := Parse(spec)
		if err == nil || got != nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%q: %v, %v; want an error with %q", spec, got, err, remedy)
		}
	}
}

func TestAllListenMistakesAreReportedAtOnce(t *testing.T) {
	_, err := Parse("8080,127.0.0.1:1,,http://x,")
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("want four errors, got: %v", err)
	}
}

func TestAPinNamesTheShopThatIsServed(t *testing.T) {
	addresses, err := Parse("127.0.0.1:1,acme@127.0.0.1:2,other@127.0.0.1:3,third@127.0.0.1:4")
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckPins(addresses[:2], addresses[1].Shop); err != nil {
		t.Error(err)
	}
	err = CheckPins(addresses, addresses[1].Shop)
	if err == nil || !strings.Contains(err.Error(), "write acme@127.0.0.1:3") || !strings.Contains(err.Error(), "write acme@127.0.0.1:4") {
		t.Errorf("want both strangers and their remedies, got: %v", err)
	}
}

func TestOnlyLoopbackCountsAsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"localhost:1": true, "LocalHost:1": true, "127.0.0.1:1": true, "127.255.0.9:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true,
		":8080": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "x.localhost:1": false, "example.com:1": false,
		"127.1:1": false, "localhost.:1": false, "": false,
	} {
		if got := (Address{Network: "tcp", Address: address}).Loopback(); got != want {
			t.Errorf("%q: %v, want %v", address, got, want)
		}
	}
	if !(Address{Network: "unix", Address: "/run/x"}).Loopback() {
		t.Error("a Unix socket is reached from this machine only")
	}
}

func TestATakenPortIsExplained(t *testing.T) {
	first, err := Open(t.Context(), Address{Network: "tcp", Address: "127.0.0.1:0"}, OwnerMode)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = Open(t.Context(), Address{Network: "tcp", Address: first.Addr().String()}, OwnerMode)
	if err == nil || runtime.GOOS != "windows" && !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("want an error that names the cause, got: %v", err)
	}
}

func TestASocketWorksAndGoesWithItsListener(t *testing.T) {
	path := socketPath(t)
	ln := mustListen(t, path)
	if got := ln.Addr().String(); got != path {
		t.Errorf("address %q, want %q", got, path)
	}
	mustAnswer(t, path)
	if got := entries(t, path); len(got) != 1 {
		t.Errorf("beside the socket there is %v", got)
	}
	for range 2 {
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := entries(t, path); len(got) != 0 {
		t.Errorf("after Close there is %v", got)
	}
	if err := mustListen(t, path).Close(); err != nil {
		t.Error(err)
	}
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	path := socketPath(t)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	mustListen(t, path)
	mustAnswer(t, path)
}

func TestALiveSocketIsNotReplaced(t *testing.T) {
	path := socketPath(t)
	mustListen(t, path)
	_, err := Open(t.Context(), Address{Network: "unix", Address: path}, OwnerMode)
	if err == nil || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("want an error that names the cause, got: %v", err)
	}
	mustAnswer(t, path)
}

func TestWhatIsNoSocketIsNotReplaced(t *testing.T) {
	for name, create := range map[string]func(path string) error{
		"a file":      func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a symlink":   func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "elsewhere"), path) },
	} {
		path := socketPath(t)
		if err := create(path); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), Address{Network: "unix", Address: path}, OwnerMode)
		if err == nil || !strings.Contains(err.Error(), "is not a socket") {
			t.Errorf("%s: want an error that names the cause, got: %v", name, err)
		}
		if got := entries(t, path); len(got) != 1 {
			t.Errorf("%s: afterwards there is %v", name, got)
		}
	}
}

func TestASuccessorsSocketIsLeftAlone(t *testing.T) {
	path := socketPath(t)
	first := mustListen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustListen(t, path)
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	mustAnswer(t, path)
}

func TestASocketThatCannotBeCreatedIsExplained(t *testing.T) {
	dir := filepath.Dir(socketPath(t))
	for path, remedy := range map[string]string{
		filepath.Join(dir, "missing", "s"):           "its directory must exist",
		filepath.Join(dir, strings.Repeat("x", 120)): "shorten it by",
	} {
		_, err := Open(t.Context(), Address{Network: "unix", Address: path}, OwnerMode)
		if err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: want an error with %q, got: %v", path, remedy, err)
		}
	}
	if got := entries(t, filepath.Join(dir, "x")); len(got) != 0 {
		t.Errorf("afterwards there is %v", got)
	}
}

func TestAnEndedContextOpensNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := socketPath(t)
	if _, err := Open(ctx, Address{Network: "unix", Address: path}, OwnerMode); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket: %v", err)
	}
}

// socketPath is short whatever the test is called, for a socket's path must be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "listen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "evergate.sock")
}

func mustListen(t *testing.T, path string) net.Listener {
	t.Helper()
	ln, err := Open(t.Context(), Address{Network: "unix", Address: path}, OwnerMode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func mustAnswer(t *testing.T, path string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("nobody answers: %v", err)
	}
	conn.Close()
}

func entries(t *testing.T, path string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// rooted makes an absolute path on every platform.
func rooted(path string) string {
	abs, err := filepath.Abs(string(filepath.Separator) + filepath.FromSlash(path))
	if err != nil {
		panic(err)
	}
	return abs
}

func TestKnownAddresses(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"127.0.0.1:8080":    "[127.0.0.1:8080]",
		"tls:localhost:443": "[127.0.0.1:443 [::1]:443]",
		"tls::443":          "[[::]:443]",
		"0.0.0.0:80":        "[0.0.0.0:80]",
		"evergate:80":       "[]",
		"unix:/run/e.sock":  "[]",
	} {
		all, err := Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(all[0].Known()); got != want {
			t.Errorf("%s is %s, want %s", spec, got, want)
		}
	}
}

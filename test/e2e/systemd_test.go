//go:build unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// activate starts the binary as systemd does: with these sockets from descriptor 3 on, each
// under its name, and with LISTEN_PID naming it.
func activate(t *testing.T, environ []string, sockets map[string]net.Listener, args ...string) *process.Process {
	t.Helper()
	var names []string
	// The process id is known only once there is a process, so a shell sets it and becomes us. It closes what
	// the test itself may have inherited, as systemd does.
	script := `LISTEN_PID=$$; export LISTEN_PID; exec "$@"`
	for fd := 3 + len(sockets); fd < 10; fd++ {
		script += fmt.Sprintf(" %d<&-", fd)
	}
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh", binary}, args...)...)
	for name, l := range sockets {
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		names, cmd.ExtraFiles = append(names, name), append(cmd.ExtraFiles, f)
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"LISTEN_FDS=" + strconv.Itoa(len(names)), "LISTEN_FDNAMES=" + strings.Join(names, ":")}, environ...)
	return process.Start(t, cmd)
}

// heldOpen listens and answers nothing itself, as systemd does for a socket unit.
func heldOpen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestPassedSocketsTakeTheListenersPlace(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{products: 2})
	tools, operators := heldOpen(t, "tcp", "127.0.0.1:0"), heldOpen(t, "unix", filepath.Join(socketDir(t), "admin"))
	p := activate(t, shop.environ(), map[string]net.Listener{"evergate": tools, "admin": operators}, "serve")
	for l, url := range map[net.Listener]string{tools: api + "/products.json", operators: "/livez"} {
		client := newClient(t, l.Addr().Network(), l.Addr().String())
		if a, err := exchange(t.Context(), client, http.MethodGet, "http://localhost"+url, ""); err != nil || a.status != http.StatusOK {
			t.Errorf("%s: %v, %v", url, a, err)
		}
	}
	if said := p.Err.String(); strings.Count(said, `"opened_by":"systemd"`) != 2 || strings.Count(said, `"msg":"listening for`) != 2 {
		t.Errorf("it opened more than it was given: %s", said)
	}
	p.Signal(t, syscall.SIGTERM)
	if code := p.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(operators.Addr().String()); err != nil {
		t.Errorf("the socket is the manager's, not ours to remove: %v", err)
	}
}

// While one process has ended and the next has not begun, nobody is refused.
func TestACallBetweenTwoProcessesWaitsForTheNext(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{products: 1})
	tools := heldOpen(t, "tcp", "127.0.0.1:0")
	sockets := map[string]net.Listener{"evergate.socket": tools} // as it is called without FileDescriptorName=
	client, url := newClient(t, "", ""), "http://"+tools.Addr().String()+api+"/shop.json"
	for range 3 {
		p := activate(t, shop.environ(), sockets, "serve")
		if a, err := exchange(t.Context(), client, http.MethodGet, url, ""); err != nil || a.status != http.StatusOK {
			t.Fatalf("%v, %v", a, err)
		}
		client.CloseIdleConnections()
		p.Signal(t, syscall.SIGTERM)
		if code := p.Exit(t); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		answered := make(chan outcome, 1)
		go func() {
			a, err := exchange(t.Context(), client, http.MethodGet, url, "")
			answered <- outcome{a, err}
		}()
		defer func() {
			if o := <-answered; o.err != nil || o.status != http.StatusOK {
				t.Errorf("%v, %v", o.answer, o.err)
			}
		}()
	}
	activate(t, shop.environ(), sockets, "serve")
}

// Restarts under load: every call comes on a connection of its own, and each is answered,
// also one that was accepted in the very moment in which the process was told to end.
func TestNoCallIsLostInARestart(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{products: 1, Settings: shopsim.Settings{RESTSize: 1_000_000, RESTLeak: 100_000}})
	tools := heldOpen(t, "tcp", "127.0.0.1:0")
	sockets := map[string]net.Listener{"evergate": tools}
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var calls atomic.Int64
	for range 4 {
		callers.Go(func() {
			client := newClient(t, "", "")
			client.Transport.(*http.Transport).DisableKeepAlives = true
			for ctx.Err() == nil {
				a, err := exchange(t.Context(), client, http.MethodGet, "http://"+tools.Addr().String()+api+"/shop.json", "")
				if err != nil || a.status != http.StatusOK {
					t.Errorf("%v, %v", a, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	for range 10 {
		if t.Failed() {
			break
		}
		before := calls.Load()
		p := activate(t, shop.environ(), sockets, "serve")
		process.Eventually(t, func() error {
			if n := calls.Load(); n < before+20 && !t.Failed() {
				return fmt.Errorf("%d calls", n-before)
			}
			return nil
		})
		p.Signal(t, syscall.SIGTERM)
		if code := p.Exit(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	stop()
	activate(t, shop.environ(), sockets, "serve") // for the last ones
	callers.Wait()
}

func TestSocketsThatMakeNoSenseAreMistakes(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	for name, tc := range map[string]struct {
		socket, address, want string
	}{
		"open_to_all":  {"evergate", "0.0.0.0:0", "ListenStream=127.0.0.1:8080"},
		"unknown_name": {"amdin", "127.0.0.1:0", "FileDescriptorName=admin"},
	} {
		p := activate(t, shop.environ(), map[string]net.Listener{tc.socket: heldOpen(t, "tcp", tc.address)}, "serve")
		if code := p.Exit(t); code != 2 || !strings.Contains(p.Err.String(), tc.want) {
			t.Errorf("%s: %d, %s", name, code, p.Err.String())
		}
	}
	// An address that is set explicitly is used.
	l := heldOpen(t, "tcp", "0.0.0.0:0")
	p := activate(t, shop.environ("EVERGATE_UNSAFE_LISTEN=true"), map[string]net.Listener{"evergate": l}, "serve")
	if got := p.AwaitLog(t, "listening for tools").Address; got != l.Addr().String() {
		t.Errorf("%s, want %s", got, l.Addr())
	}
}

func TestWhatIsMeantForAnotherProcessIsLeftAlone(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{products: 1})
	s := shop.readySidecar(t, "LISTEN_PID=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=evergate", "WATCHDOG_PID=1", "WATCHDOG_USEC=1")
	if a := s.get(t, "/shop.json"); a.status != http.StatusOK {
		t.Errorf("%v", a)
	}
}

// serviceManager is the end of NOTIFY_SOCKET where systemd would be.
func serviceManager(t *testing.T) (environ string, await func(what string) string) {
	t.Helper()
	path := filepath.Join(socketDir(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return "NOTIFY_SOCKET=" + path, func(what string) string {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				t.Fatalf("waiting for %s: %v", what, err)
			}
			if said := string(b[:n]); strings.HasPrefix(said, what) {
				return said
			}
		}
	}
}

func TestSystemdHearsOfTheStartTheLifeAndTheEnd(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{products: 1})
	environ, await := serviceManager(t)
	p := start(t, shop.environ(environ, "WATCHDOG_USEC=600000"), "serve")
	await("READY=1")
	// Ready means that what starts after us can connect.
	conn, err := net.Dial("tcp", p.AwaitLog(t, "listening for tools").Address)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if said := await("STATUS="); !strings.HasPrefix(said, "STATUS="+shopsim.DefaultShop+": ") {
		t.Error(said)
	}
	for range 3 {
		await("WATCHDOG=1")
	}
	p.Signal(t, syscall.SIGTERM)
	await("STOPPING=1")
	if code := p.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// An outage of Shopify's is no reason to restart: the start succeeds, the watchdog is notified,
// and the status says what is wrong.
func TestSystemdIsContentWhileShopifyIsAway(t *testing.T) {
	t.Parallel()
	environ, await := serviceManager(t)
	shop := newShopify(t, shopOptions{around: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	}})
	start(t, shop.environ(environ, "WATCHDOG_USEC=600000"), "serve")
	await("READY=1")
	for said := ""; !strings.Contains(said, "no usable token"); {
		said = await("STATUS=")
	}
	await("WATCHDOG=1")
}

func TestAManagerThatIsGoneStopsNothing(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{products: 1})
	s := shop.readySidecar(t, "NOTIFY_SOCKET="+filepath.Join(t.TempDir(), "gone"))
	if a := s.get(t, "/shop.json"); a.status != http.StatusOK {
		t.Errorf("%v", a)
	}
	s.AwaitLog(t, "systemd")
}

func TestRunsCommandGetsNothingOfSystemds(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "sh", "apt-get install dash")
	shop := newShopify(t, shopOptions{products: 1})
	notify, await := serviceManager(t)
	tools := heldOpen(t, "tcp", "127.0.0.1:0")
	script := `env; for fd in 3 4 5 6 7 8 9; do if { true <&$fd; } 2>/dev/null; then echo "descriptor $fd is open"; fi; done; echo end`
	p := activate(t, shop.environ(notify, "WATCHDOG_USEC=600000"), map[string]net.Listener{"evergate": tools}, "run", "--", "sh", "-c", script)
	await("READY=1")
	if code := p.Exit(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	said := p.Out.String()
	for _, bad := range []string{"LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "is open"} {
		if strings.Contains(said, bad) {
			t.Errorf("%q in %s", bad, said)
		}
	}
	if !strings.Contains(said, "EVERGATE_URL=http://"+tools.Addr().String()+"\n") || !strings.HasSuffix(said, "end\n") {
		t.Errorf("%s", said)
	}
}

// systemd's own program passes the sockets on as systemd does.
func TestSystemdsOwnActivation(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "systemd-socket-activate", "apt-get install systemd")
	shop := newShopify(t, shopOptions{products: 1})
	dir := socketDir(t)
	args := []string{"--fdname=evergate:admin", "--listen=" + filepath.Join(dir, "tools"), "--listen=" + filepath.Join(dir, "admin")}
	var pass []string
	for _, e := range shop.environ() {
		pass = append(pass, "--setenv="+e)
	}
	cmd := exec.CommandContext(t.Context(), "systemd-socket-activate", append(append(args, pass...), binary, "serve")...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	process.Start(t, cmd)
	// It opens the sockets, waits for the first connection, and becomes the program then.
	client := newClient(t, "unix", filepath.Join(dir, "tools"))
	process.Eventually(t, func() error {
		a, err := exchange(t.Context(), client, http.MethodGet, "http://localhost"+api+"/shop.json", "")
		if err == nil && a.status != http.StatusOK {
			err = errors.New(a.String())
		}
		return err
	})
	operators := newClient(t, "unix", filepath.Join(dir, "admin"))
	if a, err := exchange(t.Context(), operators, http.MethodGet, "http://localhost/readyz", ""); err != nil || a.status != http.StatusOK {
		t.Errorf("%v, %v", a, err)
	}
}

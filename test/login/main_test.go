package login

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/shopsim"
	child "evergate/test/process"
)

// patience bounds every wait. It is far above what a loaded machine needs.
const patience = 60 * time.Second

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "evergate-login-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "evergate")
	if err := child.Build(binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// shopify is the simulated one with TLS, and the settings of an app on it that keeps its
// grant in a directory of the test's.
type shopify struct {
	*shopsim.Sim
	server  *shopsim.Server
	environ []string
}

func newShopify(t *testing.T, o shopsim.Options) *shopify {
	t.Helper()
	sim := shopsim.New(o)
	server, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, server.CAPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	return &shopify{sim, server, []string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"SHOPIFY_SCOPES=read_products,write_products",
		"EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + ca,
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_TOKEN_WAIT=100ms", "EVERGATE_LOG_FORMAT=json",
		"HOME=" + t.TempDir(),
	}}
}

// resolve has a browser find the simulated Shopify under the names of the real one.
func (s *shopify) resolve() string { return "MAP *.myshopify.com " + s.server.Addr }

// tape is what a process prints.
type tape struct{ child.Tape }

// await waits for a line that find accepts and returns what find makes of it.
func (p *tape) await(t *testing.T, what string, find func(line string) (string, bool)) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		text, more := p.Next()
		for line := range strings.Lines(text) {
			if got, ok := find(line); ok && strings.HasSuffix(line, "\n") {
				return got
			}
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no sign of %s:\n%s", what, text)
		}
	}
}

// process is the binary, running.
type process struct {
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	out, err tape
	done     chan struct{}
}

func start(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(t.Context(), binary, args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append([]string{"PATH=" + os.Getenv("PATH")}, environ...), &p.out, &p.err
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s printed:\n%s%s", args, &p.out, &p.err)
		}
	})
	return p
}

func (p *process) mustEnd(t *testing.T, want int) {
	t.Helper()
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("exit code %d, want %d", code, want)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.mustEnd(t, 0)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

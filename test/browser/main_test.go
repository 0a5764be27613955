package browser

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(process.Main(m, &binary)) }

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
		"HOME=" + t.TempDir(), // one for the login and the sidecar
	}}
}

// resolve has a browser find the simulated Shopify under the names of the real one.
func (s *shopify) resolve() string { return "MAP *.myshopify.com " + s.server.Addr }

// child is the binary, running.
type child struct {
	*process.Process
	stdin io.WriteCloser
}

func start(t *testing.T, environ []string, args ...string) *child {
	t.Helper()
	cmd := process.Command(t, binary, environ, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &child{process.Start(t, cmd), stdin}
}

func (p *child) mustEnd(t *testing.T, want int) {
	t.Helper()
	if code := p.Exit(t); code != want {
		t.Errorf("exit code %d, want %d", code, want)
	}
}

func (p *child) stop(t *testing.T) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	p.mustEnd(t, 0)
}

// address is where a listener is, from the log.
func (p *child) address(t *testing.T, message string) string {
	t.Helper()
	return p.AwaitLog(t, message).Address
}

//go:build linux

package libraries

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

const (
	shop = shopsim.DefaultShop
	// life is how long a token lives.
	life = 2 * time.Second
	// products are so many that listing them takes three pages of 50.
	products = 120
	// outside is the address at which this machine's name server and Shopify are.
	outside = "192.0.2.1"
)

// machine is a network of its own with a file of hosts of its own. There is nothing in it but a simulated Shopify and a name
// server that knows it: whatever does not go through Evergate goes nowhere.
type machine struct {
	*shopsim.Sim
	dir     string
	environ []string // of Evergate
	minted  chan string
}

// newMachine moves the goroutine of the test into a new machine, and all that it starts from there. Nothing of it is left when
// the test ends, because its thread ends with it.
func newMachine(t *testing.T, hosts string) *machine {
	t.Helper()
	const remedy = "sudo go test ./test/clients/libraries, with iproute2"
	process.RequireProgram(t, "ip", remedy)
	m := &machine{dir: t.TempDir(), minted: make(chan string, 1000)}
	runtime.LockOSThread() // and never unlocked
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		process.Missing(t, "no namespaces can be made: "+err.Error(), remedy)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	m.replace(t, "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"+hosts)
	m.replace(t, "/etc/resolv.conf", "nameserver 192.0.2.53\n") // whom nothing here reaches
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", outside + "/32", "dev", "lo"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	m.openShopify(t)
	serveNames(t)
	return m
}

// replace has programs of the machine see something else in a file.
func (m *machine) replace(t *testing.T, path, content string) {
	t.Helper()
	ours := m.write(t, filepath.Base(path), content)
	if err := unix.Mount(ours, path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) write(t *testing.T, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (m *machine) openShopify(t *testing.T) {
	t.Helper()
	m.Sim = shopsim.New(shopsim.Options{
		Shops: []shopsim.Shop{{Domain: shop, Products: products}},
		Settings: shopsim.Settings{
			TokenLife: life,
			RESTSize:  400, RESTLeak: 40, GraphQLSize: 20000, GraphQLRestore: 1000, // as of Shopify Plus; others have tests of the pace
		},
	})
	m.OnToken(func(e shopsim.TokenEvent) { m.minted <- e.Token })
	server, err := m.Start(outside + ":443")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	m.environ = []string{
		"SHOPIFY_SHOP=" + shop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_RESOLVER=" + outside, "EVERGATE_UPSTREAM_CA_FILE=" + m.write(t, "shopify.pem", string(server.CAPEM)),
		"EVERGATE_CA_DIR=" + filepath.Join(m.dir, "ca"), "EVERGATE_LOG_FORMAT=json",
	}
}

// serveNames answers for the shop's name.
func serveNames(t *testing.T) {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", outside+":53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		question := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			if answer, err := answerTo(question[:n]); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
}

func answerTo(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if q := m.Questions[0]; q.Name.String() != shop+"." {
		m.RCode = dnsmessage.RCodeNameError
	} else if q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(outside).As4()},
		}}
	}
	return m.Pack()
}

// awaitExpiry waits until every token that has been handed out before has expired: a token is renewed before its end, so that
// a second one after this moment comes later than the end of those before it.
func (m *machine) awaitExpiry(t *testing.T) {
	t.Helper()
	for len(m.minted) > 0 {
		<-m.minted
	}
	for range 2 {
		process.Await(t, "a new token", m.minted)
	}
}

// tokens counts those with which Shopify was called.
func (m *machine) tokens() int {
	used := map[string]bool{}
	for _, e := range m.Journal() {
		if e.Token != "" {
			used[e.Token] = true
		}
	}
	return len(used)
}

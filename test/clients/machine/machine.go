//go:build linux

// Package machine gives a test a network and a file of hosts of its own, in which there is nothing but a simulated Shopify
// and a name server that knows it: what a program there calls without Evergate is not reached.
package machine

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

const (
	// Shop is the one that there is.
	Shop = "acme.myshopify.com"
	// outside is the address at which Shopify and the name server are.
	outside = "192.0.2.1"
	// nowhere is the name server of the machine's own settings, which does not answer.
	nowhere = "192.0.2.53"
)

// Machine is where a test is.
type Machine struct {
	*shopsim.Sim
	// Dir is a directory for files.
	Dir string
	// Environ is what Evergate is configured with, but for where it listens.
	Environ []string
}

// New moves the goroutine of a test into a new machine, and all that it starts from there. The thread is never given back, so
// that the machine ends with the test. Leads are names that the file of hosts leads to this machine.
func New(t *testing.T, settings shopsim.Settings, products int, leads ...string) *Machine {
	t.Helper()
	const remedy = "sudo go test, with iproute2"
	process.RequireProgram(t, "ip", remedy)
	m := &Machine{Dir: t.TempDir()}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		process.Missing(t, fmt.Sprintf("no namespaces can be made (%v)", err), remedy)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	m.replace(t, "/etc/hosts", "127.0.0.1 "+strings.Join(append([]string{"localhost"}, leads...), " ")+"\n::1 localhost\n")
	m.replace(t, "/etc/resolv.conf", "nameserver "+nowhere+"\n")
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", outside + "/32", "dev", "lo"}} {
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	m.openShopify(t, settings, products)
	serveNames(t)
	return m
}

// replace has the programs of this machine see something else in a file.
func (m *Machine) replace(t *testing.T, path, content string) {
	t.Helper()
	if err := unix.Mount(m.Write(t, filepath.Base(path), content), path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
}

// Write writes a file that everybody may read, below Dir.
func (m *Machine) Write(t *testing.T, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(m.Dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (m *Machine) openShopify(t *testing.T, settings shopsim.Settings, products int) {
	t.Helper()
	m.Sim = shopsim.New(shopsim.Options{Shops: []shopsim.Shop{{Domain: Shop, Products: products}}, Settings: settings})
	server, err := m.Start(outside + ":443")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	m.Environ = []string{
		"SHOPIFY_SHOP=" + Shop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_RESOLVER=" + outside, "EVERGATE_UPSTREAM_CA_FILE=" + m.Write(t, "shopify.pem", string(server.CAPEM)),
		"EVERGATE_CA_DIR=" + filepath.Join(m.Dir, "ca"), "EVERGATE_LOG_FORMAT=json",
		"EVERGATE_TOKEN_WAIT=20s", // a loaded machine is no reason for a request to fail
	}
}

// serveNames knows the shop's name, and no other.
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
	m.Response, m.Additionals = true, nil
	for _, q := range m.Questions {
		switch {
		case q.Name.String() != Shop+".":
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(outside).As4()},
			})
		}
	}
	return m.Pack()
}

package ca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"evergate/test/process"
)

// server is one at a port of the loopback, and the name by which it is called.
type server struct{ port, called string }

// client says of each server why a program does not believe that it has the name; nil: it does.
type client struct {
	name     string
	programs []string
	believes func(t *testing.T, rootFile string, servers []server) []error
}

const install = "scripts/install-test-deps"

func clients() []client {
	return []client{
		{"Go", nil, each(asGo)},
		{"OpenSSL", []string{"openssl"}, each(func(t *testing.T, root string, s server) error {
			check := "-verify_hostname"
			if net.ParseIP(s.called) != nil {
				check = "-verify_ip"
			}
			return ran(t, "openssl", "s_client", "-connect", "127.0.0.1:"+s.port, "-CAfile", root, "-no-CApath", "-verify_return_error", "-x509_strict", check, s.called)
		})},
		{"GnuTLS", []string{"gnutls-cli"}, each(func(t *testing.T, root string, s server) error {
			return ran(t, "gnutls-cli", "--x509cafile="+root, "--verify-hostname="+s.called, "--port="+s.port, "127.0.0.1")
		})},
		{"Node", []string{"node"}, script("node", "testdata/client.js")},
		{"Python", []string{"/usr/bin/python3"}, script("/usr/bin/python3", "testdata/client.py")},
		{"Java", []string{"java", "javac"}, script("java", "testdata/Client.java")},
	}
}

// each asks one by one.
func each(believes func(t *testing.T, root string, s server) error) func(*testing.T, string, []server) []error {
	return func(t *testing.T, root string, servers []server) (all []error) {
		t.Helper()
		for _, s := range servers {
			all = append(all, believes(t, root, s))
		}
		return all
	}
}

// ran runs a client and returns why it ended with another code than 0.
func ran(t *testing.T, program string, args ...string) error {
	t.Helper()
	cmd := process.Command(t, program, nil, args...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	out, err := cmd.CombinedOutput() // both: clients say on either what they think of a certificate
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}

// script has a program ask all servers, which prints a line for each.
func script(program, file string) func(*testing.T, string, []server) []error {
	return func(t *testing.T, root string, servers []server) (all []error) {
		t.Helper()
		args := []string{file, root}
		for _, s := range servers {
			args = append(args, s.port, s.called)
		}
		out, err := process.Output(process.Command(t, program, nil, args...))
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if err != nil || len(lines) != len(servers) {
			t.Fatalf("%v: %s", err, out)
		}
		for _, line := range lines {
			var why error
			if line != "ok" {
				why = errors.New(line)
			}
			all = append(all, why)
		}
		return all
	}
}

func asGo(t *testing.T, root string, s server) error {
	t.Helper()
	text, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: process.Patience}, Config: &tls.Config{RootCAs: pool, ServerName: s.called}}
	conn, err := dialer.DialContext(t.Context(), "tcp", "127.0.0.1:"+s.port)
	if err != nil {
		return err
	}
	return conn.Close()
}

// question is a server's certificate, the name by which it is called, and whether that is believed.
type question struct {
	forged
	called   string
	believed bool
	bound    bool // it is the constraints that keep it from being believed, and nothing else
}

func questions() []question {
	return []question{
		{forged{names: []string{"acme.myshopify.com"}}, "acme.myshopify.com", true, false},
		{forged{names: []string{"localhost", "127.0.0.1", "::1"}}, "localhost", true, false},
		{forged{names: []string{"localhost", "127.0.0.1", "::1"}}, "127.0.0.1", true, false},
		{forged{names: []string{"localhost", "127.0.0.1", "::1"}}, "::1", true, false},
		{forged{names: []string{"acme.localhost"}}, "acme.localhost", true, false},
		{forged{names: []string{"127.1.2.3"}}, "127.1.2.3", true, false},

		{forged{names: []string{"example.com"}}, "example.com", false, true},
		{forged{names: []string{"*.com"}}, "example.com", false, false},
		{forged{names: []string{"admin.shopify.com"}}, "admin.shopify.com", false, true},
		{forged{names: []string{"evilmyshopify.com"}}, "evilmyshopify.com", false, true},
		{forged{names: []string{"myshopify.com.example.com"}}, "myshopify.com.example.com", false, true},
		{forged{names: []string{"acme.myshopify.com", "example.com"}}, "example.com", false, true},
		{forged{names: []string{"10.0.0.1"}}, "10.0.0.1", false, true},
		{forged{names: []string{"128.0.0.1"}}, "128.0.0.1", false, true},
		{forged{names: []string{"acme.myshopify.com", "169.254.169.254"}}, "169.254.169.254", false, true},
		{forged{names: []string{"::2"}}, "::2", false, true},
		{forged{names: []string{"fe80::1"}}, "fe80::1", false, true},
		{forged{names: []string{"example.com"}, through: true}, "example.com", false, false},
		{forged{names: []string{"acme.myshopify.com"}, through: true}, "acme.myshopify.com", false, false}, // no authority below ours
		{forged{commonName: "example.com"}, "example.com", false, false},
		{forged{commonName: "example.com", names: []string{"acme.myshopify.com"}}, "example.com", false, false},
	}
}

// The key that rests in a directory is good for shops and for this machine alone, in the eyes of every client.
func TestNobodyBelievesTheAuthorityForOtherNames(t *testing.T) {
	t.Parallel()
	ours, anybodys := stolen(t), unbound(t)
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, program := range c.programs {
				process.RequireProgram(t, program, install)
			}
			var servers, free []server
			for _, q := range questions() {
				servers = append(servers, server{serve(t, ours.certificate(t, q.forged)), q.called})
				free = append(free, server{serve(t, anybodys.certificate(t, q.forged)), q.called})
			}
			believes, believesFree := c.believes(t, ours.rootFile, servers), c.believes(t, anybodys.rootFile, free)
			for i, q := range questions() {
				if (believes[i] == nil) != q.believed {
					t.Errorf("%+v called as %s: %v", q.forged, q.called, believes[i])
				}
				// The same certificate by an authority without constraints is good: so ours was refused for them.
				if q.bound && believesFree[i] != nil {
					t.Errorf("%+v of anybody called as %s: %v", q.forged, q.called, believesFree[i])
				}
			}
		})
	}
}

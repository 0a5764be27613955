// Package truststore puts roots into what this machine trusts, and takes them out again: the system's store, and the
// databases of NSS, which Chromium and Firefox have.
//
// Invariants: what is taken out is ours by the name of its certificate, whoever put it in and whether it has ended;
// everything on the system is done by its own tools, with rights that a person gives them; a store that fails
// does not keep the others from their turn.
package truststore

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"evergate/internal/remedy"
)

// Machine is what there is to change. The zero value except for System is an empty one.
type Machine struct {
	// System is its GOOS.
	System string
	// Root is put before absolute paths, for tests; Home is the person's directory.
	Root, Home string
	// Privileged says that files of the system can be written without sudo.
	Privileged bool
	// Find is exec.LookPath.
	Find func(name string) (string, error)
	// Run runs a program with this standard input, and returns what it printed. An error says why it could not, or how it ended.
	Run func(ctx context.Context, input []byte, name string, args ...string) ([]byte, error)
}

// This is the machine that we run on.
func This(system, home string) *Machine {
	return &Machine{System: system, Home: home, Privileged: os.Geteuid() == 0, Find: exec.LookPath, Run: run}
}

// run is Machine.Run. What a program asks a person for, such as sudo for a password, it asks at the terminal.
func run(ctx context.Context, input []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // no shell, and the names are this package's
	if input != nil {
		cmd.Stdin = bytes.NewReader(input)
	}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w: %s", name, err, strings.Join(strings.Fields(said.String()), " "))
	}
	return out.Bytes(), nil
}

// Store is one place of trust.
type Store interface {
	// Name is for people.
	Name() string
	// Install has it trust the roots. Those that it trusts already change nothing.
	Install(ctx context.Context, roots []*x509.Certificate) error
	// Uninstall takes out every root whose common name begins with prefix, and returns their names.
	Uninstall(ctx context.Context, prefix string) ([]string, error)
}

// Stores are those that there are. The error says that the system's own is not among them, and what to do by hand.
func (m *Machine) Stores() ([]Store, error) {
	var all []Store
	system, err := m.systemStore()
	if err == nil {
		all = append(all, system)
	}
	databases, missing := m.databases()
	return append(all, databases...), errors.Join(err, missing)
}

func (m *Machine) systemStore() (Store, error) {
	switch m.System {
	case "darwin":
		return keychain{m}, nil
	case "windows":
		return windowsStore{m}, nil
	}
	for _, a := range anchorsBySystem {
		if info, err := os.Stat(m.path(a.dir)); err != nil || !info.IsDir() {
			continue
		}
		if _, err := m.Find(a.refresh[0]); err == nil {
			a.machine = m
			return a, nil
		}
	}
	return nil, remedy.New("install ca-certificates; or hand the certificate that evergate ca prints to this system's own tool, or to each program (SSL_CERT_FILE, NODE_EXTRA_CA_CERTS, see docs/using/ca.md)",
		"this system has none of update-ca-certificates, update-ca-trust and their directories")
}

// path is an absolute path on this machine.
func (m *Machine) path(p string) string { return filepath.Join(m.Root, p) }

// sudo runs a program with the rights to change the system.
func (m *Machine) sudo(ctx context.Context, input []byte, argv ...string) error {
	if m.Privileged {
		_, err := m.Run(ctx, input, argv[0], argv[1:]...)
		return err
	}
	if _, err := m.Find("sudo"); err != nil {
		return remedy.New("run it as root, or as an administrator", "%s needs rights that this user does not have, and there is no sudo", argv[0])
	}
	_, err := m.Run(ctx, input, "sudo", append([]string{"--"}, argv...)...)
	return err
}

// inFile hands a certificate to a program that reads a file.
func inFile(c *x509.Certificate, use func(path string) error) error {
	f, err := os.CreateTemp("", "evergate-root-*.crt")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is public, and in a place that is swept
	_, err = f.Write(encode(c))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return use(f.Name())
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// Certificates returns those in a text in PEM form.
func Certificates(text []byte) (all []*x509.Certificate, _ error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// isOurs reports whether a certificate is a root of ours: by its name, which is in it twice.
func isOurs(c *x509.Certificate, prefix string) bool {
	return strings.HasPrefix(c.Subject.CommonName, prefix) && bytes.Equal(c.RawSubject, c.RawIssuer)
}

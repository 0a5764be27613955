package truststore

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"evergate/internal/readfile"
)

// anchors is a directory for certificates, and the program that makes of it what programs read.
type anchors struct {
	machine         *Machine
	dir, suffix     string
	refresh, forget []string // after one was added, and after one was removed
}

// anchorsBySystem: the first of which directory and program are there is the system's.
var anchorsBySystem = []anchors{ // a table, which nobody writes
	// Fedora, RHEL.
	{dir: "/etc/pki/ca-trust/source/anchors", suffix: ".pem", refresh: []string{"update-ca-trust", "extract"}, forget: []string{"update-ca-trust", "extract"}},
	// SUSE.
	{dir: "/etc/pki/trust/anchors", suffix: ".pem", refresh: []string{"update-ca-certificates"}, forget: []string{"update-ca-certificates"}},
	// Arch.
	{dir: "/etc/ca-certificates/trust-source/anchors", suffix: ".crt", refresh: []string{"update-ca-trust"}, forget: []string{"update-ca-trust"}},
	// Debian, Alpine. Without --fresh Debian's leaves links that lead nowhere.
	{dir: "/usr/local/share/ca-certificates", suffix: ".crt", refresh: []string{"update-ca-certificates"}, forget: []string{"update-ca-certificates", "--fresh"}},
}

const anchorPrefix = "evergate-"

// Name implements Store.
func (a anchors) Name() string { return "the system's certificates, " + a.dir }

// Install implements Store.
func (a anchors) Install(ctx context.Context, roots []*x509.Certificate) error {
	for _, c := range roots {
		sum := sha256.Sum256(c.Raw)
		if err := a.write(ctx, anchorPrefix+hex.EncodeToString(sum[:8])+a.suffix, encode(c)); err != nil {
			return err
		}
	}
	return a.machine.sudo(ctx, nil, a.refresh...)
}

func (a anchors) write(ctx context.Context, name string, content []byte) error {
	path := filepath.Join(a.machine.path(a.dir), name)
	if a.machine.Privileged {
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // G306: everybody has to read it
			return err
		}
		return os.Chmod(path, 0o644) //nolint:gosec // G302: whatever the umask
	}
	return a.machine.sudo(ctx, content, "tee", path)
}

// Uninstall implements Store.
func (a anchors) Uninstall(ctx context.Context, prefix string) ([]string, error) {
	dir := a.machine.path(a.dir)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var removed []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		name, ours := a.holdsOurs(path, prefix)
		if !ours {
			continue
		}
		if a.machine.Privileged {
			err = os.Remove(path)
		} else {
			err = a.machine.sudo(ctx, nil, "rm", "-f", path)
		}
		if err != nil {
			return removed, err
		}
		removed = append(removed, name)
	}
	if removed == nil {
		return nil, nil
	}
	err = a.machine.sudo(ctx, nil, a.forget...)
	return removed, err
}

// largestAnchor bounds in bytes what is read of a file among a system's certificates; one of ours is a few kilobytes.
const largestAnchor = 64 << 10

// holdsOurs reports whether a file holds one of our roots and nothing else.
func (a anchors) holdsOurs(path, prefix string) (name string, ours bool) {
	if !strings.HasSuffix(path, ".crt") && !strings.HasSuffix(path, ".pem") {
		return "", false
	}
	text, err := readfile.Read(path, largestAnchor)
	if err != nil {
		return "", false
	}
	all, err := Certificates(text)
	if err != nil || len(all) != 1 || !isOurs(all[0], prefix) {
		return "", false
	}
	return all[0].Subject.CommonName, true
}

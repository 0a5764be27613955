package truststore

import (
	"context"
	"crypto/sha1" //nolint:gosec // G505: a keychain's own name for a certificate
	"crypto/x509"
	"encoding/hex"
	"strings"
)

const systemKeychain = "/Library/Keychains/System.keychain"

const appleRoots = "/System/Library/Keychains/SystemRootCertificates.keychain"

// Roots are the certificates that the system trusts, in PEM form, where it has them in no file; else nothing.
func (m *Machine) Roots(ctx context.Context) ([]byte, error) {
	if m.System != "darwin" {
		return nil, nil
	}
	return m.Run(ctx, nil, "security", "find-certificate", "-a", "-p", appleRoots, systemKeychain)
}

// keychain is that of macOS.
type keychain struct{ machine *Machine }

// Name implements Store.
func (keychain) Name() string { return "the system's keychain" }

// Install implements Store.
func (k keychain) Install(ctx context.Context, roots []*x509.Certificate) error {
	for _, c := range roots {
		err := inFile(c, func(path string) error {
			return k.machine.sudo(ctx, nil, "security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", systemKeychain, path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Uninstall implements Store.
func (k keychain) Uninstall(ctx context.Context, prefix string) ([]string, error) {
	// It ends with an error when there is none.
	text, _ := k.machine.Run(ctx, nil, "security", "find-certificate", "-a", "-c", strings.TrimSpace(prefix), "-p", systemKeychain)
	found, err := Certificates(text)
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, c := range found {
		if !isOurs(c, prefix) {
			continue
		}
		// Its trust first: that is stored apart, and found by the certificate.
		err := inFile(c, func(path string) error {
			return k.machine.sudo(ctx, nil, "security", "remove-trusted-cert", "-d", path)
		})
		if err == nil {
			err = k.machine.sudo(ctx, nil, "security", "delete-certificate", "-Z", thumbprint(c), systemKeychain)
		}
		if err != nil {
			return removed, err
		}
		removed = append(removed, c.Subject.CommonName)
	}
	return removed, nil
}

// thumbprint is how macOS and Windows name a certificate.
func thumbprint(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw) //nolint:gosec // G401: as above
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

package check

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/internal/access"
	"evergate/internal/certtest"
	"evergate/internal/policy"
)

// accessUntil is one whose tls: listeners have a certificate that ends then.
func accessUntil(t *testing.T, end time.Time) *access.Access {
	t.Helper()
	dir := t.TempDir()
	o := access.Options{Policy: policy.ReadOnly, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	certificate, key := certtest.PEM(t, certtest.SelfSigned(t, x509.Certificate{NotAfter: end}))
	if err := errors.Join(os.WriteFile(o.CertFile, certificate, 0o600), os.WriteFile(o.KeyFile, key, 0o600)); err != nil {
		t.Fatal(err)
	}
	a, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTheCertificateForClientsIsLookedAt(t *testing.T) {
	t.Parallel()
	for end, want := range map[time.Duration]Status{-time.Hour: Fail, time.Hour: Warn, 6 * 24 * time.Hour: Warn, 30 * 24 * time.Hour: OK} {
		results := Access(accessUntil(t, time.Now().Add(end))).Run(t.Context())
		last := results[len(results)-1]
		if results[0].Status != OK || !strings.Contains(results[0].Message, "by default read-only") || last.Status != want {
			t.Errorf("%s: %v", end, results)
		}
		if want != OK && !strings.Contains(last.Remedy, "EVERGATE_TLS_CERT_FILE") {
			t.Errorf("%s: no remedy: %v", end, last)
		}
	}
}

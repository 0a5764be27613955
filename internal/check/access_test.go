package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/internal/access"
	"evergate/internal/policy"
)

// accessUntil is one whose tls: listeners have a certificate that ends then.
func accessUntil(t *testing.T, end time.Time) *access.Access {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := access.Options{Policy: policy.ReadOnly, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	for path, block := range map[string]*pem.Block{o.CertFile: {Type: "CERTIFICATE", Bytes: der}, o.KeyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
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

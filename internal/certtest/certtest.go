// Package certtest makes certificates for tests.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
)

// SelfSigned makes a certificate of a new key that the same key signs: whoever has it as a root trusts it.
func SelfSigned(t testing.TB, template x509.Certificate) tls.Certificate {
	t.Helper()
	return Sign(t, template, nil)
}

// Sign makes a certificate of a new key (P-256), which by signs; without a by, it is self-signed. The template says the rest;
// where it says no end, that is in an hour.
func Sign(t testing.TB, template x509.Certificate, by *tls.Certificate) tls.Certificate {
	t.Helper()
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := &template, crypto.PrivateKey(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// Pool is one that trusts a certificate.
func Pool(c tls.Certificate) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(c.Leaf)
	return roots
}

// PEM is a certificate and its key (PKCS #8) as files have them.
func PEM(t testing.TB, c tls.Certificate) (certificate, key []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

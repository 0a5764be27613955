package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"evergate/test/process"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(process.Main(m, &binary)) }

// authority is what a thief of the directory has.
type authority struct {
	rootFile     string // PEM, as clients trust it
	root, issuer *x509.Certificate
	key          *ecdsa.PrivateKey // the issuer's
}

// stolen has the binary make an authority, and takes its file.
func stolen(t *testing.T) authority {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	root, err := process.Output(process.Command(t, binary, []string{"EVERGATE_CA_DIR=" + dir}, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	a := stolenFrom(t, content)
	a.rootFile = filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(a.rootFile, []byte(root), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// stolenFrom reads the file of an authority.
func stolenFrom(t *testing.T, content []byte) (a authority) {
	t.Helper()
	first, rest := pem.Decode(content)
	second, rest := pem.Decode(rest)
	third, _ := pem.Decode(rest)
	a.root, a.issuer = parsed(t, first.Bytes), parsed(t, second.Bytes)
	key, err := x509.ParsePKCS8PrivateKey(third.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	a.key = key.(*ecdsa.PrivateKey)
	return a
}

// unbound is an authority like ours in everything but the constraints. What a client refuses of ours and takes of
// this one, it refuses for the constraints.
func unbound(t *testing.T) authority {
	t.Helper()
	rootKey, rootTemplate := newKey(t), &x509.Certificate{
		Subject: pkix.Name{CommonName: "Unbound root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLen: 1,
	}
	a := authority{key: newKey(t), rootFile: filepath.Join(t.TempDir(), "root.pem")}
	a.root = parsed(t, create(t, rootTemplate, rootTemplate, rootKey, rootKey))
	a.issuer = parsed(t, create(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Unbound issuer"}, NotBefore: a.root.NotBefore, NotAfter: a.root.NotAfter,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}, a.root, a.key, rootKey))
	if err := os.WriteFile(a.rootFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func create(t *testing.T, template, parent *x509.Certificate, subject, signer *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &subject.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parsed(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// forged is what a server shows: a chain of the thief's.
type forged struct {
	commonName string
	names      []string // subject alternative names, addresses among them
	through    bool     // by an authority below the issuer
}

// certificate signs it.
func (a authority) certificate(t *testing.T, f forged) tls.Certificate {
	t.Helper()
	issuer, signer, chain := a.issuer, a.key, [][]byte{a.issuer.Raw}
	if f.through {
		below := newKey(t)
		der := create(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: "Below"}, NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter,
			KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		}, issuer, below, signer)
		issuer, signer, chain = parsed(t, der), below, append([][]byte{der}, chain...)
	}
	key := newKey(t)
	template := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Thief"}, CommonName: f.commonName}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(50 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
		SubjectKeyId: []byte{1, 2, 3, 4},
	}
	for _, name := range f.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return tls.Certificate{Certificate: append([][]byte{create(t, template, issuer, key, signer)}, chain...), PrivateKey: key}
}

// serve shows a certificate on a port of the loopback to whoever connects.
func serve(t *testing.T, c tls.Certificate) (port string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c}})
	if err != nil {
		t.Fatal(err)
	}
	process.Accept(t, l, func(conn net.Conn) {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(process.Patience))
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"))
		}
	})
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"
)

// The types of the blocks in a file.
const (
	typeCertificate = "CERTIFICATE"
	typeKey         = "PRIVATE KEY"
)

// RootName begins the common name of every root of ours, by which one is found again in a store of
// trusted certificates.
const RootName = "Evergate local CA"

const organization = "Evergate"

// generation is an authority: a root, whose key is gone, and the issuer that it signed.
type generation struct {
	root, issuer *x509.Certificate
	key          *ecdsa.PrivateKey // the issuer's
}

// ends is when either of the two ends, which is at once.
func (g *generation) ends() time.Time {
	if g.issuer.NotAfter.Before(g.root.NotAfter) {
		return g.issuer.NotAfter
	}
	return g.root.NotAfter
}

func newGeneration() (*generation, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id := make([]byte, 4) // tells the roots of one machine apart for people
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	name, now := RootName+" "+hex.EncodeToString(id), time.Now()
	root := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{organization}, CommonName: name},
		NotBefore: now.Add(-slack), NotAfter: now.Add(life),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: 1,
	}
	if root, err = sign(root, root, &rootKey.PublicKey, rootKey); err != nil {
		return nil, err
	}
	g := &generation{root: root}
	if g.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	// The last use of rootKey: nobody can make another issuer, one without constraints.
	g.issuer, err = sign(issuerTemplate(root, name), root, &g.key.PublicKey, rootKey)
	return g, err
}

// issuerTemplate is what an issuer may do: sign for servers by these names, and no authority. Of a kind of
// name that is not listed every name would be allowed, so those that no server needs are
// held to names that lead nowhere.
func issuerTemplate(root *x509.Certificate, name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{organization}, CommonName: name + " issuer"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{shopDomain, localhost},
		PermittedIPRanges: []*net.IPNet{
			{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
			{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		},
		PermittedEmailAddresses: []string{localhost},
		PermittedURIDomains:     []string{localhost},
	}
}

// sign makes a certificate, with a serial number at random, and parses it.
func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	id, err := keyID(public)
	if err != nil {
		return nil, err
	}
	template.SubjectKeyId = id
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// keyID identifies a key, as in RFC 7093, section 2, method 1.
func keyID(public *ecdsa.PublicKey) ([]byte, error) {
	raw, err := public.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	return sum[:20], nil
}

// encode is the generation as it is written: the root, the issuer and its key.
func (g *generation) encode() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(g.key)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, b := range []pem.Block{{Type: typeCertificate, Bytes: g.root.Raw}, {Type: typeCertificate, Bytes: g.issuer.Raw}, {Type: typeKey, Bytes: key}} {
		if err := pem.Encode(&out, &b); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// decode reads what encode wrote. Its errors quote nothing of content, which holds a key.
func decode(content []byte) (*generation, error) {
	var blocks []*pem.Block
	for rest := content; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		blocks = append(blocks, b)
	}
	if len(blocks) != 3 || blocks[0].Type != typeCertificate || blocks[1].Type != typeCertificate || blocks[2].Type != typeKey {
		return nil, errors.New("it does not hold two certificates and a key")
	}
	root, badRoot := x509.ParseCertificate(blocks[0].Bytes)
	issuer, badIssuer := x509.ParseCertificate(blocks[1].Bytes)
	parsed, badKey := x509.ParsePKCS8PrivateKey(blocks[2].Bytes)
	if badRoot != nil || badIssuer != nil || badKey != nil {
		return nil, errors.New("a certificate or the key in it is damaged")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(issuer.PublicKey) {
		return nil, errors.New("the key in it is not the certificate's")
	}
	g := &generation{root: root, issuer: issuer, key: key}
	return g, g.check()
}

// check refuses an authority that is not constrained as ours are: somebody else has put it there.
func (g *generation) check() error {
	want := issuerTemplate(g.root, "")
	got := g.issuer
	if err := got.CheckSignatureFrom(g.root); err != nil {
		return errors.New("the root in it has not signed the issuer")
	}
	same := got.PermittedDNSDomainsCritical && got.MaxPathLen == 0 && got.MaxPathLenZero &&
		fmt.Sprint(got.PermittedDNSDomains, got.PermittedIPRanges, got.PermittedEmailAddresses, got.PermittedURIDomains) ==
			fmt.Sprint(want.PermittedDNSDomains, want.PermittedIPRanges, want.PermittedEmailAddresses, want.PermittedURIDomains)
	if !same {
		return errors.New("its issuer may sign for more names than those of Shopify's shops and of this machine, or for others")
	}
	return nil
}

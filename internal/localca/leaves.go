package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"evergate/internal/brief"
)

const (
	shopDomain = "myshopify.com"
	localhost  = "localhost"
)

const (
	leafLife  = 30 * day
	leafSlack = time.Hour
	// maxLeaves is how many are remembered: 2 KiB each.
	maxLeaves = 512
	// maxUnnamed is how many names stand in the certificate for a client that names nobody.
	maxUnnamed = 64
	// maxAsked is how much is logged of a name that is not served: as much as a name can have.
	maxAsked = 253
)

// LeafOptions says which certificates are made.
type LeafOptions struct {
	// Allows reports whether there is a certificate for a name, in lower case, that is no name of
	// this machine and that the authority may sign for; nil: there is none.
	Allows func(name string) bool
	// Unnamed are the names beside this machine's that stand in the certificate for a client that names
	// nobody; nil: none. It may change.
	Unnamed func() []string
}

// Leaves are the certificates that an authority has made. Its methods are safe for concurrent use.
type Leaves struct {
	authority *Authority
	opt       LeafOptions
	made      *lru.Cache[string, *leaf]
}

// Leaves returns an empty set of certificates. It makes and reads nothing.
func (a *Authority) Leaves(o LeafOptions) *Leaves {
	made, err := lru.New[string, *leaf](maxLeaves)
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	return &Leaves{authority: a, opt: o, made: made}
}

// leaf is a certificate, and how long it may be used without another look.
type leaf struct {
	certificate tls.Certificate
	signer      *generation
	names       []string
	begins      time.Time
	renew       time.Time
	looked      atomic.Int64 // when it was last found right, in nanoseconds since 1970
}

// fresh reports whether the leaf was looked at a moment ago. If the clock was set back it was not.
func (f *leaf) fresh(now time.Time) bool {
	age := time.Duration(now.UnixNano() - f.looked.Load())
	return age >= 0 && age < lookAgain
}

// valid reports whether the leaf may be shown.
func (f *leaf) valid(now time.Time) bool { return !now.Before(f.begins) && now.Before(f.renew) }

// Certificate is for tls.Config.GetCertificate. For a name that it has no certificate for it returns
// nothing and no error: crypto/tls then tells the client that the name is unknown, where an error would
// be an internal one. What crypto/tls says of it elsewhere is that there are no certificates, so the log is told here.
func (l *Leaves) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if l.allows(name) {
		return l.named(name)
	}
	// An address is no name, by RFC 6066, but some clients send one.
	if ip, err := netip.ParseAddr(name); name == "" || err == nil && ip.IsLoopback() {
		return l.unnamed(hello.Conn)
	}
	l.refused(hello)
	return nil, nil //nolint:nilnil // as above
}

// refused logs which name was asked for, and which could have been. Whoever wants may ask: the log is to be one that bounds what it
// writes of a kind.
func (l *Leaves) refused(hello *tls.ClientHelloInfo) {
	served := []string{localhost}
	if l.opt.Unnamed != nil {
		served = append(served, l.opt.Unnamed()...)
	}
	from := ""
	if hello.Conn != nil {
		from = hello.Conn.RemoteAddr().String()
	}
	l.authority.log.Warn("a client asked for a certificate of a name that is not served here",
		"asked", brief.Text(hello.ServerName, maxAsked), "served", strings.Join(served[:min(len(served), maxUnnamed)], ", "), "from", from)
}

// For is the certificate for one name. It is an error if there may be none.
func (l *Leaves) For(name string) (*tls.Certificate, error) {
	name = strings.ToLower(name)
	if !l.allows(name) {
		return nil, fmt.Errorf("the local CA makes no certificate for %q", name)
	}
	return l.named(name)
}

func (l *Leaves) named(name string) (*tls.Certificate, error) {
	if name == localhost {
		return l.get(name, thisMachine)
	}
	return l.get(name, func() []string { return []string{name} })
}

// thisMachine are the names of the loopback.
func thisMachine() []string { return []string{localhost, "127.0.0.1", "::1"} }

func (l *Leaves) allows(name string) bool {
	return name == localhost || Signs(name) && l.opt.Allows != nil && l.opt.Allows(name)
}

// Signs reports whether a name, in lower case, is one that an authority may sign for.
func Signs(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	for _, domain := range []string{shopDomain, localhost} {
		if name == domain || strings.HasSuffix(name, "."+domain) {
			return true
		}
	}
	return false
}

// unnamed is the certificate for a client that names nobody, as one does that calls an address.
func (l *Leaves) unnamed(conn net.Conn) (*tls.Certificate, error) {
	called := loopbackOf(conn)
	return l.get(called, func() []string {
		names := thisMachine()
		if !slices.Contains(names, called) {
			names = append(names, called)
		}
		if l.opt.Unnamed == nil {
			return names
		}
		for _, name := range l.opt.Unnamed() {
			if len(names) < maxUnnamed && Signs(name) {
				names = append(names, name)
			}
		}
		return names
	})
}

// loopbackOf is the address that was called; 127.0.0.1 where it is not the loopback, which cannot
// stand in a certificate.
func loopbackOf(conn net.Conn) string {
	if conn == nil {
		return "127.0.0.1"
	}
	if tcp, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		if ip := tcp.AddrPort().Addr().Unmap(); ip.IsLoopback() {
			return ip.String()
		}
	}
	return "127.0.0.1"
}

// get returns the certificate that is remembered by a key, or makes one for the names. While it was
// looked at a moment ago, that costs one look into the memory.
func (l *Leaves) get(key string, names func() []string) (*tls.Certificate, error) {
	known, ok := l.made.Get(key)
	now := time.Now()
	if ok && known.fresh(now) {
		return &known.certificate, nil
	}
	all, err := l.authority.generations()
	if err != nil {
		if ok && known.valid(now) {
			return &known.certificate, nil
		}
		return nil, err
	}
	by, want := signer(all), names()
	if !ok || known.signer != by || !known.valid(now) || !slices.Equal(known.names, want) {
		if known, err = by.leaf(want, now); err != nil {
			return nil, fmt.Errorf("the local CA cannot sign: %w", err)
		}
		l.made.Add(key, known)
	}
	known.looked.Store(now.UnixNano())
	return &known.certificate, nil
}

// leaf makes a certificate for the names, of which those that are addresses count as such.
func (g *generation) leaf(names []string, now time.Time) (*leaf, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	begins, ends := now.Add(-leafSlack), now.Add(leafLife)
	if ends.After(g.ends()) {
		ends = g.ends()
	}
	template := &x509.Certificate{
		// No common name: the oldest clients take it for the server's.
		Subject:   pkix.Name{Organization: []string{organization}},
		NotBefore: begins, NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		SubjectKeyId:          id,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, g.issuer, &key.PublicKey, g.key)
	if err != nil {
		return nil, err
	}
	made := &leaf{signer: g, names: names, begins: begins, renew: ends.Add(-ends.Sub(now) / 3)}
	made.certificate = tls.Certificate{Certificate: [][]byte{der, g.issuer.Raw}, PrivateKey: key}
	return made, nil
}

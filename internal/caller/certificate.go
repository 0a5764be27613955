package caller

import (
	"crypto/x509"
	"net/http"
	"time"

	"evergate/internal/denial"
	"evergate/internal/request"
)

// certified is what a connection's certificate has been found to be.
type certified struct {
	roots *x509.CertPool // that it was verified with
	until time.Time
	name  string
	// qualified is the name that no key and no peer can have.
	qualified string
	key       any // of a caller that is known as a certificate's
	bare      any // name as Caller.Key has it, where it is nobody else's
}

// certKey is the Key of a caller whose name is no key's: one with a key of that name is another.
type certKey string

// certPrefix begins the names that are certificates' alone.
const certPrefix = "cert:"

// certificateOf verifies the client's certificate once for a connection, and again after
// the authorities have changed; nil: it has none.
func (g *Registry) certificateOf(r *request.Request, conn *connection) (*certified, error) {
	if conn == nil || g.opt.Authorities == nil {
		return nil, nil
	}
	chain := conn.chain
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		chain = r.TLS.PeerCertificates
	}
	if len(chain) == 0 {
		return nil, nil
	}
	roots, c := g.opt.Authorities(), conn.certificate.Load()
	if roots == nil {
		return nil, nil
	}
	if c == nil || c.roots != roots {
		var err error
		if c, err = verify(chain, roots); err != nil {
			return nil, badCertificate(err.Error())
		}
		conn.certificate.Store(c)
	}
	if time.Now().After(c.until) {
		return nil, badCertificate("it has expired since you connected")
	}
	return c, nil
}

func badCertificate(why string) error {
	return denial.New(http.StatusForbidden, denial.CodeUnauthenticated, "Evergate no longer accepts your client certificate: "+denial.Quote(why)+". Connect with a new one.")
}

func verify(chain []*x509.Certificate, roots *x509.CertPool) (*certified, error) {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil, err
	}
	c := &certified{roots: roots, until: chain[0].NotAfter, name: certificateName(chain[0])}
	for _, link := range chains[0] {
		if link.NotAfter.Before(c.until) {
			c.until = link.NotAfter
		}
	}
	c.qualified, c.key, c.bare = certPrefix+c.name, certKey(c.name), c.name
	return c, nil
}

// certificateName is the first URI a certificate is for, else the first DNS name, else the
// subject's common name. One certificate is one caller.
func certificateName(c *x509.Certificate) string {
	switch {
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	}
	return c.Subject.CommonName
}

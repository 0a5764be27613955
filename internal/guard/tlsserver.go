package guard

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"evergate/internal/denial"
)

// serverTLS makes the configuration of tls: listeners from the contents of the certificate's
// file, the key's and, if there is one, that of the authorities of client certificates.
func serverTLS(contents [][]byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return nil, errors.New("the certificate and the key do not go together, or are not PEM: " + err.Error())
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"}, // every client speaks it, and one connection is one caller
	}
	if len(contents) < 3 {
		return config, nil
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(contents[2]) {
		return nil, errors.New("the file of EVERGATE_TLS_CLIENT_CA_FILE holds no certificate in PEM form")
	}
	// Asked for and not demanded, so that a client without one gets an answer that it can read.
	config.ClientAuth = tls.VerifyClientCertIfGiven
	// A ticket would bring a client back in after its authority was taken out of the file.
	config.SessionTicketsDisabled = true
	return config, nil
}

// certified is what a connection's certificate has been found to be.
type certified struct {
	roots *x509.CertPool // that it was verified with
	until time.Time
	name  string
	key   any // name as Caller.Key has it
	other any // the same for a name that is nowhere configured
}

// certKey is the Key of a caller whose certificate's name is nowhere configured.
type certKey string

// certificateOf verifies the client's certificate once for a connection, and again after
// the authorities have changed; nil: it has none.
func (a *Access) certificateOf(r *http.Request, conn *connection) (*certified, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || conn == nil || a.tls.Load() == nil || a.tls.Load().ClientCAs == nil {
		return nil, nil
	}
	roots, c := a.tls.Load().ClientCAs, conn.certificate.Load()
	if c == nil || c.roots != roots {
		var err error
		if c, err = verify(r.TLS.PeerCertificates, roots); err != nil {
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
	c.key, c.other = c.name, certKey(c.name)
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

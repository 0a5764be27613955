package listen

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"evergate/internal/reload"
)

// TLS is what tls: listeners need: a certificate, and the authorities of client certificates if
// there are any. It is taken anew when its files change. Its methods are safe for concurrent
// use, and a nil TLS has neither.
type TLS struct {
	config atomic.Pointer[tls.Config]
	files  reload.Values
}

// NewTLS returns what rests in the files, which Files has still to be loaded; caFile may be empty.
func NewTLS(certFile, keyFile, caFile string) *TLS {
	t := &TLS{}
	paths := []string{certFile, keyFile}
	if caFile != "" {
		paths = append(paths, caFile)
	}
	t.files = reload.Values{reload.New("EVERGATE_TLS_CERT_FILE", paths, t.take)}
	return t
}

// Files is what has to be loaded before the first connection, and watched.
func (t *TLS) Files() reload.Values {
	if t == nil {
		return nil
	}
	return t.files
}

func (t *TLS) take(contents [][]byte) error {
	config, err := serverConfig(contents)
	if err == nil {
		t.config.Store(config)
	}
	return err
}

// Wrap speaks TLS on the connections of l. Each handshake takes the certificate of that moment.
func (t *TLS) Wrap(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.current(), nil },
	})
}

// Local is what is spoken with certificates of the local authority, of which certificate makes one for each name: by tls:
// listeners without files, and inside tunnels. multiplex says whether a connection may speak HTTP/2; nil: every one may. Any
// other speaks HTTP/1.1.
func Local(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), multiplex func(net.Conn) bool) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate, NextProtos: []string{"h2", "http/1.1"}}
	if multiplex == nil {
		return config
	}
	single := config.Clone()
	single.NextProtos = []string{"http/1.1"}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, "h2") && !multiplex(hello.Conn) {
			return single, nil
		}
		return nil, nil //nolint:nilnil // that is how crypto/tls is told to go on
	}
	return config
}

func (t *TLS) current() *tls.Config {
	if t == nil {
		return nil
	}
	return t.config.Load()
}

// Authorities are those of client certificates as they are now; nil: there are none.
func (t *TLS) Authorities() *x509.CertPool {
	if config := t.current(); config != nil {
		return config.ClientCAs
	}
	return nil
}

// Ends is when the certificate ends; false: there is none.
func (t *TLS) Ends() (time.Time, bool) {
	config := t.current()
	if config == nil {
		return time.Time{}, false
	}
	return config.Certificates[0].Leaf.NotAfter, true
}

// serverConfig makes the configuration of tls: listeners from the contents of the certificate's
// file, the key's and, if there is one, that of the authorities of client certificates.
func serverConfig(contents [][]byte) (*tls.Config, error) {
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

// Package trust holds the roots that a peer's certificate may come from.
package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// Roots are some that were named, and those of the system beside them. The system's are read when a peer is met that the
// named ones do not vouch for: reading them takes longer than the rest of a start, and is for nothing where all peers are
// in a network of one's own. Nil are the system's alone. It may be used by many goroutines at once.
type Roots struct {
	named *x509.CertPool
	// every makes the pool of all.
	every func() *x509.CertPool
	// met says that a peer was met for whom the named ones were too few.
	met atomic.Bool
}

// FromPEM takes the roots in a text beside those of the system. It reports false if there are none in it.
func FromPEM(pem []byte) (*Roots, bool) {
	named := x509.NewCertPool()
	if !named.AppendCertsFromPEM(pem) {
		return nil, false
	}
	return &Roots{named: named, every: sync.OnceValue(func() *x509.CertPool {
		all, err := x509.SystemCertPool()
		if err != nil {
			all = x509.NewCertPool() // a machine without roots still has the named ones
		}
		all.AppendCertsFromPEM(pem)
		return all
	})}, true
}

// Only takes the roots of a pool, and none of the system's.
func Only(pool *x509.CertPool) *Roots {
	return &Roots{named: pool, every: func() *x509.CertPool { return pool }}
}

// ahead begins to read the system's roots. What is read is kept by crypto/x509, and an error is that of the handshake as well.
var ahead = sync.OnceFunc(func() { go func() { _, _ = x509.SystemCertPool() }() })

// All are the named roots and the system's. Nil means the system's, as in crypto/tls.
func (r *Roots) All() *x509.CertPool {
	if r == nil {
		return nil
	}
	return r.every()
}

// Dial connects and makes the handshake of TLS as a client; config's roots are set here. Where it is the first time
// that the named roots alone refuse a peer, it connects once more and asks all of them. The errors are those of connect
// and of [tls.Conn.HandshakeContext]; no connection is left open then.
//
// The system's roots, where they are the ones to ask, are read while the first connection is made.
func (r *Roots) Dial(ctx context.Context, connect func(context.Context) (net.Conn, error), config *tls.Config) (*tls.Conn, error) {
	narrow := r != nil && !r.met.Load()
	if r == nil {
		ahead()
	}
	c, refused, err := handshake(ctx, connect, config, r.pool(narrow))
	if narrow && refused && !r.All().Equal(r.named) {
		r.met.Store(true)
		c, _, err = handshake(ctx, connect, config, r.All())
	}
	return c, err
}

func (r *Roots) pool(narrow bool) *x509.CertPool {
	if narrow {
		return r.named
	}
	return r.All()
}

// handshake reports, too, whether it failed by the peer's certificate. One that connect met on its way, such as a proxy's, is not the peer's.
func handshake(ctx context.Context, connect func(context.Context) (net.Conn, error), config *tls.Config, roots *x509.CertPool) (c *tls.Conn, refused bool, err error) {
	conn, err := connect(ctx)
	if err != nil {
		return nil, false, err
	}
	config = config.Clone()
	config.RootCAs = roots
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		_, refused = errors.AsType[*tls.CertificateVerificationError](err)
		return nil, refused, err
	}
	return secured, false, nil
}

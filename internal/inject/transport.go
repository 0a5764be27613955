package inject

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	// idleTimeout is well below the 400 s after which Cloudflare, Shopify's edge, closes
	// an idle connection, and below what most NATs forget.
	idleTimeout = 90 * time.Second
	// maxIdle is how many idle connections are kept. net/http's default of two makes a
	// sidecar under parallel load dial, and pay a TLS handshake, for nearly every request.
	maxIdle = 256
	// maxResponseHeader bounds a response's header in bytes.
	maxResponseHeader = 1 << 20
)

// TransportOptions configures NewTransport. Base is required.
type TransportOptions struct {
	// Base is where to connect: scheme and authority. Its host is the name TLS verifies.
	Base *url.URL
	// Roots are the certificate authorities to trust; nil for the system's.
	Roots *x509.CertPool
	// HeaderTimeout bounds the wait for a response's header once the request is written, and
	// for any progress while it is written. Zero: no bound.
	HeaderTimeout time.Duration
	// Spares is how many connections are dialled ahead and kept ready by KeepWarm.
	Spares int
}

// Transport carries requests to one upstream and to no other. It speaks HTTP/1.1: see
// docs/adr/0004 for the measurement. It follows no redirects, which is RoundTrip's nature,
// and adds nothing to a request. It is safe for concurrent use.
type Transport struct {
	base   *http.Transport
	spares *spares
}

// conn is a connection to the upstream. A write that makes no progress for as long as an
// answer may take ends it: net/http bounds the wait for an answer, but not the upload
// before it.
type conn struct {
	net.Conn
	patience time.Duration
	extended time.Time // the write deadline's last extension; writes come one at a time
	spare    bool      // it was dialled ahead
	answered bool      // a byte has come back; reads come one at a time
}

// Write implements io.Writer.
func (c *conn) Write(p []byte) (int, error) {
	if now := time.Now(); c.patience > 0 && now.Sub(c.extended) > c.patience/8 {
		if err := c.SetWriteDeadline(now.Add(c.patience)); err != nil {
			return 0, err
		}
		c.extended = now
	}
	return c.Conn.Write(p)
}

// Read implements io.Reader.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && c.spare && !c.answered {
		err = &spareError{err}
	}
	c.answered = c.answered || n > 0
	return n, err
}

// spareError says that a connection dialled ahead ended before it answered anything: the
// other side, or something between, may have forgotten it.
type spareError struct{ err error }

func (e *spareError) Error() string { return e.err.Error() }
func (e *spareError) Unwrap() error { return e.err }

// NewTransport returns a Transport. KeepWarm dials ahead; without it, connections are
// dialled when needed.
func NewTransport(o TransportOptions) *Transport {
	d := &dialer{address: authority(o.Base)}
	d.net.Timeout = dialTimeout
	if o.Base.Scheme == "https" {
		d.tls = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			ServerName:         o.Base.Hostname(),
			RootCAs:            o.Roots,
			NextProtos:         []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		}
	}
	t := &Transport{spares: newSpares(d.dial, o.Spares)}
	connect := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, spare, err := t.spares.take(ctx)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, patience: o.HeaderTimeout, spare: spare}, nil
	}
	t.base = &http.Transport{
		DialContext:            connect,
		DialTLSContext:         connect,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  o.HeaderTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true, // it would send an Accept-Encoding of its own
	}
	return t
}

// RoundTrip implements http.RoundTripper. http.Transport sends a GET again when a pooled
// connection turns out to be dead, but takes one that was dialled ahead for a new one, so
// that is done here.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	var forgotten *spareError
	if err != nil && errors.As(err, &forgotten) && isSafe(r) && r.Context().Err() == nil {
		return t.base.RoundTrip(r)
	}
	return resp, err
}

// isSafe reports whether a request changes nothing and has no body that is used up.
func isSafe(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Body == nil
}

// KeepWarm keeps spare connections ready until ctx ends, so that the first request after
// a start or a pause pays one round trip and no handshake.
func (t *Transport) KeepWarm(ctx context.Context) { t.spares.run(ctx) }

// CloseIdleConnections closes what is pooled and not in use.
func (t *Transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// dialer opens connections, handshake included, to one address whatever it is asked for.
type dialer struct {
	net     net.Dialer
	address string
	tls     *tls.Config // nil: plain HTTP
}

// dialError says that no connection came about, so nothing was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := d.net.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, &dialError{err}
	}
	if d.tls == nil {
		return conn, nil
	}
	secured := tls.Client(conn, d.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &dialError{err}
	}
	return secured, nil
}

func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = u.Scheme // net knows "http" and "https" as ports
	}
	return net.JoinHostPort(u.Hostname(), port)
}

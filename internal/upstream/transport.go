// Package upstream is the way to Shopify: it dials one address and no other, keeps a few
// connections ready ahead of their use, and bounds every wait.
//
// Invariants:
//   - Whatever a request's URL says, it goes to the host of Options.Base, and TLS verifies
//     that host's name. In a family it goes to the host of its URL, on a connection whose certificate is valid for it.
//   - Nothing is added to a request and no redirect is followed. A request is sent a second
//     time only if it is a GET or HEAD without a body, and its connection had ended or stalled
//     without answering it.
//   - An answer counts that came before its request was at its end, and is the last on its connection.
//   - An error that wraps a *DialError means that nothing was sent.
//   - A connection of the warm pool that the other side has closed is not handed out.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"evergate/internal/clock"
	"evergate/internal/netfail"
	"evergate/internal/trust"
)

const (
	dialTimeout = 10 * time.Second
	// idleTimeout is well below the 400 s after which Cloudflare, Shopify's edge, closes
	// an idle connection, and below what most NATs forget.
	idleTimeout = 90 * time.Second
	// maxIdle is how many idle connections are kept. net/http's default of two makes a
	// sidecar under parallel load dial, and pay a TLS handshake, for nearly every request.
	maxIdle = 256
	// unacknowledged is how long a peer may acknowledge nothing of what was sent. After a sleep, or a
	// change of the network, the connections are dead and nobody says so.
	unacknowledged = 8 * time.Second
	// maxResponseHeader bounds a response's header in bytes.
	maxResponseHeader = 1 << 20
)

// Options configures New. Base is required, but in a Family.
type Options struct {
	// Base is where to connect: scheme and authority. Its host is the name TLS verifies. In a Family it is one of the
	// upstreams, if one is known: the lead, in whose name shared connections are made.
	Base *url.URL
	// Family says that requests are for many upstreams, each for the one of its URL. Those whose names differ in their first
	// label alone share connections, where a certificate is for all of them and the edge takes that.
	Family bool
	// Roots are the certificate authorities to trust; nil for the system's.
	Roots *trust.Roots
	// HeaderTimeout bounds the wait for a response's header once the request is written, which may be up to a second longer,
	// and for any progress while it is written. Zero: no bound.
	HeaderTimeout time.Duration
	// Warm is how many connections are dialled ahead and kept ready by KeepWarm.
	Warm int
	// Most is how many connections there may be, beside those dialled ahead; zero: there is no bound.
	Most int
	// Proxy says through which forward proxy the way leads; it is asked at each dial. Nil: none.
	Proxy func() (Proxy, error)
	// Lookup finds the addresses of the upstream where the way leads through no proxy. Nil: this system does.
	Lookup Lookup
}

// Transport carries requests to one upstream and to no other. It speaks HTTP/1.1: see
// docs/adr/0004-http1-upstream.md for the measurement. It follows no redirects, which is RoundTrip's nature,
// and adds nothing to a request. It is safe for concurrent use.
type Transport struct {
	// Resent is told of each request that is sent on a second connection because the first has
	// stalled. It is set before the first request; nil: nobody is told.
	Resent func()

	base   *http.Transport
	lane   *lane
	warm   *pool
	dialer *dialer
	family *family // nil: there is one upstream
	hedges hedges
	seen   atomic.Pointer[instant] // when a request was made
	slots  chan struct{}           // one for each connection that is not warm; nil: there may be any number
}

// conn is a connection to the upstream. A write that makes no progress for as long as an
// answer may take ends it: net/http bounds the wait for an answer, but not the upload
// before it.
type conn struct {
	net.Conn
	writeTimeout time.Duration
	extended     int64 // when the deadline of writes was moved, of clock.Mono; 0: it was not
	warm         bool  // it was dialled ahead
	answered     bool  // a byte has come back; reads come one at a time
	dial         func(context.Context) (net.Conn, error)
	closed       func()  // nil: nobody is told
	hedges       *hedges // is told that the peer acknowledges nothing any more
	watch        watch
	fresh        atomic.Pointer[net.Conn] // the connection that took this one's place

	came    atomic.Int64  // bytes read
	ended   chan struct{} // closed by Close, which net/http calls when reading has ended, too
	endOnce sync.Once

	// Of a connection of exchanges, whose goroutine reads as well as writes.
	inLane   bool
	key      laneKey
	used     bool  // it has carried a request
	restedAt int64 // of clock.Mono
	probe    probe
	abort    func() // closes it
	readBy   int64  // the deadline that boundAnswer has set; 0: another one is in force, or none
	bound    bool   // it is one for what is read now; else it stays for the next request's, and is taken away if it is over before
}

// way is where the bytes go.
func (c *conn) way() net.Conn {
	if fresh := c.fresh.Load(); fresh != nil {
		return *fresh
	}
	return c.Conn
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.watch.stop()
	c.endOnce.Do(func() {
		close(c.ended)
		if c.closed != nil {
			c.closed()
		}
	})
	return c.way().Close()
}

// Write implements io.Writer.
func (c *conn) Write(p []byte) (int, error) { return c.writeAt(p, clock.Mono()) }

// writeAt is Write for who has just read the clock.
func (c *conn) writeAt(p []byte, now int64) (int, error) {
	if c.writeTimeout > 0 && now-c.extended > int64(c.writeTimeout/8) {
		if err := c.way().SetWriteDeadline(clock.Deadline(now + int64(c.writeTimeout))); err != nil {
			return 0, err
		}
		c.extended = now
	}
	c.wrote(p, now)
	n, err := c.way().Write(p)
	if err != nil && !c.inLane && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.awaitAnswer()
	}
	return n, err
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.readBy = 0
	return c.way().SetReadDeadline(t)
}

// boundAnswer has the head of an answer be here when the time for it is over that begins now, or an eighth of it later, but no more than a second: so the
// deadline of one request is most often that of the next ones as well, and setting it is not free.
func (c *conn) boundAnswer(now int64) error {
	d := c.writeTimeout
	c.bound = d > 0
	if !c.bound || c.readBy-now >= int64(d) {
		return nil
	}
	by := now + int64(d+min(d/8, time.Second))
	if err := c.SetReadDeadline(clock.Deadline(by)); err != nil {
		return err
	}
	c.readBy = by
	return nil
}

// isUnbound reports whether the deadline is over that bounds nothing that is read now, and takes it away.
func (c *conn) isUnbound() bool {
	return !c.bound && c.readBy != 0 && clock.Mono() >= c.readBy && c.SetReadDeadline(time.Time{}) == nil
}

// Read implements io.Reader.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.way().Read(p)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && c.isUnbound() {
			n, err = c.way().Read(p)
		}
		if errors.Is(err, syscall.ETIMEDOUT) {
			c.hedges.giveUp()
		}
	}
	if c.watch.waiting.Load() {
		n, err = c.arrived(p, n, err)
	}
	c.came.Add(int64(n))
	if err != nil && c.warm && !c.answered {
		err = &staleError{err}
	}
	c.answered = c.answered || n > 0
	return n, err
}

// staleError says that a connection dialled ahead ended before it answered anything: the
// other side, or something between, may have forgotten it.
type staleError struct{ err error }

func (e *staleError) Error() string { return e.err.Error() }
func (e *staleError) Unwrap() error { return e.err }

// New returns a Transport. KeepWarm dials ahead; without it, connections are
// dialled when needed.
func New(o Options) *Transport {
	d := &dialer{proxy: o.Proxy, roots: o.Roots, lookup: o.Lookup, ours: new(atomic.Pointer[func(netip.AddrPort) bool])}
	d.net = &net.Dialer{
		Timeout: dialTimeout, Control: d.control,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: suspectAge, Interval: 2 * time.Second, Count: 2},
	}
	if o.Base != nil {
		d.address = authority(o.Base)
	}
	d.sessions = tls.NewLRUClientSessionCache(0)
	if o.Family {
		t := &Transport{dialer: d, family: newFamily(o.Base)}
		t.warm = newPool(t.dialShared, o.Warm)
		return t.ready(o, t.connector(o))
	}
	d = d.to(d.address, o.Base.Scheme == "https")
	return newTransport(o, d, d.dial)
}

func newTransport(o Options, d *dialer, dial func(context.Context) (net.Conn, error)) *Transport {
	t := &Transport{warm: newPool(dial, o.Warm), dialer: d}
	return t.ready(o, func(ctx context.Context, _ string, _ bool) (*conn, error) {
		c, made, err := t.warm.get(ctx)
		if err != nil {
			return nil, err
		}
		return newConn(c, made, o, t, dial), nil
	})
}

// newConn makes a connection of one that has been dialled, or was ahead; then made says when.
func newConn(c net.Conn, made time.Time, o Options, t *Transport, dial func(context.Context) (net.Conn, error)) *conn {
	n := &conn{Conn: c, writeTimeout: o.HeaderTimeout, warm: !made.IsZero(), dial: dial, hedges: &t.hedges, ended: make(chan struct{})}
	if n.warm {
		n.watch.heard = clock.MonoOf(made)
	}
	return n
}

// connector makes a connection to an address, host:port.
type connector func(ctx context.Context, address string, secure bool) (*conn, error)

// counted makes connections for which there is a slot. detached: what has been begun is not given up with ctx.
func (t *Transport) counted(connect connector, detached bool) connector {
	return func(ctx context.Context, address string, secure bool) (*conn, error) {
		if err := t.takeSlot(ctx); err != nil {
			return nil, &DialError{err: err}
		}
		if detached {
			ctx = context.WithoutCancel(ctx)
		}
		c, err := connect(ctx, address, secure)
		if err != nil {
			t.freeSlot()
			return nil, err
		}
		c.closed = t.freeSlot
		return c, nil
	}
}

// repeated connects once more where the process stood still meanwhile, as long as somebody waits for it.
func repeated(connect connector) connector {
	return func(ctx context.Context, address string, secure bool) (*conn, error) {
		c, err := connect(ctx, address, secure)
		if dial, ok := errors.AsType[*DialError](err); ok && dial.late && ctx.Err() == nil {
			return connect(ctx, address, secure)
		}
		return c, err
	}
}

// ready completes a Transport.
func (t *Transport) ready(o Options, connect connector) *Transport {
	if o.Most > 0 {
		t.slots = make(chan struct{}, o.Most)
	}
	direct, connect := repeated(t.counted(connect, true)), repeated(t.counted(connect, false))
	t.lane = &lane{places: map[laneKey]*place{}, one: t.family == nil, spare: t.spare, aged: t.warm.notify}
	t.warm.load = t.lane.load
	t.lane.connect = func(ctx context.Context, key laneKey) (*conn, error) {
		address := ""
		if t.family != nil {
			address = authority(&url.URL{Scheme: key.scheme, Host: key.host})
		}
		c, err := direct(ctx, address, key.scheme == "https")
		if err == nil {
			c.inLane, c.abort = true, func() { _ = c.Close() }
		}
		return c, err
	}
	dial := func(secure bool) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, _, address string) (net.Conn, error) {
			c, err := connect(ctx, address, secure)
			if err != nil {
				return nil, err // not a nil *conn in an interface
			}
			return c, nil
		}
	}
	t.hedges.giveUp, t.hedges.resent = t.giveUp, func() {
		if t.Resent != nil {
			t.Resent()
		}
	}
	t.base = &http.Transport{
		DialContext:            dial(false),
		DialTLSContext:         dial(true),
		MaxIdleConnsPerHost:    maxIdle,
		MaxConnsPerHost:        o.Most,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  o.HeaderTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true, // it would send an Accept-Encoding of its own
	}
	if t.family != nil {
		t.base.MaxIdleConns = maxIdle // of all
	}
	return t
}

// RoundTrip implements http.RoundTripper. http.Transport sends a GET again when a pooled
// connection turns out to be dead, but takes one that was dialled ahead for a new one, so
// that is done here.
//
// Its error is a *DialError or a *netfail.Error, whose texts quote nothing of what came.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.noticeSleep(now())
	if t.family != nil {
		return t.among(r)
	}
	return t.carry(r)
}

// carry sends a request on a connection to the host of its URL, as net/http's pool has them.
func (t *Transport) carry(r *http.Request) (*http.Response, error) {
	own, has := r.Context().(*Context)
	if has {
		own.answer = nil // another upstream's may have been one that is not the request's
	}
	if resp, err, ok := t.lane.carry(r); ok {
		return resp, told(err)
	}
	if has {
		own.lent = true
	}
	if r.Body != nil && r.GetBody == nil {
		return t.upload(r)
	}
	if !has && isSafe(r) {
		r = r.WithContext(&Context{Context: r.Context()})
	}
	resp, err := t.base.RoundTrip(r)
	if err != nil && isSafe(r) && r.Context().Err() == nil {
		if _, stale := errors.AsType[*staleError](err); stale {
			resp, err = t.base.RoundTrip(r)
		}
	}
	return resp, told(err)
}

// told is an error as RoundTrip returns it.
func told(err error) error {
	if err == nil {
		return nil
	}
	if dial, ok := errors.AsType[*DialError](err); ok {
		return dial
	}
	return netfail.Plain(err)
}

// isSafe reports whether a request changes nothing and has no body that is used up.
func isSafe(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Body == nil
}

// KeepWarm keeps the warm connection pool filled until ctx ends, so that the first request after
// a start or a quiet time pays one round trip and no handshake.
func (t *Transport) KeepWarm(ctx context.Context) { t.warm.run(ctx) }

// Refresh has the warm connections renewed that would be within the next time d, and returns when that is done, or ctx ends. It is for a time in which
// nothing else happens.
func (t *Transport) Refresh(ctx context.Context, d time.Duration) { t.warm.refresh(ctx, d) }

// giveUp closes every connection that waits, because one has proved dead: what ended it ended
// the others as well, and each would cost a request as long.
func (t *Transport) giveUp() {
	t.warm.retire(func(*warmConn) bool { return true })
	t.CloseIdleConnections()
}

// CloseIdleConnections closes the connections that have been used and are not in use.
func (t *Transport) CloseIdleConnections() {
	t.lane.closeAll()
	t.base.CloseIdleConnections()
}

// spare keeps a connection that has not been used for whoever needs a new one.
func (t *Transport) spare(c *conn) {
	if t.family != nil && c.key.host != sharedHost || !t.warm.keep(c.Conn) {
		_ = c.Close()
		return
	}
	c.watch.stop()
	c.endOnce.Do(func() { close(c.ended); c.closed() })
}

// Connect opens a connection as far as the upstream, without its TLS, for those who want to
// look at the way.
func (t *Transport) Connect(ctx context.Context) (net.Conn, error) {
	d := *t.dialer
	d.address = t.where()
	return d.tunnel(ctx)
}

// Via is the forward proxy that the way leads through now; the zero value is the direct way.
func (t *Transport) Via() (Proxy, error) {
	if t.dialer.proxy == nil {
		return Proxy{}, nil
	}
	return t.dialer.proxy()
}

// dialer opens connections, handshake included, to one address whatever it is asked for.
type dialer struct {
	net     *net.Dialer
	address string
	tls     *tls.Config // nil: plain HTTP
	// sessions are of TLS, to be resumed.
	sessions tls.ClientSessionCache
	proxy    func() (Proxy, error)
	roots    *trust.Roots
	lookup   Lookup // nil: this system's
	// ours says which addresses are this process's own; nil: that is not known. It is shared by copies.
	ours *atomic.Pointer[func(netip.AddrPort) bool]
}

// DialError says that no connection was established, so nothing was sent.
type DialError struct {
	err  error
	late bool // the process stood still meanwhile
}

// Error implements error.
func (e *DialError) Error() string { return netfail.Say(e.err) }

// Unwrap returns what dialling or the TLS handshake ended with.
func (e *DialError) Unwrap() error { return e.err }

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := d.secure(ctx, d.tunnel, d.tls)
	if err == nil {
		return conn, nil
	}
	return nil, &DialError{err: err, late: time.Since(began) >= dialTimeout+stood}
}

// stood is how late a time-out must be for the process to have stood still meanwhile (SIGSTOP, a freezer, a machine without cores to spare): then it
// says nothing of the upstream.
const stood = 2 * time.Second

// secure connects, and makes the handshake where config is not nil.
func (d *dialer) secure(ctx context.Context, connect func(context.Context) (net.Conn, error), config *tls.Config) (net.Conn, error) {
	if config == nil {
		return connect(ctx)
	}
	conn, err := d.roots.Dial(ctx, connect, config)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// authority is host:port, the port in digits: a forward proxy knows no other.
func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		switch u.Scheme {
		case "http":
			port = "80"
		case "socks5":
			port = "1080"
		default:
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

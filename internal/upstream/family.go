package upstream

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A family is many upstreams behind one edge, whose names differ in their first label alone: acme.myshopify.com,
// beta.myshopify.com. Their requests share connections, which are made in the name of one of them, the lead; so the first
// call for a shop pays no handshake. See docs/adr/0025-connections-for-many-shops.md.

const (
	// sharedHost stands for the connections that are shared in net/http's pool. No name can be looked up below .invalid.
	sharedHost = "shared.invalid"
	// mostMisdirected is how many upstreams may refuse shared connections before nothing is shared.
	mostMisdirected = 3
	// apart is how long what was refused holds.
	apart = time.Hour
)

// family is what a Transport for many upstreams knows of them.
type family struct {
	lead  atomic.Pointer[lead]
	known chan struct{} // closed when there is a lead
	once  sync.Once

	// proven says that the edge has taken a request on a connection made for another upstream.
	proven atomic.Bool
	// refused are the authorities that have not.
	refused atomic.Pointer[refusals]
	mu      sync.Mutex // of those who change refused
}

// lead is the upstream in whose name shared connections are made.
type lead struct {
	authority string // as in a URL: host, or host:port
	address   string // to dial
	suffix    string // of the authority, behind its first label
}

// refusals are what is kept apart, until a time. They are never changed.
type refusals struct {
	all         bool
	authorities map[string]struct{}
	until       time.Time
}

var (
	// errNotShared says that the edge's certificate is not for every upstream of the family.
	errNotShared = errors.New("the certificate is not for every shop")
	errNoLead    = errors.New("no upstream is known yet")
)

func newFamily(base *url.URL) *family {
	f := &family{known: make(chan struct{})}
	if base != nil && base.Scheme == "https" {
		f.begin(base)
	}
	return f
}

// Expect says that one of a family's upstreams will be called, so that connections are dialled ahead in its name unless there
// is a lead.
func (t *Transport) Expect(base *url.URL) {
	if t.family != nil && base.Scheme == "https" {
		t.family.begin(base)
	}
}

// where is the address of the upstream, or of a family's lead; empty: there is none yet.
func (t *Transport) where() string {
	if t.family != nil {
		if l := t.family.lead.Load(); l != nil {
			return l.address
		}
	}
	return t.dialer.address
}

// begin makes the first upstream the lead.
func (f *family) begin(u *url.URL) {
	f.lead.CompareAndSwap(nil, leadOf(u))
	f.once.Do(func() { close(f.known) })
}

func leadOf(u *url.URL) *lead {
	_, suffix, _ := strings.Cut(u.Host, ".")
	return &lead{authority: u.Host, address: authority(u), suffix: suffix}
}

// covers reports whether a certificate for any name beside the lead is for an authority.
func (l *lead) covers(authority string) bool {
	label, suffix, ok := strings.Cut(authority, ".")
	return ok && label != "" && suffix == l.suffix
}

// shares returns the lead on whose connections a request is sent; nil: it is sent on those of its own upstream.
func (f *family) shares(r *http.Request) *lead {
	if r.URL.Scheme != "https" {
		return nil // nothing says whose connection that is
	}
	l := f.lead.Load()
	if l == nil {
		f.begin(r.URL)
		l = f.lead.Load()
	}
	if !l.covers(r.URL.Host) {
		return nil
	}
	if r.Body != nil && r.GetBody == nil && r.URL.Host != l.authority && !f.proven.Load() {
		return nil // it cannot be sent twice
	}
	if ref := f.refused.Load(); ref != nil && time.Now().Before(ref.until) {
		if _, alone := ref.authorities[r.URL.Host]; alone || ref.all {
			return nil
		}
	}
	return l
}

// refuse keeps an upstream apart from now on; all: every one.
func (f *family) refuse(authority string, all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := &refusals{all: all, authorities: map[string]struct{}{authority: {}}, until: time.Now().Add(apart)}
	if old := f.refused.Load(); old != nil && time.Now().Before(old.until) {
		next.all = all || old.all
		for a := range old.authorities {
			next.authorities[a] = struct{}{}
		}
	}
	next.all = next.all || len(next.authorities) >= mostMisdirected
	f.refused.Store(next)
	f.proven.Store(false)
}

// isApart reports whether nothing is shared.
func (f *family) isApart() bool {
	ref := f.refused.Load()
	return ref != nil && ref.all && time.Now().Before(ref.until)
}

// onShared is a request for the shared connections. Its Host is still its upstream's.
type onShared struct {
	http.Request
	url url.URL
}

func shared(r *http.Request) *http.Request {
	s := &onShared{Request: *r, url: *r.URL}
	s.URL = &s.url
	s.url.Host = sharedHost
	if s.Host == "" {
		s.Host = r.URL.Host
	}
	return &s.Request
}

// again returns a request that can be sent once more, after a sending that was certainly not carried out.
func again(r *http.Request) (*http.Request, bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return r, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, false
	}
	next := r.WithContext(r.Context())
	next.Body = body
	return next, true
}

// among carries a request of a family.
func (t *Transport) among(r *http.Request) (*http.Response, error) {
	f := t.family
	l := f.shares(r)
	if l == nil {
		return t.carry(r)
	}
	resp, err := t.carry(shared(r))
	ours := r.URL.Host == l.authority
	switch {
	case err != nil:
		dial, ok := errors.AsType[*DialError](err)
		if ok && r.Context().Err() == nil && (errors.Is(dial, errNotShared) || !ours && concernsName(dial)) {
			return t.insteadOf(l, r, resp, err)
		}
	case resp.StatusCode != http.StatusMisdirectedRequest:
		if !ours && !f.proven.Load() {
			f.proven.Store(true)
		}
	case !ours:
		next, ok := again(r)
		if !ok {
			f.refuse(r.URL.Host, false) // whoever tries again is served
			return resp, nil
		}
		_, _ = io.CopyN(io.Discard, resp.Body, maxMisdirectedBody) // so that the connection can be used again
		_ = resp.Body.Close()
		resp, err = t.carry(next)
		if err == nil && resp.StatusCode != http.StatusMisdirectedRequest {
			f.refuse(r.URL.Host, false)
		}
	}
	return resp, err
}

// maxMisdirectedBody bounds what is read of a 421 that nobody sees.
const maxMisdirectedBody = 64 << 10

// insteadOf sends a request to its own upstream, because no connection can be made in the name of the lead, and
// nothing was sent. If that works, the request's upstream takes the lead.
func (t *Transport) insteadOf(l *lead, r *http.Request, resp *http.Response, err error) (*http.Response, error) {
	next, ok := again(r)
	if !ok {
		return resp, err
	}
	f := t.family
	if errors.Is(err, errNotShared) {
		f.refuse(r.URL.Host, true)
		return t.carry(next)
	}
	if resp, err = t.carry(next); err == nil {
		f.lead.CompareAndSwap(l, leadOf(r.URL))
	}
	return resp, err
}

// concernsName reports whether another name could be dialled where this one could not: what failed is neither the network
// nor a peer that says nothing.
func concernsName(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsNotFound
	}
	if status, ok := errors.AsType[refusedTunnel](err); ok {
		return status != http.StatusProxyAuthRequired
	}
	var alert tls.AlertError
	var certificate *tls.CertificateVerificationError
	return errors.Is(err, errLoop) || errors.As(err, &alert) || errors.As(err, &certificate)
}

// dialShared opens a connection for all upstreams of the family.
func (t *Transport) dialShared(ctx context.Context) (net.Conn, error) {
	f := t.family
	select {
	case <-f.known:
	case <-ctx.Done():
		return nil, &DialError{err: errNoLead}
	}
	if f.isApart() {
		return nil, &DialError{err: errNotShared}
	}
	l := f.lead.Load()
	d := t.dialer.to(l.address, true)
	d.tls.VerifyConnection = func(cs tls.ConnectionState) error { return coversSiblings(cs.PeerCertificates, l.suffix) }
	return d.dial(ctx)
}

// coversSiblings reports whether a certificate is for every name with a suffix. No list of names has one that was made up
// just now.
func coversSiblings(chain []*x509.Certificate, suffix string) error {
	if host, _, err := net.SplitHostPort(suffix); err == nil {
		suffix = host
	}
	if len(chain) == 0 || chain[0].VerifyHostname(strings.ToLower(rand.Text())+"."+suffix) != nil {
		return errNotShared
	}
	return nil
}

// to is the dialler for another address.
func (d *dialer) to(address string, secure bool) *dialer {
	other := *d
	other.address, other.tls = address, nil
	if secure {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		other.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, NextProtos: []string{"http/1.1"}, ClientSessionCache: d.sessions, DynamicRecordSizingDisabled: true}
	}
	return &other
}

// connector makes connections for the upstreams of a family.
func (t *Transport) connector(o Options) connector {
	return func(ctx context.Context, address string, secure bool) (*conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, &DialError{err: err}
		}
		dial := t.dialShared
		var c net.Conn
		var made time.Time
		if host == sharedHost {
			c, made, err = t.warm.get(ctx)
		} else {
			dial = t.dialer.to(address, secure).dial
			c, err = dial(ctx)
		}
		if err != nil {
			return nil, err
		}
		return newConn(c, made, o, t, dial), nil
	}
}

// takeSlot waits until there may be one connection more. Those that only wait for another request of their upstream give
// way.
func (t *Transport) takeSlot(ctx context.Context) error {
	slots := t.slots
	if slots == nil {
		return nil
	}
	select {
	case slots <- struct{}{}:
		return nil
	default:
	}
	if t.family != nil { // others' requests may be what is waited for
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, dialTimeout, errTooMany)
		defer stop()
	}
	again := time.NewTicker(makeRoom)
	defer again.Stop()
	for {
		t.CloseIdleConnections()
		select {
		case slots <- struct{}{}:
			return nil
		case <-again.C: // others may have come to rest meanwhile
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// makeRoom is how often connections that have come to rest are closed while one is waited for.
const makeRoom = 50 * time.Millisecond

var errTooMany = errors.New("there are as many connections as there may be")

func (t *Transport) freeSlot() {
	if t.slots != nil {
		<-t.slots
	}
}

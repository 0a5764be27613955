package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/certtest"
)

const host = "shop.example"

// patience bounds a handshake that goes wrong.
const patience = 10 * time.Second

// peer is a server of TLS that counts who connects.
type peer struct {
	net.Listener
	certificate tls.Certificate
	connects    atomic.Int32
	open        sync.WaitGroup // connections that the client has not closed
}

func newPeer(t *testing.T, name string) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{Listener: l, certificate: certtest.SelfSigned(t, x509.Certificate{DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true})}
	p.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.connects.Add(1)
			p.open.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{p.certificate}})
				if s.Handshake() == nil {
					_, _ = s.Read(make([]byte, 1))
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.open.Wait()
	})
	return p
}

func (p *peer) connect(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", p.Addr().String())
}

func (p *peer) dial(t *testing.T, r *Roots) error {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	c, err := r.Dial(ctx, p.connect, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host})
	if err != nil {
		return err
	}
	return c.Close()
}

func (p *peer) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.certificate.Certificate[0]})
}

// beside are the roots of a peer, with others in place of the system's. reads counts how often these are read.
func beside(t *testing.T, named *peer, system ...*peer) (r *Roots, reads *int) {
	t.Helper()
	r, ok := FromPEM(named.pem())
	if !ok {
		t.Fatal("no roots")
	}
	reads = new(int)
	all := r.named.Clone()
	for _, p := range system {
		all.AddCert(p.certificate.Leaf)
	}
	r.every = func() *x509.CertPool {
		*reads++
		return all
	}
	return r, reads
}

func TestTheSystemsRootsAreReadForAPeerThatTheNamedOnesDoNotVouchFor(t *testing.T) {
	t.Parallel()
	ours, public, stranger := newPeer(t, host), newPeer(t, host), newPeer(t, host)
	r, reads := beside(t, ours, public)
	for range 2 {
		if err := ours.dial(t, r); err != nil {
			t.Fatal(err)
		}
	}
	if n := ours.connects.Load(); n != 2 || *reads > 0 {
		t.Fatalf("a peer of the named roots: %d connections for two, the system's roots read %d times", n, *reads)
	}
	for range 2 {
		if err := public.dial(t, r); err != nil {
			t.Fatal(err)
		}
	}
	if n := public.connects.Load(); n != 3 {
		t.Errorf("a peer of the system's roots: %d connections for two, want one more, the first time", n)
	}
	if err := ours.dial(t, r); err != nil {
		t.Errorf("the named roots are not trusted any more: %v", err)
	}
	var unknown x509.UnknownAuthorityError
	if err := stranger.dial(t, r); !errors.As(err, &unknown) || stranger.connects.Load() != 1 {
		t.Errorf("a stranger: %v after %d connections, want one", err, stranger.connects.Load())
	}
}

func TestAStrangerIsRefusedByAllRoots(t *testing.T) {
	t.Parallel()
	ours, public, stranger := newPeer(t, host), newPeer(t, host), newPeer(t, host)
	r, _ := beside(t, ours, public)
	var unknown x509.UnknownAuthorityError
	if err := stranger.dial(t, r); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
	if n := stranger.connects.Load(); n != 2 {
		t.Errorf("%d connections, want one for the named roots and one for all", n)
	}
	other := newPeer(t, "other.example")
	var name x509.HostnameError
	if err := other.dial(t, Only(certtest.Pool(other.certificate))); !errors.As(err, &name) || other.connects.Load() != 1 {
		t.Errorf("another name: %v after %d connections", err, other.connects.Load())
	}
}

// A proxy on the way has a certificate of its own, and may be refused for it. That is no reason to ask more of those who vouch for the peer.
func TestARefusalOnTheWayIsNotThePeers(t *testing.T) {
	t.Parallel()
	ours, proxy := newPeer(t, host), newPeer(t, host)
	r, _ := beside(t, ours, newPeer(t, host))
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	var unknown x509.UnknownAuthorityError
	_, err := r.Dial(ctx, func(ctx context.Context) (net.Conn, error) { return r.Dial(ctx, proxy.connect, config) }, config)
	if !errors.As(err, &unknown) || proxy.connects.Load() != 2 {
		t.Errorf("%v after %d connections to the proxy, want one for the named roots and one for all", err, proxy.connects.Load())
	}
}

func TestDialGivesBackWhatConnectSays(t *testing.T) {
	t.Parallel()
	r, reads := beside(t, newPeer(t, host))
	broken, calls := errors.New("broken"), 0
	_, err := r.Dial(t.Context(), func(context.Context) (net.Conn, error) {
		calls++
		return nil, broken
	}, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
	if !errors.Is(err, broken) || calls != 1 || *reads > 0 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

func TestManyMeetAPeerOfTheSystemsRootsAtOnce(t *testing.T) {
	t.Parallel()
	ours, public := newPeer(t, host), newPeer(t, host)
	r, _ := beside(t, ours, public)
	every := sync.OnceValue(r.every)
	r.every = every
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := public.dial(t, r); err != nil {
				t.Error(err)
			}
			if err := ours.dial(t, r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestNoRootsInAText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if _, ok := FromPEM([]byte(text)); ok {
			t.Errorf("%q has roots", text)
		}
	}
	var system *Roots
	if system.All() != nil {
		t.Error("nil is not the system's")
	}
}

package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"evergate/internal/certtest"
	"evergate/internal/remedy"
	"evergate/test/process"
)

func TestDNSTellsAMissingNameFromABrokenResolver(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		host      string
		addresses []string
		err       error
		status    Status
		part      string
	}{
		"found":    {"acme.myshopify.com", []string{"192.0.2.1", "192.0.2.2"}, nil, OK, "192.0.2.1, 192.0.2.2"},
		"address":  {"127.0.0.1", nil, errors.New("not asked"), OK, "needs none"},
		"v6":       {"::1", nil, errors.New("not asked"), OK, "needs none"},
		"missing":  {"acme.invalid", nil, &net.DNSError{IsNotFound: true}, Fail, "no address is known for acme.invalid"},
		"resolver": {"acme.myshopify.com", nil, &net.DNSError{Err: "server misbehaving"}, Fail, "server misbehaving"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := lookUp(tc.host, func(context.Context, string) ([]string, error) { return tc.addresses, tc.err })
			expect(t, Run(t.Context(), []Check{c}, quiet)[0], tc.status, tc.part)
		})
	}
}

// A file of hosts that leads the shop's name to Evergate is for tools, and has to be said before a connection is refused, or made.
func TestDNSFindsTheSidecarItself(t *testing.T) {
	t.Parallel()
	w := Way{Base: &url.URL{Scheme: "https", Host: "localhost"}, LookUp: func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }}
	for _, loop := range []error{nil, remedy.New("name a name server", "it leads here")} {
		w.Loop = func(context.Context) error { return loop }
		got := Run(t.Context(), []Check{DNS(w)}, quiet)[0]
		if loop == nil {
			expect(t, got, OK, "localhost is 127.0.0.1")
			continue
		}
		expect(t, got, Fail, "it leads here")
	}
	w.LookUp = func(context.Context, string) ([]string, error) { return nil, &net.DNSError{IsNotFound: true} }
	expect(t, Run(t.Context(), []Check{DNS(w)}, quiet)[0], Fail, "no address is known")
}

// direct is the way without a proxy.
func direct(scheme, host string, roots *x509.CertPool) Way {
	return Way{Base: &url.URL{Scheme: scheme, Host: host}, Roots: roots, Connect: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", host)
	}}
}

// Shopify may let an app in from certain addresses only.
func TestConnectionSaysWhichWayItTook(t *testing.T) {
	t.Parallel()
	cert, pool := certificate(t, time.Now().Add(-time.Hour), time.Now().Add(999*time.Hour), "localhost")
	w := direct("https", "localhost:"+accepting(t, &cert), pool)
	expect(t, Run(t.Context(), []Check{Connection(w)}, quiet)[0], OK, "TLS 1.3 with localhost, directly, from 127.0.0.1 as this machine sees it")
	w.Via = "http://proxy:3128"
	all := Run(t.Context(), []Check{DNS(w), Connection(w)}, quiet)
	expect(t, all[0], OK, "looked up by the proxy")
	expect(t, all[1], OK, "through the proxy http://proxy:3128")
	w.Connect = func(context.Context) (net.Conn, error) {
		return nil, remedy.New("put them into X", "the proxy http://proxy:3128 asks for user and password")
	}
	expect(t, Run(t.Context(), []Check{Connection(w)}, quiet)[0], Fail, "the proxy http://proxy:3128 asks", "put them into X")
	w.Via, w.Err = "", remedy.New("make it readable", "EVERGATE_UPSTREAM_PROXY_FILE: it cannot be read")
	expect(t, Run(t.Context(), []Check{Connection(w)}, quiet)[0], Fail, "EVERGATE_UPSTREAM_PROXY_FILE")
}

// certificate signs one for names, and returns it with a pool that trusts it.
func certificate(t *testing.T, from, until time.Time, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	c := certtest.SelfSigned(t, x509.Certificate{NotBefore: from, NotAfter: until, DNSNames: names, IsCA: true, BasicConstraintsValid: true})
	return c, certtest.Pool(c)
}

// accepting listens and shakes hands until the test ends; without a certificate it says something else.
func accepting(t *testing.T, cert *tls.Certificate) (port string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	process.Accept(t, ln, func(conn net.Conn) {
		defer conn.Close()
		if cert == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		} else {
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*cert}}).Handshake()
		}
	})
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port
}

func TestConnectionTellsTheWaysToFailApart(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Now()
	for name, tc := range map[string]struct {
		from, until time.Duration
		host        string
		distrusted  bool
		status      Status
		parts       []string
	}{
		"right":     {-day, 90 * day, "localhost", false, OK, []string{"TLS 1.3 with localhost", "valid until"}},
		"ends_soon": {-day, 6 * day, "localhost", false, Warn, []string{"valid until", "renewed"}},
		"expired":   {-9 * day, -day, "localhost", false, Fail, []string{"ended on", "set the clock if it is wrong"}},
		"not_yet":   {day, 9 * day, "localhost", false, Fail, []string{"not valid yet", "set the clock"}},
		"unknown":   {-day, 9 * day, "localhost", true, Fail, []string{"does not trust", "EVERGATE_UPSTREAM_CA_FILE"}},
		"name":      {-day, 9 * day, "other.example", false, Fail, []string{"is for other names", "EVERGATE_UPSTREAM_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert, pool := certificate(t, now.Add(tc.from), now.Add(tc.until), tc.host)
			if tc.distrusted {
				pool = x509.NewCertPool()
			}
			c := Connection(direct("https", "localhost:"+accepting(t, &cert), pool))
			expect(t, Run(t.Context(), []Check{c}, quiet)[0], tc.status, append(tc.parts, "localhost")...)
		})
	}
}

func TestConnectionWithoutTLS(t *testing.T) {
	t.Parallel()
	look := func(scheme, port string) Result {
		return Run(t.Context(), []Check{Connection(direct(scheme, "127.0.0.1:"+port, nil))}, quiet)[0]
	}
	port := accepting(t, nil)
	expect(t, look("https", port), Fail, "does not speak TLS", "scheme and port")
	expect(t, look("http", port), OK, "without TLS")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, closed, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	expect(t, look("https", closed), Fail, "no connection to 127.0.0.1:"+closed, "firewall")
}

func TestConnectionThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts, so nobody shakes hands
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := Connection(direct("https", ln.Addr().String(), nil))
	c.Limit = time.Millisecond
	expect(t, Run(t.Context(), []Check{c}, quiet)[0], Fail, "no answer within 1ms")
}

package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"evergate/internal/netfail"
)

const (
	dnsLimit     = 5 * time.Second
	connectLimit = 10 * time.Second
	// nearEnd is how long before its end a certificate is worth a warning. Shopify's own are
	// renewed weeks before.
	nearEnd = 7 * 24 * time.Hour
)

// Way is how the sidecar reaches the upstream.
type Way struct {
	Base  *url.URL
	Roots *x509.CertPool
	// Via names the forward proxy; empty for the direct way. Err is why that is not known.
	Via string
	Err error
	// Connect opens a connection as far as the upstream, without TLS. Its error may be shown.
	Connect func(ctx context.Context) (net.Conn, error)
	// LookUp finds addresses as the sidecar does; nil: as this system does.
	LookUp func(ctx context.Context, host string) ([]string, error)
	// Loop reports whether the upstream's name leads to the sidecar itself; nil: it is not known.
	Loop func(ctx context.Context) error
}

// DNS looks the upstream's name up, as the sidecar does before it connects. A proxy does that
// by itself.
func DNS(w Way) Check {
	if w.Err != nil || w.Via != "" {
		return Check{Name: "dns", Run: func(context.Context) []Result {
			return ok("%s is looked up by the proxy, not by this machine", w.Base.Hostname())
		}}
	}
	if w.LookUp == nil {
		w.LookUp = new(net.Resolver).LookupHost
	}
	c := lookUp(w.Base.Hostname(), w.LookUp)
	found := c.Run
	c.Run = func(ctx context.Context) []Result {
		results := found(ctx)
		if w.Loop != nil && results[0].Status == OK {
			if err := w.Loop(ctx); err != nil {
				return FromError(Fail, err)
			}
		}
		return results
	}
	return c
}

func lookUp(host string, resolve func(context.Context, string) ([]string, error)) Check {
	return Check{Name: "dns", Limit: dnsLimit, Run: func(ctx context.Context) []Result {
		if net.ParseIP(host) != nil {
			return ok("%s is an address and needs none", host)
		}
		addresses, err := resolve(ctx, host)
		var dns *net.DNSError
		switch {
		case errors.As(err, &dns) && dns.IsNotFound:
			return fail("check SHOPIFY_SHOP and EVERGATE_UPSTREAM_URL, then this machine's resolver", "no address is known for %s", host)
		case err != nil:
			return fail("see whether this machine's resolver works and can be reached", "%s cannot be looked up, %s", host, reason(ctx, err))
		}
		return ok("%s is %s", host, strings.Join(addresses, ", "))
	}}
}

// reason prefers our own word for a time-out. A dialer keeps ctx's deadline with a timer of
// its own, which may be the first of the two.
func reason(ctx context.Context, err error) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// Connection connects to the upstream and, over https, verifies its certificate. It says which
// way was taken, because Shopify may let an app in from certain addresses only.
func Connection(w Way) Check {
	return Check{Name: "connection", Needs: []string{"dns"}, Limit: connectLimit, Run: func(ctx context.Context) []Result {
		if w.Err != nil {
			return FromError(Fail, w.Err)
		}
		base := w.Base
		conn, err := w.Connect(ctx)
		switch {
		case err != nil && w.Via != "":
			return FromError(Fail, err)
		case err != nil:
			return fail("see whether a firewall allows connections to it, and check EVERGATE_UPSTREAM_URL; if the only way out is a proxy, name it in EVERGATE_UPSTREAM_PROXY",
				"no connection to %s, %s", base.Host, reason(ctx, err))
		}
		defer conn.Close()
		way := "directly, from " + hostOf(conn.LocalAddr()) + " as this machine sees it"
		if w.Via != "" {
			way = "through the proxy " + w.Via
		}
		if base.Scheme != "https" {
			return ok("connected to %s, without TLS, %s", base.Host, way)
		}
		secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: base.Hostname(), RootCAs: w.Roots, NextProtos: []string{"http/1.1"}})
		if err := secured.HandshakeContext(ctx); err != nil {
			return judgeHandshake(base, reason(ctx, netfail.Plain(err)), time.Now())
		}
		return judgeCertificate(base.Hostname(), way, secured.ConnectionState(), time.Now())
	}}
}

func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// judgeHandshake tells the ways apart in which TLS fails.
func judgeHandshake(base *url.URL, err error, now time.Time) []Result {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		notTLS    tls.RecordHeaderError
	)
	host := base.Hostname()
	switch {
	case errors.As(err, &name):
		return fail("check the host in EVERGATE_UPSTREAM_URL, and whether something intercepts the connection",
			"the certificate of %s is for other names", host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return fail("set the clock", "the certificate of %s is not valid yet by this machine's clock, which says %s", host, stamp(now))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fail("set the clock if it is wrong, else renew the certificate",
			"the certificate of %s ended on %s by this machine's clock", host, stamp(invalid.Cert.NotAfter))
	case errors.As(err, &authority):
		return fail("name the authority's certificate in EVERGATE_UPSTREAM_CA_FILE if a proxy of yours intercepts TLS; in a container without certificates, install ca-certificates",
			"the certificate of %s is signed by an authority that this machine does not trust", host)
	case errors.As(err, &notTLS):
		return fail("check scheme and port of EVERGATE_UPSTREAM_URL", "%s does not speak TLS", base.Host)
	}
	return fail("see whether something between here and Shopify intercepts or cuts TLS", "no TLS with %s, %s", base.Host, err)
}

func judgeCertificate(host, way string, state tls.ConnectionState, now time.Time) []Result {
	leaf := state.PeerCertificates[0]
	end := leaf.NotAfter
	for _, c := range state.VerifiedChains[0] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	said := fmt.Sprintf("%s with %s, %s; the certificate is valid until %s", tls.VersionName(state.Version), host, way, stamp(end))
	if end.Sub(now) < nearEnd {
		return warn("it is to be renewed by whoever runs that server", "%s", said)
	}
	return ok("%s", said)
}

// stamp is a moment for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

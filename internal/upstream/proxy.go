package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/proxy"

	"evergate/internal/netfail"
	"evergate/internal/remedy"
)

// Proxy is a forward proxy on the way. The zero value is the direct way.
type Proxy struct {
	// URL is its address, with the credentials it asks for: http, https or socks5.
	URL *url.URL
	// Setting is where it is set, for those who have to mend it.
	Setting string
}

// Name is what a proxy is called in messages. Its credentials are no part of it.
func (p Proxy) Name() string {
	if p.URL == nil {
		return ""
	}
	return p.URL.Scheme + "://" + p.URL.Host
}

// maxConnectAnswer bounds what a proxy may say before a tunnel is open.
const maxConnectAnswer = 64 << 10

// tunnel opens a connection to the dialler's address, directly or through a proxy, without
// the upstream's TLS. The proxy is asked for anew each time, because its password may rest in
// a file that changes.
func (d *dialer) tunnel(ctx context.Context) (net.Conn, error) {
	if d.proxy == nil {
		return d.direct(ctx)
	}
	p, err := d.proxy()
	if err != nil {
		return nil, &settingError{err}
	}
	if p.URL == nil {
		return d.direct(ctx)
	}
	conn, err := d.through(ctx, p)
	if err != nil {
		return nil, &proxyError{p, ctx.Err() != nil, err}
	}
	return conn, nil
}

func (d *dialer) through(ctx context.Context, p Proxy) (net.Conn, error) {
	address := authority(p.URL)
	if p.URL.Scheme == "socks5" {
		return d.socks(ctx, p, address)
	}
	dial := func(ctx context.Context) (net.Conn, error) { return wrapped(d.net.DialContext(ctx, "tcp", address)) }
	if p.URL.Scheme == "https" {
		bare := dial
		dial = func(ctx context.Context) (net.Conn, error) {
			return d.secure(ctx, bare, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: p.URL.Hostname(), NextProtos: []string{"http/1.1"}})
		}
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := openTunnel(ctx, conn, d.address, p.URL.User); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// openTunnel asks for a tunnel until ctx ends.
func openTunnel(ctx context.Context, conn net.Conn, address string, user *url.Userinfo) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := connect(conn, address, user)
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

// socks leaves it to the proxy to look the upstream's name up.
func (d *dialer) socks(ctx context.Context, p Proxy, address string) (net.Conn, error) {
	var auth *proxy.Auth
	if p.URL.User != nil {
		password, _ := p.URL.User.Password()
		auth = &proxy.Auth{User: p.URL.User.Username(), Password: password}
	}
	s, err := proxy.SOCKS5("tcp", address, auth, d.net)
	if err != nil {
		return nil, err
	}
	return s.(proxy.ContextDialer).DialContext(ctx, "tcp", d.address)
}

// connect asks for a tunnel, by RFC 9110, 9.3.6.
func connect(conn net.Conn, address string, user *url.Userinfo) error {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if user != nil {
		password, _ := user.Password()
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	r := bufio.NewReader(io.LimitReader(conn, maxConnectAnswer))
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // what follows is the tunnel, and the connection its owner's
		switch {
		case err != nil:
			return err
		case resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols:
			continue // an interim answer
		case resp.StatusCode == http.StatusProxyAuthRequired && !takesBasic(resp.Header):
			return errNoBasic
		case resp.StatusCode/100 != 2:
			return refusedTunnel(resp.StatusCode)
		case r.Buffered() > 0:
			return errSpokeFirst // whose bytes these are nobody knows
		}
		return nil
	}
}

// errNoBasic is a proxy's that asks for NTLM, Negotiate or another way of which Evergate has none.
var errNoBasic = errors.New("the proxy does not take Basic authentication")

// takesBasic reports whether a 407 names Basic (RFC 7617), or nothing.
func takesBasic(h http.Header) bool {
	asked := h.Values("Proxy-Authenticate")
	return len(asked) == 0 || slices.ContainsFunc(asked, func(sendAgain string) bool { return strings.Contains(strings.ToLower(sendAgain), "basic") })
}

// refusedTunnel is the status with which a proxy refused a tunnel.
type refusedTunnel int

func (s refusedTunnel) Error() string { return fmt.Sprintf("status %d", int(s)) }

var errSpokeFirst = errors.New("the proxy sent something into the tunnel of its own accord")

// settingError is a mistake in our own settings, whose text may be shown.
type settingError struct{ err error }

func (e *settingError) Error() string { return e.err.Error() }
func (e *settingError) Plain() string { return e.err.Error() }
func (e *settingError) Unwrap() error { return e.err }

// proxyError says what went wrong at the proxy, and what to do. Nothing that the proxy wrote
// is repeated.
type proxyError struct {
	proxy Proxy
	late  bool // our time was over
	err   error
}

// Error implements error.
func (e *proxyError) Error() string { return e.explain().Error() }

// Plain says that the text quotes nothing.
func (e *proxyError) Plain() string { return e.Error() }

// Unwrap returns the explanation and the error that is explained.
func (e *proxyError) Unwrap() []error { return []error{e.explain(), e.err} }

func (e *proxyError) explain() error {
	const allow = "see that the proxy lets this machine connect to Shopify, or exempt the shop with NO_PROXY if there is a direct way"
	name, set := e.proxy.Name(), e.proxy.Setting
	status, refused := errors.AsType[refusedTunnel](e.err)
	timeout, isNet := errors.AsType[net.Error](e.err)
	switch {
	case errors.Is(e.err, errNoBasic):
		return remedy.New(fmt.Sprintf("have it let this machine through without, or name in %s one that takes Basic, such as a local one that speaks the other (cntlm, px)", set), "the proxy %s asks for another authentication than Basic, which is the only one that Evergate has (status 407)", name)
	case refused && status == http.StatusProxyAuthRequired && e.proxy.URL.User == nil:
		return remedy.New(fmt.Sprintf("put them into %s, as in http://USER:PASSWORD@HOST:PORT", set), "the proxy %s asks for user and password (status 407)", name)
	case refused && status == http.StatusProxyAuthRequired:
		return remedy.New("correct them there; special characters are written as %XX", "the proxy %s does not accept the user and password of %s (status 407)", name, set)
	case refused:
		return remedy.New(allow, "the proxy %s refused the tunnel (status %d)", name, int(status))
	case e.late || isNet && timeout.Timeout():
		return remedy.New(fmt.Sprintf("see whether %s names a proxy that works and can be reached from here", set), "the proxy %s did not open a tunnel in time", name)
	case netfail.IsTLS(e.err):
		return remedy.New(fmt.Sprintf("see whether it speaks https, else write http:// in %s; an authority of your own goes into EVERGATE_UPSTREAM_CA_FILE", set), "no TLS with the proxy %s (%s)", name, netfail.Say(e.err))
	case notDialled(e.err):
		return remedy.New(fmt.Sprintf("see whether %s names it rightly and whether it runs", set), "the proxy %s cannot be reached (%s)", name, netfail.Say(e.err))
	case e.proxy.URL.Scheme == "socks5":
		return remedy.New(fmt.Sprintf("see whether it speaks SOCKS5, takes the user and password of %s, and lets this machine connect to Shopify", set), "the proxy %s did not open a tunnel", name)
	case errors.Is(e.err, errSpokeFirst):
		return remedy.New(fmt.Sprintf("see whether %s names an HTTP proxy", set), "the proxy %s does not keep to the protocol: it sent something before it was asked", name)
	}
	return remedy.New(fmt.Sprintf("see whether %s names an HTTP proxy, and its scheme", set), "the proxy %s gave no answer that can be understood (%s)", name, netfail.Say(e.err))
}

// notDialled reports that there was no connection to the proxy. The SOCKS client wraps that in an
// OpError of its own.
func notDialled(err error) bool {
	for op, ok := errors.AsType[*net.OpError](err); ok; op, ok = errors.AsType[*net.OpError](op.Err) {
		if op.Op == "dial" {
			return true
		}
	}
	return false
}

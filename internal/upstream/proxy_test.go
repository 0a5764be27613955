package upstream

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"evergate/test/process"

	"evergate/internal/trust"
)

const (
	proxyUser     = "outbound"
	proxyPassword = "p:ss w%rd@1/2" // every character that means something in a URL
)

// connectProxy is a forward proxy that carries CONNECT and asks for user and password.
type connectProxy struct {
	*httptest.Server
	tunnels atomic.Int32
	hosts   sync.Map // that were asked for
}

func newConnectProxy(t *testing.T, overTLS bool) *connectProxy {
	t.Helper()
	p := &connectProxy{}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword))
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hosts.Store(r.Host, true)
		switch {
		case r.Method != http.MethodConnect:
			http.Error(w, "not a tunnel", http.StatusMethodNotAllowed)
			return
		case r.Header.Get("Proxy-Authorization") != want:
			http.Error(w, "who? "+r.Header.Get("Proxy-Authorization"), http.StatusProxyAuthRequired)
			return
		}
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")
		p.tunnels.Add(1)
		splice(here, there)
	}))
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if overTLS {
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(p.CloseClientConnections)
	t.Cleanup(p.Close)
	return p
}

func splice(a, b net.Conn) {
	go func() { _, _ = io.Copy(a, b); _ = a.Close() }()
	go func() { _, _ = io.Copy(b, a); _ = b.Close() }()
}

// newSOCKS listens for SOCKS5 (RFC 1928) with user and password (RFC 1929).
func newSOCKS(t *testing.T, tunnels *atomic.Int32) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	process.Accept(t, l, func(conn net.Conn) {
		if there := greetSOCKS(conn); there != nil {
			tunnels.Add(1)
			splice(conn, there)
		}
	})
	return &url.URL{Scheme: "socks5", Host: l.Addr().String()}
}

// greetSOCKS returns the connection that was asked for; nil where there is none.
func greetSOCKS(conn net.Conn) net.Conn {
	r := bufio.NewReader(conn)
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(r, b)
		return b
	}
	if methods := read(int(read(2)[1])); !strings.Contains(string(methods), "\x02") {
		_, _ = conn.Write([]byte{5, 0xff})
		_ = conn.Close()
		return nil
	}
	_, _ = conn.Write([]byte{5, 2})
	user := read(int(read(2)[1]))
	password := read(int(read(1)[0]))
	if string(user) != proxyUser || string(password) != proxyPassword {
		_, _ = conn.Write([]byte{1, 1})
		_ = conn.Close()
		return nil
	}
	_, _ = conn.Write([]byte{1, 0})
	var host string
	switch head := read(4); head[3] {
	case 1, 4:
		host = net.IP(read(map[byte]int{1: 4, 4: 16}[head[3]])).String()
	default:
		host = string(read(int(read(1)[0])))
	}
	port := binary.BigEndian.Uint16(read(2))
	there, err := net.Dial("tcp", net.JoinHostPort(host, portText(port)))
	if err != nil {
		_, _ = conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		_ = conn.Close()
		return nil
	}
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return there
}

func portText(p uint16) string {
	_, port, _ := net.SplitHostPort((&net.TCPAddr{Port: int(p)}).String())
	return port
}

// through is a transport to an https server that goes through a proxy.
func through(t *testing.T, proxy *url.URL, server *httptest.Server, also ...*httptest.Server) *Transport {
	t.Helper()
	roots := x509.NewCertPool()
	for _, s := range append(also, server) {
		if c := s.Certificate(); c != nil {
			roots.AddCert(c)
		}
	}
	tr := New(Options{Base: parse(t, server.URL), Roots: trust.Only(roots), HeaderTimeout: testTimeout,
		Proxy: func() (Proxy, error) { return Proxy{proxy, "EVERGATE_UPSTREAM_PROXY"}, nil }})
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func withUser(raw string, t *testing.T) *url.URL {
	u := parse(t, raw)
	u.User = url.UserPassword(proxyUser, proxyPassword)
	return u
}

func TestTheWayLeadsThroughTheProxy(t *testing.T) {
	t.Parallel()
	var leaked atomic.Bool
	shopify := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "" || r.Header.Get("Authorization") != "" {
			leaked.Store(true)
		}
	}))
	t.Cleanup(shopify.Close)
	plain, secured := newConnectProxy(t, false), newConnectProxy(t, true)
	var socks atomic.Int32
	socksURL := newSOCKS(t, &socks)
	socksURL.User = url.UserPassword(proxyUser, proxyPassword)
	for name, tc := range map[string]struct {
		proxy   *url.URL
		tunnels *atomic.Int32
	}{
		"http":   {withUser(plain.URL, t), &plain.tunnels},
		"https":  {withUser(secured.URL, t), &secured.tunnels},
		"socks5": {socksURL, &socks},
	} {
		tr := through(t, tc.proxy, shopify, secured.Server)
		for range 2 {
			resp, err := tr.RoundTrip(request(t, "POST", shopify.URL))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if n := tc.tunnels.Load(); n != 1 {
			t.Errorf("%s: %d tunnels for two requests", name, n)
		}
		if via, err := tr.Via(); err != nil || via.Name() != tc.proxy.Scheme+"://"+tc.proxy.Host {
			t.Errorf("%s: %q %v", name, via.Name(), err)
		}
	}
	if leaked.Load() {
		t.Error("the upstream was shown the proxy's credentials")
	}
}

// A proxy that fails must be told from Shopify, by its name and with what to do, and without
// the password, which it may throw back at us.
func TestProxyThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	shopify := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(shopify.Close)
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	right, secured := newConnectProxy(t, false), newConnectProxy(t, true)
	answering := func(answer string) string {
		return "http://" + answers(t, answer)
	}
	var socks atomic.Int32
	socksURL := newSOCKS(t, &socks).String()
	user := "outbound:" + url.QueryEscape(proxyPassword) + "@"
	for name, tc := range map[string]struct{ proxy, say string }{
		"no_credentials":    {right.URL, "asks for user and password (status 407)"},
		"wrong_credentials": {strings.Replace(right.URL, "//", "//outbound:wrong-password@", 1), "does not accept the user and password of EVERGATE_UPSTREAM_PROXY (status 407)"},
		"another_way":       {strings.Replace(answering("HTTP/1.1 407 P\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate secret-of-a-customer\r\nContent-Length: 0\r\n\r\n"), "//", "//"+user, 1), "asks for another authentication than Basic, which"},
		"basic_among_them":  {strings.Replace(answering("HTTP/1.1 407 P\r\nProxy-Authenticate: Negotiate, BASIC realm=x\r\nContent-Length: 0\r\n\r\n"), "//", "//"+user, 1), "does not accept the user and password"},
		"forbidden":         {answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), "refused the tunnel (status 403)"},
		"not_http":          {answering("220 secret-of-a-customer ESMTP\r\n"), "gave no answer that can be understood"},
		"closes":            {answering(""), "gave no answer that can be understood"},
		"speaks_first":      {answering("HTTP/1.1 200 OK\r\n\r\nsecret-of-a-customer"), "sent something before it was asked"},
		"refused":           {nobody.URL, "cannot be reached (connection refused)"},
		"unknown_name":      {"http://proxy.invalid:1", "cannot be reached"},
		"wrong_certificate": {strings.Replace(secured.URL, "//127.0.0.1", "//"+user+"localhost", 1), "no TLS with the proxy"},
		"not_tls":           {strings.Replace(right.URL, "http://", "https://"+user, 1), "write http:// in EVERGATE_UPSTREAM_PROXY"},
		"socks_credentials": {strings.Replace(socksURL, "//", "//outbound:wrong-password@", 1), "takes the user and password of EVERGATE_UPSTREAM_PROXY"},
		"socks_refused":     {strings.Replace(nobody.URL, "http", "socks5", 1), "cannot be reached (connection refused)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := parse(t, tc.proxy)
			_, err := through(t, proxy, shopify).RoundTrip(request(t, "GET", shopify.URL))
			var dial *DialError
			if !errors.As(err, &dial) || !strings.Contains(err.Error(), tc.say) ||
				!strings.Contains(err.Error(), proxy.Host) || !strings.Contains(err.Error(), "EVERGATE_UPSTREAM_PROXY") && !strings.Contains(err.Error(), "see that the proxy") {
				t.Errorf("%v", err)
			}
			for _, secret := range []string{proxyPassword, "wrong-password", "p%3Ass", "secret-of-a-customer", "Basic "} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q is in %v", secret, err)
				}
			}
		})
	}
}

// answers listens and gives every request the same answer.
func answers(t *testing.T, answer string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	process.Accept(t, l, func(conn net.Conn) {
		defer conn.Close()
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, answer)
	})
	return l.Addr().String()
}

// A proxy that swallows the question must not hold a caller longer than any other dial.
func TestProxyThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		t.Cleanup(func() { _ = there.Close() })
		go func() { _, _ = io.Copy(io.Discard, there) }()
		ctx, cancel := context.WithTimeout(t.Context(), dialTimeout)
		defer cancel()
		err := openTunnel(ctx, here, "acme.myshopify.com:443", nil)
		wrapped := &proxyError{Proxy{parse(t, "http://proxy:1"), "HTTPS_PROXY"}, ctx.Err() != nil, err}
		if err == nil || !strings.Contains(wrapped.Error(), "did not open a tunnel in time: see whether HTTPS_PROXY") {
			t.Errorf("%v", wrapped)
		}
	})
}

// The password may rest in a file that changes: it is asked for at each dial.
func TestProxyIsAskedForAtEachDial(t *testing.T) {
	t.Parallel()
	shopify := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(shopify.Close)
	p := newConnectProxy(t, false)
	proxies := []*url.URL{parse(t, p.URL), withUser(p.URL, t), nil}
	tr := through(t, nil, shopify)
	tr.dialer.proxy = func() (Proxy, error) {
		if len(proxies) == 0 {
			return Proxy{}, errors.New("EVERGATE_UPSTREAM_PROXY_FILE: the file cannot be read")
		}
		u := proxies[0]
		proxies = proxies[1:]
		return Proxy{u, "EVERGATE_UPSTREAM_PROXY"}, nil
	}
	for i, want := range []string{"status 407", "", "", "EVERGATE_UPSTREAM_PROXY_FILE: the file cannot be read"} {
		r := request(t, "GET", shopify.URL)
		r.Close = true // so that no connection is there for the next one
		resp, err := tr.RoundTrip(r)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", i, err)
		}
		if err == nil {
			_ = resp.Body.Close()
		}
	}
	if n := p.tunnels.Load(); n != 1 {
		t.Errorf("%d tunnels", n)
	}
}

// A proxy reads the port of a CONNECT as digits (RFC 9110, 9.3.6), and the shop's own URL names none.
func TestAddressesHaveTheirPortInDigits(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://acme.myshopify.com": "acme.myshopify.com:443", "http://127.0.0.1": "127.0.0.1:80", "https://[::1]": "[::1]:443", "socks5://proxy": "proxy:1080",
		"http://proxy:3128": "proxy:3128",
	} {
		if got := authority(parse(t, base)); got != want {
			t.Errorf("%s: %s, want %s", base, got, want)
		}
	}
	const base = "https://acme.myshopify.com"
	asked := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Host
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	tr := New(Options{Base: parse(t, base), Proxy: func() (Proxy, error) { return Proxy{URL: parse(t, proxy.URL)}, nil }})
	_, err := tr.RoundTrip(request(t, http.MethodGet, base))
	if got := <-asked; err == nil || got != "acme.myshopify.com:443" {
		t.Errorf("CONNECT %s: %v", got, err)
	}
}

package wire

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"evergate/test/process"
)

// connect is what opens a tunnel to the shop.
const connect = "CONNECT " + shopDomain + ":443 HTTP/1.1\r\nHost: " + shopDomain + ":443\r\n"

// withCA is what a sidecar is configured with whose local CA ends with it.
const withCA = "EVERGATE_CA_DIR=memory:"

// authority is the local CA's root.
func (s *sidecar) authority(t testing.TB) *x509.CertPool {
	t.Helper()
	_, roots := process.LocalCA(t, s.admin)
	return roots
}

// open opens a tunnel to the shop and has not spoken TLS yet. fields are the CONNECT's further header lines.
func (s *sidecar) open(t testing.TB, fields string) net.Conn {
	t.Helper()
	conn := s.plain(t)
	if err := process.OpenTunnel(conn, connect+fields+"\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// inside speaks TLS through a tunnel, and the protocol.
func (s *sidecar) inside(t testing.TB, roots *x509.CertPool, protocol, fields string) *tls.Conn {
	t.Helper()
	conn := tls.Client(s.open(t, fields), &tls.Config{RootCAs: roots, ServerName: shopDomain, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS12})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// throughTunnels has dial lead through tunnels from now on.
func (s *sidecar) throughTunnels(t *testing.T) {
	t.Helper()
	roots := s.authority(t)
	s.way = func(t testing.TB) net.Conn { return s.inside(t, roots, "http/1.1", "") }
}

func TestTheSameRulesHoldInATunnel(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA)
	s.throughTunnels(t)
	runCorpus(t, up, s)
}

// heard sends bytes as they are and returns everything that comes back until the connection ends.
func (s *sidecar) heard(t testing.TB, send string) string {
	t.Helper()
	conn := s.plain(t)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, send) }()
	all, err := io.ReadAll(conn)
	if err != nil && !isReset(err) {
		t.Errorf("%.300q: the connection does not end: %v", send, err)
	}
	return string(all)
}

// refusal is the code of an answer, or of what net/http says by itself its status.
func refusal(t testing.TB, heard string) string {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(heard)), nil)
	if err != nil {
		t.Errorf("no answer: %.300q", heard)
		return ""
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if code := resp.Header.Get("X-Evergate-Error"); code != "" {
		return code
	}
	return resp.Status[:3]
}

// hidden is what must never be read as a request.
const hidden = "GET " + api + "/hidden.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

// connectTo is a CONNECT with this target.
func connectTo(target string) string {
	return "CONNECT " + target + " HTTP/1.1\r\nHost: " + shopDomain + "\r\n\r\n"
}

var badTargets = []struct{ target, code string }{
	{shopDomain, "denied_connect"},
	{shopDomain + ":", "denied_connect"},
	{shopDomain + ":80", "denied_connect"},
	{shopDomain + ":8443", "denied_connect"},
	{shopDomain + ":0443", "denied_connect"},
	{shopDomain + ":00000000443", "denied_connect"},
	{shopDomain + ":+443", "400"},
	{shopDomain + ":-443", "400"},
	{shopDomain + ":443:443", "400"},
	{shopDomain + ":65979", "denied_connect"},
	{shopDomain + ":0x1bb", "400"},
	{shopDomain + ":https", "400"},
	{shopDomain + ":443/", "denied_connect"},
	{shopDomain + ":443/admin", "denied_connect"},
	{shopDomain + ":443?x", "denied_connect"},
	{shopDomain + ":443#x", "400"},
	{shopDomain + ".:443", "denied_connect"},
	{shopDomain + "..:443", "denied_connect"},
	{"." + shopDomain + ":443", "denied_connect"},
	{"*." + shopDomain + ":443", "denied_connect"},
	{"user@" + shopDomain + ":443", "denied_connect"},
	{"user:pass@" + shopDomain + ":443", "denied_connect"},
	{"evil.example@" + shopDomain + ":443", "denied_connect"},
	{shopDomain + "@evil.example:443", "denied_connect"},
	{shopDomain + ":443@evil.example:443", "denied_connect"},
	{"http://" + shopDomain + ":443", "denied_connect"},
	{"https://" + shopDomain + "/", "denied_connect"},
	{"//" + shopDomain + ":443", "denied_connect"},
	{"/" + shopDomain + ":443", "denied_connect"},
	{"/", "denied_connect"},
	{"*", "denied_connect"},
	{":443", "denied_connect"},
	{"443", "denied_connect"},
	{"%62" + shopDomain[1:] + ":443", "400"},
	{shopDomain + "%00:443", "400"},
	{shopDomain + "\x00:443", "400"},
	{shopDomain + "\x00.evil.example:443", "400"},
	{shopDomain + "\t:443", "400"},
	{shopDomain + " :443", "400"},
	{shopDomain + "\\:443", "400"},
	{"bl\xc3\xbce-finch.myshopify.com:443", "denied_connect"},
	{strings.Replace(shopDomain, "s", "\xc5\xbf", 1) + ":443", "denied_connect"},
	{strings.Replace(shopDomain, ".", "\xe3\x80\x82", 1) + ":443", "denied_connect"},
	{"xn--" + shopDomain + ":443", "denied_connect"},
	{"other.myshopify.com:443", "denied_connect"},
	{"myshopify.com:443", "denied_connect"},
	{"accounts.shopify.com:443", "denied_connect"},
	{shopDomain + ".evil.example:443", "denied_connect"},
	{"evil-" + shopDomain + ":443", "denied_connect"},
	{"localhost:443", "denied_connect"},
	{"LOCALHOST.:443", "denied_connect"},
	{"a.localhost:443", "denied_connect"},
	{strings.Repeat("a", 8<<10) + ":443", "denied_connect"},
	{"[::1]:443", "denied_connect"},
	{"[::1", "400"},
	{"[]:443", "400"},
	{"[" + shopDomain + "]:443", "400"},
	{"::1:443", "400"},
	{"[fe80::1%25eth0]:443", "denied_connect"},
	{"[fe80::1%eth0]:443", "400"},
	{"[::ffff:127.0.0.1]:443", "denied_connect"},
	{"[::ffff:7f00:1]:443", "denied_connect"},
	{"[::127.0.0.1]:443", "denied_connect"},
	{"[64:ff9b::7f00:1]:443", "denied_connect"},
	{"[2002:7f00:1::]:443", "denied_connect"},
	{"[fd00:ec2::254]:443", "denied_connect"},
	{"127.0.0.1:443", "denied_connect"},
	{"127.1:443", "denied_connect"},
	{"2130706433:443", "denied_connect"},
	{"0x7f.1:443", "denied_connect"},
	{"0x7f000001:443", "denied_connect"},
	{"0177.0.0.1:443", "denied_connect"},
	{"127.0.0.1.:443", "denied_connect"},
	{"10.0.0.1.:443", "denied_connect"},
	{"1.2.3.4.5:443", "denied_connect"},
	{"0:443", "denied_connect"},
	{"0.0.0.0:443", "denied_connect"},
	{"169.254.169.254:443", "denied_connect"},
	{"100.100.100.200:443", "denied_connect"},
	{"192.168.0.1:443", "denied_connect"},
	{"255.255.255.255:443", "denied_connect"},
	{"224.0.0.1:443", "denied_connect"},
	{"metadata:443", "denied_connect"},
	{"metadata.google.internal:443", "denied_connect"},
	{"printer.local:443", "denied_connect"},
	{"router.lan:443", "denied_connect"},
	{"nas.home.arpa:443", "denied_connect"},
	{"kubernetes.default.svc.cluster.local:443", "denied_connect"},
}

func TestNoTargetButTheShopOpensATunnel(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"shops", "tunnel"} {
		up := newRecorder(t, nil)
		s := up.sidecar(t, withCA, "EVERGATE_CONNECT="+mode)
		for _, c := range badTargets {
			if mode == "tunnel" && (c.target == "accounts.shopify.com:443" || strings.HasSuffix(c.target, "myshopify.com:443") || strings.HasSuffix(c.target, ".example:443")) {
				continue // names that a look-up decides on
			}
			heard := s.heard(t, connectTo(c.target)+hidden)
			if code := refusal(t, heard); code != c.code || strings.Count(heard, "HTTP/1.1 ") != 1 {
				t.Errorf("%s: %.80q: %s, want %s", mode, c.target, code, c.code)
			}
		}
		if arrived := up.take(t); len(arrived) > 0 {
			t.Errorf("arrived %q", below(arrived))
		}
	}
}

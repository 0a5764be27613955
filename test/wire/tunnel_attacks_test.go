package wire

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"evergate/test/corpus"
	"evergate/test/process"
)

// beside are CONNECTs with something beside them. None opens a tunnel, and nothing behind them is a request.
var beside = []struct{ name, send, code string }{
	{"a body", connect + "Content-Length: " + its + "\r\n\r\n" + smuggled, "denied_connect"},
	{"a body that is short", connect + "Content-Length: 1\r\n\r\n" + smuggled, "denied_connect"},
	{"chunks", connect + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "denied_connect"},
	{"chunks that are malformed", connect + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + smuggled, "denied_connect"},
	{"both", connect + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "ambiguous_request"},
	{"a folded field", connect + "X-A: b\r\n c\r\n\r\n" + hidden, "ambiguous_request"},
	{"a line that ends with LF", connect + "X-A: b\n\r\n" + hidden, "ambiguous_request"},
	{"two lengths", connect + "Content-Length: 0\r\nContent-Length: " + its + "\r\n\r\n" + smuggled, "400"},
	{"a length that is none", connect + "Content-Length: x\r\n\r\n" + smuggled, "400"},
	{"another coding", connect + "Transfer-Encoding: gzip\r\n\r\n" + smuggled, "501"},
	{"a body that is asked leave for", connect + "Content-Length: " + its + "\r\nExpect: 100-continue\r\n\r\n" + smuggled, "denied_connect"},
	{"another expectation", connect + "Expect: x\r\n\r\n" + smuggled, "417"},
	{"two hosts", connect + "Host: evil.example\r\n\r\n" + smuggled, "400"},
	{"a host that is none", strings.Replace(connect, "Host: ", "Host: a b", 1) + "\r\n" + smuggled, "400"},
	{"a folded first line", "CONNECT " + shopDomain + ":443\r\n HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled, "400"},
	{"a space before a colon", connect + "X-A : b\r\n\r\n" + smuggled, "400"},
	{"a NUL in a field", connect + "X-A: \x00\r\n\r\n" + smuggled, "400"},
	{"two targets", "CONNECT " + shopDomain + ":443 evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled, "400"},
	{"HTTP/2.0", "CONNECT " + shopDomain + ":443 HTTP/2.0\r\nHost: x\r\n\r\n" + smuggled, "505"},
	{"HTTP/0.9", "CONNECT " + shopDomain + ":443\r\n" + smuggled, "400"},
	{"two keys", connect + "Proxy-Authorization: Bearer evg_a\r\nAuthorization: Bearer evg_b\r\n\r\n" + smuggled, "unauthenticated"},
	{"a key nobody knows", connect + "Proxy-Authorization: Bearer evg_" + strings.Repeat("x", 43) + "\r\n\r\n" + smuggled, "unauthenticated"},
}

var localName = strings.Replace(shopDomain, "myshopify.com", "localhost", 1)

const wireKey = "evg_WireWireWireWireWireWireWireWireWireWireWi1"

// keysFile has one key.
func keysFile(t *testing.T) string {
	t.Helper()
	sum := sha256.Sum256([]byte(wireKey))
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("agent sha256:"+hex.EncodeToString(sum[:])+" policy=full\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNothingBesideAConnectIsARequest(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA, "EVERGATE_CLIENT_KEYS_FILE="+keysFile(t))
	for _, c := range beside {
		heard := s.heard(t, c.send)
		if code := refusal(t, strings.TrimPrefix(heard, "HTTP/1.1 100 Continue\r\n\r\n")); code != c.code || strings.Contains(heard, "established") {
			t.Errorf("%s: %s, want %s: %.200q", c.name, code, c.code, heard)
		}
	}
	// What comes with a CONNECT that opens a tunnel is the tunnel's, where it is no TLS.
	for name, send := range map[string]string{
		"a request":                connect + "\r\n" + hidden,
		"a CONNECT":                connect + "\r\n" + connect + "\r\n" + hidden,
		"HTTP/1.0":                 "CONNECT " + shopDomain + ":443 HTTP/1.0\r\n\r\n" + hidden,
		"no host":                  "CONNECT " + shopDomain + ":443 HTTP/1.1\r\n\r\n" + hidden, // as net/http has it
		"a length of nothing":      connect + "Content-Length: 0\r\n\r\n" + hidden,
		"connection: keep-alive":   connect + "Connection: keep-alive\r\nProxy-Connection: keep-alive\r\n\r\n" + hidden,
		"an upgrade":               connect + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + hidden,
		"garbage":                  connect + "\r\n" + strings.Repeat("\x00", 4<<10),
		"a TLS hello that is none": connect + "\r\n\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00" + hidden,
		"the preface of HTTP/2":    connect + "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		heard := s.heard(t, send)
		if !strings.HasPrefix(heard, process.TunnelOpen) || strings.Contains(heard, "HTTP/1.1 200 OK") || strings.Count(heard, "established") != 1 {
			t.Errorf("%s: %.300q", name, heard)
		}
	}
	if arrived := up.take(t); len(arrived) > 0 {
		t.Errorf("arrived %q", below(arrived))
	}
}

func TestHandshakesInATunnelAreAnsweredOrEnd(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA)
	roots := s.authority(t)
	for _, c := range []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"as clients do", &tls.Config{ServerName: shopDomain}, true},
		{"TLS 1.2", &tls.Config{ServerName: shopDomain, MaxVersion: tls.VersionTLS12}, true},
		{"the name in capitals", &tls.Config{ServerName: strings.ToUpper(shopDomain)}, true},
		{"ALPN of HTTP/1.1", &tls.Config{ServerName: shopDomain, NextProtos: []string{"http/1.1"}}, true},
		{"ALPN of much and HTTP/1.1", &tls.Config{ServerName: shopDomain, NextProtos: []string{"h3", "spdy/3", "http/1.1"}}, true},
		{"ALPN of nothing we speak", &tls.Config{ServerName: shopDomain, NextProtos: []string{"h3", "dot"}}, false},
		{"ALPN of HTTP/1.0", &tls.Config{ServerName: shopDomain, NextProtos: []string{"http/1.0"}}, false},
		{"ALPN of HTTP/2 without TLS", &tls.Config{ServerName: shopDomain, NextProtos: []string{"h2c"}}, false},
		{"no name", &tls.Config{ServerName: "127.0.0.1"}, true}, // an address is not sent, and looked for in the certificate
		{"this machine", &tls.Config{ServerName: "localhost"}, true},
		{"the shop's local name", &tls.Config{ServerName: localName}, true},
		{"another shop's local name", &tls.Config{ServerName: "other.localhost"}, false},
		{"TLS 1.1", &tls.Config{ServerName: shopDomain, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"another shop", &tls.Config{ServerName: "other.myshopify.com"}, false},
		{"another host", &tls.Config{ServerName: "evil.example"}, false},
		{"a name that ends like the shop's", &tls.Config{ServerName: "x." + shopDomain}, false},
	} {
		config := c.config
		if config.RootCAs = roots; config.MinVersion == 0 {
			config.MinVersion = tls.VersionTLS12
		}
		conn := tls.Client(s.open(t, ""), config)
		err := conn.HandshakeContext(t.Context())
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			// Whatever name the handshake was for, each request is judged by its own, and goes to the shop of the tunnel.
			_, _ = io.WriteString(conn, strings.Replace(corpus.Probe, "localhost", "other.myshopify.com", 1)+strings.Replace(corpus.Probe, "localhost", shopDomain, 1))
			if status, _ := statuses(t, conn, "GET", 2, false); !slices.Equal(status, []int{421, 200}) {
				t.Errorf("%s: %v", c.name, status)
			}
		} else if _, err := io.Copy(io.Discard, conn.NetConn()); err != nil && !isReset(err) {
			t.Errorf("%s: the connection does not end: %v", c.name, err)
		}
		_ = conn.Close()
		if arrived := up.take(t); len(arrived) > 1 || len(arrived) == 1 != c.ok {
			t.Errorf("%s: arrived %q", c.name, below(arrived))
		}
	}
}

func TestATunnelInATunnelIsRefused(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA, "EVERGATE_CONNECT=tunnel")
	roots := s.authority(t)
	for _, target := range []string{shopDomain, "evil.example"} {
		conn := s.inside(t, roots, "http/1.1", "")
		go func() { _, _ = io.WriteString(conn, strings.ReplaceAll(connect, shopDomain, target)+"\r\n"+hidden) }()
		all, err := io.ReadAll(conn)
		if code := refusal(t, string(all)); code != "denied_connect" || strings.Count(string(all), "HTTP/1.1 ") != 1 || err != nil && !isReset(err) {
			t.Errorf("%s: %s, %.300q %v", target, code, all, err)
		}
	}
	if arrived := up.take(t); len(arrived) > 0 {
		t.Errorf("arrived %q", below(arrived))
	}
}

func TestACallersKeyOpensItsTunnelAndGoesNoFurther(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil) // takes offence at any credential but the token
	keys := keysFile(t)
	s := up.sidecar(t, withCA, "EVERGATE_CLIENT_KEYS_FILE="+keys, "EVERGATE_POLICY=none") // whoever has no key may do nothing
	roots := s.authority(t)
	for _, c := range []struct {
		fields, inside string
		status         int
	}{
		{"Proxy-Authorization: Bearer " + wireKey + "\r\n", "", 200},
		{"Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(wireKey+":")) + "\r\n", "", 200},
		{"Proxy-Authorization: basic " + base64.StdEncoding.EncodeToString([]byte(":"+wireKey)) + "\r\n", "", 200},
		{"Authorization: Bearer " + wireKey + "\r\n", "", 200},
		{"Proxy-Authorization: Bearer " + wireKey + "\r\n", "Authorization: Bearer shpat_x\r\nX-Shopify-Access-Token: shpat_y\r\n", 200},
		{"Proxy-Authorization: Bearer " + wireKey + "\r\n", "Authorization: Bearer evg_" + strings.Repeat("x", 43) + "\r\n", 403},
		{"Proxy-Authorization: Bearer " + wireKey + "\r\n", "Authorization: Bearer evg_a\r\nX-Shopify-Access-Token: evg_b\r\n", 403},
	} {
		conn := s.inside(t, roots, "http/1.1", c.fields)
		_, _ = io.WriteString(conn, "GET "+p+" HTTP/1.1\r\nHost: "+shopDomain+"\r\n"+c.inside+"\r\n")
		if got, _ := statuses(t, conn, "GET", 1, false); len(got) != 1 || got[0] != c.status {
			t.Errorf("%q, inside %q: %v, want %d", c.fields, c.inside, got, c.status)
		}
		_ = conn.Close()
	}
	if code := refusal(t, s.heard(t, connect+"\r\n"+hidden)); code != "unauthenticated" {
		t.Errorf("a stranger: %s", code)
	}
	client := s.stranger(t, roots, "Proxy-Authorization: Bearer "+wireKey+"\r\n")
	id, err := client.begin(true, get2...)
	if err != nil {
		t.Fatal(err)
	}
	if got := client.outcome(id); got != "200" {
		t.Errorf("HTTP/2 with a key: %s", got)
	}
	if arrived := up.take(t); len(arrived) != 6 {
		t.Errorf("arrived %q", below(arrived))
	}
	// The key ends while tunnels are open.
	conn := s.inside(t, roots, "http/1.1", "Proxy-Authorization: Bearer "+wireKey+"\r\n")
	if err := os.WriteFile(keys, []byte("# nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Signal(t, syscall.SIGHUP)
	process.Eventually(t, func() error {
		if s.heardCode(t, connect+"Proxy-Authorization: Bearer "+wireKey+"\r\n\r\n") != "unauthenticated" {
			return errors.New("the key is still known")
		}
		return nil
	})
	_, _ = io.WriteString(conn, hidden)
	if got, _ := statuses(t, conn, "GET", 1, false); len(got) != 1 || got[0] != 403 {
		t.Errorf("a tunnel of a key that has ended: %v", got)
	}
	if id, err = client.begin(true, get2...); err != nil {
		t.Fatal(err)
	}
	if got := client.outcome(id); got != "403" {
		t.Errorf("HTTP/2 in a tunnel of a key that has ended: %s", got)
	}
	if arrived := up.take(t); len(arrived) > 0 {
		t.Errorf("arrived %q", below(arrived))
	}
}

// heardCode is what a CONNECT is refused with, empty where it opens a tunnel.
func (s *sidecar) heardCode(t testing.TB, send string) string {
	t.Helper()
	conn := s.plain(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, send); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len(process.TunnelOpen))
	if _, err := io.ReadFull(conn, first); err != nil {
		t.Fatal(err)
	}
	if string(first) == process.TunnelOpen {
		return ""
	}
	rest, _ := io.ReadAll(conn)
	return refusal(t, string(first)+string(rest))
}

func TestTunnelsOpenOnEveryListener(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "evergate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA, "EVERGATE_LISTEN=tls:127.0.0.1:0,unix:"+socket)
	roots := s.authority(t)
	outer := &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	for name, dial := range map[string]func() (net.Conn, error){
		"tls":  func() (net.Conn, error) { return tls.Dial("tcp", s.host, outer) },
		"unix": func() (net.Conn, error) { return net.Dial("unix", socket) },
	} {
		s.plainWay = dial
		for _, protocol := range []string{"http/1.1", "h2"} {
			if protocol == "h2" {
				client := s.stranger(t, roots, "")
				id, err := client.begin(true, get2...)
				if err != nil {
					t.Fatal(err)
				}
				if got := client.outcome(id); got != "200" {
					t.Errorf("%s, %s: %s", name, protocol, got)
				}
				_ = client.conn.Close()
				continue
			}
			conn := s.inside(t, roots, protocol, "")
			_, _ = io.WriteString(conn, corpus.Probe)
			if got, _ := statuses(t, conn, "GET", 1, false); len(got) != 1 || got[0] != 200 {
				t.Errorf("%s, %s: %v", name, protocol, got)
			}
			_ = conn.Close()
		}
		if arrived := up.take(t); len(arrived) != 2 {
			t.Errorf("%s: arrived %q", name, below(arrived))
		}
		if code := refusal(t, s.heard(t, connectTo("evil.example:443")+hidden)); code != "denied_connect" {
			t.Errorf("%s: %s", name, code)
		}
		if arrived := up.take(t); len(arrived) > 0 {
			t.Errorf("%s: arrived %q", name, below(arrived))
		}
	}
}

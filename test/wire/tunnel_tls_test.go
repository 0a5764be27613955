package wire

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
)

// openssl is a client that does what Go's cannot.
type openssl struct {
	program, roots string
	way            []string // to a tunnel, or to a listener that speaks TLS itself
}

func (s *sidecar) openssl(t *testing.T) openssl {
	t.Helper()
	roots, _ := process.LocalCA(t, s.admin)
	return newOpenSSL(t, []byte(roots), "-proxy", s.host, "-connect", shopDomain+":443")
}

func newOpenSSL(t *testing.T, roots []byte, way ...string) openssl {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("TEST_COMPONENTS") == "required" {
			t.Fatal(err)
		}
		t.Skip("there is no openssl")
	}
	file := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(file, roots, 0o600); err != nil {
		t.Fatal(err)
	}
	return openssl{program, file, way}
}

// says has it go its way and say this there, and returns what it tells.
func (o openssl) says(t *testing.T, say string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), o.program, slices.Concat([]string{
		"s_client", "-CAfile", o.roots, "-no-CApath", "-verify_return_error",
	}, o.way, args)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	in, out, err := os.Pipe() // which does not end before the connection does
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	if _, err := out.WriteString(say); err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = in
	cmd.WaitDelay = time.Second
	told, _ := cmd.CombinedOutput() // both: it tells of alerts on the other, and its exit code tells little
	return string(told)
}

// last asks for something and for the end of the connection.
const last = "GET " + api + "/last.json HTTP/1.1\r\nHost: " + shopDomain + "\r\nConnection: close\r\n\r\n"

// handshake is what OpenSSL is told to do and to send, what it tells of it, and whether a request was served.
type handshake struct {
	name, say string
	args      []string
	tells     string
	served    bool
}

func (h handshake) try(t *testing.T, client openssl, up *recorder) {
	t.Helper()
	told := client.says(t, h.say, h.args...)
	if !strings.Contains(told, h.tells) || strings.Contains(told, "HTTP/1.1 200 OK") != h.served {
		t.Errorf("%s: %s", h.name, told)
	}
	if arrived := up.take(t); len(arrived) > 1 || len(arrived) == 1 != h.served {
		t.Errorf("%s: arrived %q", h.name, below(arrived))
	}
}

func TestWhatOnlyOpenSSLDoesInATunnel(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA)
	client := s.openssl(t)
	for _, c := range []handshake{
		{"as clients do", last, []string{"-servername", shopDomain, "-verify_hostname", shopDomain}, "Verify return code: 0 (ok)", true},
		{"no name", last, []string{"-noservername", "-verify_ip", "127.0.0.1"}, "Verify return code: 0 (ok)", true},
		{"this machine's address as the name", last, []string{"-servername", "127.0.0.1", "-verify_ip", "127.0.0.1"}, "Verify return code: 0 (ok)", true},
		{"another address as the name", last, []string{"-servername", "192.0.2.1"}, "unrecognized name", false},
		{"another host", last, []string{"-servername", "evil.example"}, "unrecognized name", false},
		{"an ALPN of HTTP/1.0", last, []string{"-servername", shopDomain, "-alpn", "http/1.0"}, "no application protocol", false},
		{"an ALPN of h2c", last, []string{"-servername", shopDomain, "-alpn", "h2c"}, "no application protocol", false},
		{"TLS 1.0", last, []string{"-servername", shopDomain, "-tls1", "-cipher", "DEFAULT@SECLEVEL=0"}, "protocol version", false},
		{"TLS 1.1", last, []string{"-servername", shopDomain, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, "protocol version", false},
		{"a renegotiation", "R\n", []string{"-servername", shopDomain, "-tls1_2"}, "unexpected message", false},
	} {
		c.try(t, client, up)
	}
}

// Early data could be sent again by anybody who has seen it, and a request that changes something be carried out twice.
func TestEarlyDataIsNoRequest(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA)
	client := s.openssl(t)
	dir := t.TempDir()
	session, early := filepath.Join(dir, "session"), filepath.Join(dir, "early")
	if err := os.WriteFile(early, []byte(strings.Replace(hidden, "localhost", shopDomain, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if told := client.says(t, last, "-servername", shopDomain, "-tls1_3", "-sess_out", session); !strings.Contains(told, "HTTP/1.1 200 OK") {
		t.Fatal(told)
	}
	told := client.says(t, last, "-servername", shopDomain, "-tls1_3", "-sess_in", session, "-early_data", early)
	if !strings.Contains(told, "Reused, TLSv1.3") || !strings.Contains(told, "HTTP/1.1 200 OK") || strings.Contains(told, "Early data was accepted") || !strings.Contains(told, "Early data was") {
		t.Error(told)
	}
	if arrived := below(up.take(t)); len(arrived) != 2 || arrived[0] != "GET /last.json" || arrived[1] != "GET /last.json" {
		t.Errorf("arrived %q", arrived)
	}
}

func TestTLSInsideOfATunnelsTLSIsNoRequest(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA)
	roots := s.authority(t)
	for _, protocol := range []string{"http/1.1", "h2"} {
		outer := s.inside(t, roots, protocol, "")
		inner := tls.Client(outer, &tls.Config{RootCAs: roots, ServerName: shopDomain, MinVersion: tls.VersionTLS12})
		if err := inner.HandshakeContext(t.Context()); err == nil {
			t.Errorf("%s: it is spoken", protocol)
		}
		if rest, err := io.ReadAll(outer); err != nil && !isReset(err) || strings.Contains(string(rest), "200") {
			t.Errorf("%s: %q %v", protocol, rest, err)
		}
	}
	if arrived := up.take(t); len(arrived) > 0 {
		t.Errorf("arrived %q", below(arrived))
	}
}

// RFC 9113, 8.5, and RFC 8441: on a listener that speaks HTTP/2 without a tunnel around it.
func TestNoTunnelIsOpenedByHTTP2(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA, "EVERGATE_LISTEN=tls:127.0.0.1:0", "EVERGATE_CONNECT=tunnel")
	roots := s.authority(t)
	for _, c := range []struct {
		name, outcome string
		fields        []string
		goesOn        bool
	}{
		{"to the shop", "403", []string{":method", "CONNECT", ":authority", shopDomain + ":443"}, false},
		{"to another host", "403", []string{":method", "CONNECT", ":authority", "evil.example:443"}, false},
		{"with a path", reset, with(get2, ":method", "CONNECT"), true},
		{"extended", reset, append(with(get2, ":method", "CONNECT"), ":protocol", "websocket"), true},
		{"extended, for UDP", reset, append(with(with(get2, ":method", "CONNECT"), ":path", "/.well-known/masque/udp/192.0.2.1/443/"), ":protocol", "connect-udp"), true},
	} {
		client := strangerOn(t, s.spoken(t, roots, "h2"))
		id, err := client.begin(false, c.fields...)
		if err == nil {
			_ = client.data(id, true, smuggle1) // it may have been refused before
		}
		if got := client.outcome(id); got != c.outcome {
			t.Errorf("%s: %s, want %s", c.name, got, c.outcome)
		}
		want, arrives := io.EOF.Error(), 0
		if c.goesOn {
			want, arrives = "200", 1
		}
		id, _ = client.begin(true, get2...)
		if got := client.outcome(id); got != want {
			t.Errorf("%s: the next request: %s, want %s", c.name, got, want)
		}
		_ = client.conn.Close()
		if arrived := below(up.take(t)); len(arrived) != arrives || arrives == 1 && arrived[0] != "GET /p.json" {
			t.Errorf("%s: arrived %q", c.name, arrived)
		}
	}
}

// spoken speaks TLS with the tools' listener itself.
func (s *sidecar) spoken(t *testing.T, roots *x509.CertPool, protocol string) net.Conn {
	t.Helper()
	conn := tls.Client(s.plain(t), &tls.Config{RootCAs: roots, ServerName: shopDomain, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS12})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}

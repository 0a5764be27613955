package wire

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"evergate/internal/shopsim"
)

const (
	shopDomain  = shopsim.DefaultShop
	accessToken = "shpat_0123456789abcdef0123456789abcdef"
	// api is where the Admin API's paths begin.
	api = "/admin/api/2026-10"
)

// recorder is an upstream over TLS that writes down every request, and every byte that is
// no part of one.
type recorder struct {
	url    string
	caFile string
	roots  *x509.CertPool
	answer func(message) string
	closes func(message) bool // ends the connection behind an answer; nil for never
	// head, if set, sees a request before its body is read, and says whether to go on.
	head func(net.Conn, message) bool

	mu       sync.Mutex
	arrived  []message
	broken   []message // what had come of a request when its connection ended
	offences []string
	conns    map[net.Conn]bool
}

// plainAnswer is what a recorder answers unless a test says otherwise.
func plainAnswer(m message) string {
	const head = "HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 10:00:00 GMT\r\nContent-Length: 2\r\n\r\n"
	if m.method == "HEAD" {
		return head
	}
	return head + "ok"
}

// newRecorder starts one. answer makes the bytes that go back; nil for plainAnswer.
func newRecorder(t *testing.T, answer func(message) string) *recorder {
	t.Helper()
	if answer == nil {
		answer = plainAnswer
	}
	ca, err := shopsim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.ServerConfig()
	if err != nil {
		t.Fatal(err)
	}
	up := &recorder{answer: answer, caFile: filepath.Join(t.TempDir(), "ca.pem"), roots: x509.NewCertPool(), conns: map[net.Conn]bool{}}
	up.roots.AppendCertsFromPEM(ca.PEM)
	if err := os.WriteFile(up.caFile, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	up.url = "https://" + l.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { up.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		up.mu.Lock()
		for conn := range up.conns {
			_ = conn.Close()
		}
		up.mu.Unlock()
		serving.Wait()
	})
	return up
}

// serve reads requests until there are no more. An offence ends the connection.
func (up *recorder) serve(conn net.Conn) {
	defer conn.Close()
	up.mu.Lock()
	up.conns[conn] = true
	up.mu.Unlock()
	in := bufio.NewReader(conn)
	how := &reading{}
	for {
		m, err := up.read(how, conn, in)
		if !up.note(m, err) {
			return
		}
		if _, err := io.WriteString(conn, up.answer(m)); err != nil || up.closes != nil && up.closes(m) {
			return
		}
	}
}

func (up *recorder) read(how *reading, conn net.Conn, in *bufio.Reader) (m message, err error) {
	if m, err = how.header(in); err != nil {
		return m, err
	}
	if up.head != nil && !up.head(conn, m) {
		return m, io.EOF
	}
	if err = how.body(in, &m); err != nil {
		return m, err
	}
	return m, offence(m)
}

// offence is what is wrong with a request to Shopify.
func offence(m message) error {
	if host := m.get("Host"); len(host) != 1 || host[0] != shopDomain {
		return bad("%s with Host %q", m, host)
	}
	if len(m.trailer) > 0 {
		return bad("%s with a trailer %q", m, m.trailer)
	}
	tokens := 0
	for _, f := range m.fields {
		switch strings.ToLower(strings.ReplaceAll(f.name, "_", "-")) {
		case "x-shopify-access-token":
			tokens++
			if f.name != "X-Shopify-Access-Token" || f.value != accessToken {
				return bad("%s with %q", m, f)
			}
		case "content-length", "transfer-encoding":
			if strings.Contains(f.name, "_") {
				return bad("%s with %q", m, f)
			}
		case "authorization", "cookie", "proxy-authorization", "te", "trailer", "upgrade", "http2-settings", "keep-alive", "connection":
			return bad("%s with %q", m, f)
		}
	}
	if tokens != 1 {
		return bad("%s with %d tokens", m, tokens)
	}
	return nil
}

// note records how reading a request ended and reports whether it is to be answered.
func (up *recorder) note(m message, err error) bool {
	up.mu.Lock()
	defer up.mu.Unlock()
	var wrong *malformed
	switch {
	case err == nil:
		up.arrived = append(up.arrived, m)
		return true
	case errors.As(err, &wrong):
		up.offences = append(up.offences, wrong.what)
	case errors.Is(err, io.ErrUnexpectedEOF):
		up.broken = append(up.broken, m)
	}
	return false
}

// take returns what arrived since the last call. It fails the test for offences.
func (up *recorder) take(t *testing.T) []message {
	t.Helper()
	up.mu.Lock()
	defer up.mu.Unlock()
	for _, o := range up.offences {
		t.Errorf("what arrived is no request that one could trust: %s", o)
	}
	arrived := up.arrived
	up.arrived, up.offences = nil, nil
	return arrived
}

// brokenOff returns what was cut short. A client may have its answer before that is known here.
func (up *recorder) brokenOff() []message {
	up.mu.Lock()
	defer up.mu.Unlock()
	return slices.Clone(up.broken)
}

// dial connects to the recorder itself, as a client that knows the token would.
func (up *recorder) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(up.url, "https://"), &tls.Config{RootCAs: up.roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(soon()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// environ is what a sidecar in front of this upstream is configured with.
func (up *recorder) environ(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent",
		"SHOPIFY_SHOP=" + shopDomain, "SHOPIFY_ACCESS_TOKEN=" + accessToken,
		"EVERGATE_UPSTREAM_URL=" + up.url, "EVERGATE_UPSTREAM_CA_FILE=" + up.caFile,
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_FORMAT=json",
	}, more...)
}

//go:build linux

package attack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/certtest"
	"evergate/test/process"
)

// mostLog is far above what a start and a few lines of each kind need.
const mostLog = 128 << 10

// mustLogLittle is asked after an attack that makes lines.
func (s *sidecar) mustLogLittle(t *testing.T) {
	t.Helper()
	if n := len(s.Err.String()); n > mostLog {
		t.Errorf("the log has %d bytes: %.2000s", n, s.Err.String())
	}
	if n, ok := process.Metric(process.Fetch(t, "http://"+s.admin+"/metrics"), "evergate_log_lines_dropped_total"); !ok || n == 0 {
		t.Errorf("evergate_log_lines_dropped_total is %v", n)
	}
}

// keepOn has n clients act again and again until the test ends.
func (s *sidecar) keepOn(t *testing.T, n int, act func(context.Context)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				act(ctx)
			}
		})
	}
	t.Cleanup(func() { stop(); all.Wait() })
}

// once opens a connection, sends a text, waits for an end or an answer, and hangs up.
func (s *sidecar) once(ctx context.Context, text string) {
	d := net.Dialer{Timeout: answered}
	conn, err := d.DialContext(ctx, "tcp", s.tools)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answered))
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if text != "" {
		_, _ = io.WriteString(conn, text)
		_, _ = conn.Read(make([]byte, 512))
	}
}

func TestBodiesThatAreNotWellFormedDoNotFillTheLog(t *testing.T) {
	s := start(t, plenty)
	s.attack(t, 2000, func(c net.Conn, _ int) {
		_ = request(c, "POST "+graphQL+" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nthis is no chunk\r\n")
		_ = c.Close()
	})
	s.survives(t, http.MethodPost, graphQL, query)
	s.mustLogLittle(t)
}

// certificate makes a tls: listener possible.
func certificate(t *testing.T) (settings []string, roots *x509.CertPool) {
	t.Helper()
	own := certtest.SelfSigned(t, x509.Certificate{DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour)})
	certificate, key := certtest.PEM(t, own)
	for setting, text := range map[string][]byte{"EVERGATE_TLS_CERT_FILE": certificate, "EVERGATE_TLS_KEY_FILE": key} {
		path := filepath.Join(t.TempDir(), setting)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		settings = append(settings, setting+"="+path)
	}
	return settings, certtest.Pool(own)
}

// startTLS demands a key on a tls: listener.
func startTLS(t *testing.T, descriptors int) *sidecar {
	t.Helper()
	settings, roots := certificate(t)
	s := start(t, descriptors, append(settings, "EVERGATE_CLIENT_KEYS_FILE="+keysFile(t), "EVERGATE_LISTEN=tls:127.0.0.1:0")...)
	s.roots = roots
	return s
}

func TestTLSHandshakesThatAreGarbage(t *testing.T) {
	s := startTLS(t, plenty)
	garbage := strings.Repeat("\x16\x03\x01\x02\x00garbage \x1b[2J", 50)
	s.attack(t, 3000, func(c net.Conn, _ int) {
		_ = c.SetDeadline(time.Now().Add(answered))
		_, _ = io.WriteString(c, garbage)
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	})
	s.survives(t, http.MethodPost, graphQL, query)
	s.mustLogLittle(t)
}

func TestTLSHandshakesThatDoNotEnd(t *testing.T) {
	s := startTLS(t, 1<<14)
	hello := clientHello(t)
	s.attack(t, 3000, func(c net.Conn, i int) { _, _ = c.Write(hello[:len(hello)-i%2*len(hello)/2]) }) // half of them in its middle
	s.survives(t, http.MethodPost, graphQL, query)
	if n := len(s.Err.String()); n > mostLog {
		t.Errorf("the log has %d bytes", n)
	}
}

// clientHello is the first message of a handshake.
func clientHello(t *testing.T) []byte {
	t.Helper()
	mine, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = mine.Close(), theirs.Close() })
	go func() {
		_ = tls.Client(mine, &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12}).HandshakeContext(t.Context())
	}()
	hello := make([]byte, 4<<10)
	n, err := theirs.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}

func TestClientsThatConnectAnewWithoutEnd(t *testing.T) {
	s := start(t, 256)
	s.keepOn(t, 16, func(ctx context.Context) { s.once(ctx, "") })
	s.keepOn(t, 16, func(ctx context.Context) { s.once(ctx, "nonsense\r\n\r\n") })
	s.survives(t, http.MethodGet, api+"shop.json", "")
}

// Each holds memory and sends a little more than it has to.
func TestBodiesThatTrickle(t *testing.T) {
	s := start(t, plenty)
	begin := post(1<<20) + strings.Repeat("a", 200<<10)
	s.trickle(t, 300, begin, func(c net.Conn) error {
		_, err := c.Write(make([]byte, 1<<10))
		return err
	})
	s.survives(t, http.MethodPost, graphQL, query)
}

func TestLongAnswersThatAreReadSlowly(t *testing.T) {
	s := start(t, 256)
	s.trickle(t, 200, "GET "+long+" HTTP/1.1\r\nHost: localhost\r\n\r\n", func(c net.Conn) error {
		_, err := io.ReadFull(c, make([]byte, 1<<10))
		return err
	})
	s.survives(t, http.MethodGet, api+"shop.json", "")
}

// Twice as many as there is room for: all that are served are in the middle of an answer.
func TestAnUpstreamThatTrickles(t *testing.T) {
	s := start(t, 256)
	s.attack(t, 200, func(c net.Conn, i int) {
		_, _ = fmt.Fprintf(c, "GET %s?n=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", slow, i)
	})
	s.survives(t, http.MethodGet, api+"shop.json", "")
}

// No part of these bodies is waited for long enough to call it stuck.
func TestBodiesThatTrickleInEveryPlace(t *testing.T) {
	s := start(t, 256)
	s.trickle(t, 200, post(1<<20)+"{", func(c net.Conn) error {
		_, err := c.Write(make([]byte, 1<<10))
		return err
	})
	s.survives(t, http.MethodGet, api+"shop.json", "")
}

// trickle has n clients send a beginning and then move a little from time to time.
func (s *sidecar) trickle(t *testing.T, n int, begin string, move func(net.Conn) error) {
	t.Helper()
	var mu sync.Mutex
	var conns []net.Conn
	s.attack(t, n, func(c net.Conn, _ int) {
		_, _ = io.WriteString(c, begin)
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, c)
	})
	for _, c := range conns {
		s.keepOn(t, 1, func(ctx context.Context) {
			_ = c.SetDeadline(time.Now().Add(answered))
			if move(c) != nil {
				<-ctx.Done()
				return
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		})
	}
}

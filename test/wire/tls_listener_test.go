package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	bigendian "encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/internal/certtest"
	"evergate/test/process"
)

// tlsListeners are the ways in which a listener comes to speak TLS.
func tlsListeners(t *testing.T, test func(t *testing.T, up *recorder, s *sidecar, client openssl)) {
	own := certtest.SelfSigned(t, x509.Certificate{DNSNames: []string{shopDomain}, NotBefore: time.Now().Add(-time.Hour)})
	certificate, key := certtest.PEM(t, own)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	for path, text := range map[string][]byte{certFile: certificate, keyFile: key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, settings := range map[string][]string{
		"files":                          {"EVERGATE_TLS_CERT_FILE=" + certFile, "EVERGATE_TLS_KEY_FILE=" + keyFile},
		"files, and client certificates": {"EVERGATE_TLS_CERT_FILE=" + certFile, "EVERGATE_TLS_KEY_FILE=" + keyFile, "EVERGATE_TLS_CLIENT_CA_FILE=" + certFile},
		"a local authority":              {withCA},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := newRecorder(t, nil)
			s := up.sidecar(t, append(settings, "EVERGATE_LISTEN=tls:127.0.0.1:0")...)
			roots := certificate
			if len(settings) == 1 {
				text, _ := process.LocalCA(t, s.admin)
				roots = []byte(text)
			}
			test(t, up, s, newOpenSSL(t, roots, "-connect", s.host, "-servername", shopDomain, "-verify_hostname", shopDomain))
		})
	}
}

func TestWhatOnlyOpenSSLDoesAtATLSListener(t *testing.T) {
	t.Parallel()
	tlsListeners(t, func(t *testing.T, up *recorder, s *sidecar, client openssl) {
		for _, c := range []handshake{
			{"TLS 1.2", last, []string{"-tls1_2"}, "Verify return code: 0 (ok)", true},
			{"TLS 1.3", last, []string{"-tls1_3"}, "Verify return code: 0 (ok)", true},
			{"a renegotiation", "R\n", []string{"-tls1_2"}, "unexpected message", false},
			{"TLS 1.1", last, []string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, "protocol version", false},
			{"an ALPN of HTTP/1.0", last, []string{"-alpn", "http/1.0"}, "no application protocol", false},
		} {
			c.try(t, client, up)
		}
	})
}

// TestEarlyDataAtATLSListenerIsNoRequest: OpenSSL does not send any where the session allows none, so it is sent by hand as well.
func TestEarlyDataAtATLSListenerIsNoRequest(t *testing.T) {
	t.Parallel()
	tlsListeners(t, func(t *testing.T, up *recorder, s *sidecar, client openssl) {
		dir := t.TempDir()
		session, early := filepath.Join(dir, "session"), filepath.Join(dir, "early")
		text := strings.Replace(hidden, "localhost", shopDomain, 1)
		if err := os.WriteFile(early, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		served := 1
		if told := client.says(t, last, "-tls1_3", "-sess_out", session); !strings.Contains(told, "HTTP/1.1 200 OK") {
			t.Fatal(told)
		}
		if _, err := os.Stat(session); err == nil { // where there are sessions
			served++
			told := client.says(t, last, "-tls1_3", "-sess_in", session, "-early_data", early)
			if !strings.Contains(told, "HTTP/1.1 200 OK") || strings.Contains(told, "Early data was accepted") || !strings.Contains(told, "Early data was") {
				t.Error(told)
			}
		}
		conn := s.plain(t)
		record := []byte{23, 3, 3, 0, 0} // application data
		bigendian.BigEndian.PutUint16(record[3:], uint16(len(text)))
		if _, err := conn.Write(append(append(earlyHello(t), record...), text...)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil && !isReset(err) {
			t.Error(err)
		}
		if len(answer) < 7 || answer[0] != 21 || answer[6] != 110 { // an alert: unsupported_extension
			t.Errorf("early data was answered %q", answer)
		}
		if arrived := below(up.take(t)); len(arrived) != served || strings.Contains(strings.Join(arrived, " "), "hidden") {
			t.Errorf("arrived %q", arrived)
		}
	})
}

// earlyHello is the first message of a client that is going to send early data (RFC 8446, 4.2.10).
func earlyHello(t *testing.T) []byte {
	t.Helper()
	mine, theirs := net.Pipe()
	defer mine.Close()
	defer theirs.Close()
	go func() {
		_ = tls.Client(mine, &tls.Config{ServerName: shopDomain, MinVersion: tls.VersionTLS13}).HandshakeContext(t.Context())
	}()
	hello := make([]byte, 5)
	_, err := io.ReadFull(theirs, hello)
	if err == nil {
		hello = append(hello, make([]byte, bigendian.BigEndian.Uint16(hello[3:]))...)
		_, err = io.ReadFull(theirs, hello[5:])
	}
	if err != nil {
		t.Fatal(err)
	}
	extension := []byte{0, 42, 0, 0}
	// Behind the header of the record and of the message, the version and the random bytes come the session, the
	// cipher suites, the methods of compression, and the extensions.
	at := 5 + 4 + 2 + 32
	at += 1 + int(hello[at])
	at += 2 + int(bigendian.BigEndian.Uint16(hello[at:]))
	at += 1 + int(hello[at])
	if rest := int(bigendian.BigEndian.Uint16(hello[at:])); at+2+rest != len(hello) || bytes.Contains(hello[at+2:], extension) {
		t.Fatal(errors.New("the first message of a client is not understood"))
	}
	for _, length := range []int{3, 7, at} { // of the record, of the message, of the extensions
		bigendian.BigEndian.PutUint16(hello[length:], bigendian.BigEndian.Uint16(hello[length:])+uint16(len(extension)))
	}
	return append(hello, extension...)
}

//go:build linux

package attack

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/certtest"
	"evergate/test/process"
)

// TestCallersOfThousandsOfNames has a certificate of its own for each: whoever may sign certificates makes as many names as he likes.
func TestCallersOfThousandsOfNames(t *testing.T) {
	const names = 2000
	authority := certtest.SelfSigned(t, x509.Certificate{Subject: pkix.Name{CommonName: "clients"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour)})
	trusted, _ := certtest.PEM(t, authority)
	clientCA := filepath.Join(t.TempDir(), "clients.pem")
	if err := os.WriteFile(clientCA, trusted, 0o600); err != nil {
		t.Fatal(err)
	}
	settings, roots := certificate(t)
	s := start(t, 256, append(settings, "EVERGATE_TLS_CLIENT_CA_FILE="+clientCA, "EVERGATE_CLIENT_KEYS_FILE="+keysFile(t), "EVERGATE_LISTEN=tls:127.0.0.1:0", "EVERGATE_ACCESS_LOG=off")...)
	s.roots = roots
	mustAnswer := func() { s.mustAnswer(t, http.MethodGet, api+"shop.json", "") }
	mustAnswer()
	var all sync.WaitGroup
	var answeredCalls atomic.Int64
	next := make(chan int)
	for range 16 {
		all.Go(func() {
			for n := range next {
				own := certtest.Sign(t, x509.Certificate{Subject: pkix.Name{CommonName: fmt.Sprintf("caller-%d", n)}, NotBefore: time.Now().Add(-time.Hour),
					ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, &authority)
				s.stranger(t.Context(), &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}}, func(c net.Conn) {
					if request(c, "GET "+api+"shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n") == nil {
						answeredCalls.Add(1)
					}
				})
			}
		})
	}
	for n := range names {
		next <- n
		if n%(names/rounds) == 0 {
			mustAnswer()
		}
	}
	close(next)
	all.Wait()
	mustAnswer()
	if n := answeredCalls.Load(); n < names/2 {
		t.Errorf("%d of %d were answered: it is no flood", n, names)
	}
	scrape := process.Fetch(t, "http://"+s.admin+"/metrics")
	if n := strings.Count(scrape, "\nevergate_caller_requests_total{"); n > 300 || len(scrape) > 256<<10 {
		t.Errorf("the metrics have %d callers and %d bytes", n, len(scrape))
	}
	s.mustHoldLittle(t, 256)
	if n := len(s.Err.String()); n > mostLog {
		t.Errorf("the log has %d bytes", n)
	}
}

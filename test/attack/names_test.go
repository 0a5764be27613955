//go:build linux

package attack

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"evergate/test/process"
)

// TestNamesThatAreNotServed has strangers begin handshakes for one name after the other, which a local CA could sign for and does not.
func TestNamesThatAreNotServed(t *testing.T) {
	s := start(t, 256, "EVERGATE_LISTEN=tls:127.0.0.1:0", "EVERGATE_CA_DIR=memory:")
	_, s.roots = process.LocalCA(t, s.admin)
	var asked atomic.Int64
	s.keepOn(t, 16, func(ctx context.Context) {
		s.stranger(ctx, nil, func(conn net.Conn) {
			name := fmt.Sprintf("shop-%d.myshopify.com", asked.Add(1))
			if tls.Client(conn, &tls.Config{ServerName: name, RootCAs: s.roots, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx) == nil {
				t.Errorf("there is a certificate for %s", name)
			}
		})
	})
	for asked.Load() < 1000 {
		s.survives(t, http.MethodGet, api+"shop.json", "")
	}
	s.mustHoldLittle(t, 256)
	log := s.Err.String()
	if len(log) > mostLog || strings.Count(log, "name that is not served here") == 0 {
		t.Errorf("the log has %d bytes: %.2000s", len(log), log)
	}
	t.Logf("%d names; the log has %d bytes", asked.Load(), len(log))
}

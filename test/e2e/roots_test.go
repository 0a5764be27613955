package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"evergate/internal/shopsim"
)

// EVERGATE_UPSTREAM_CA_FILE adds to what the system trusts.
func TestAFileOfRootsAddsToTheSystems(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	stranger, err := shopsim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	other, none := filepath.Join(t.TempDir(), "other.pem"), t.TempDir()
	if err := os.WriteFile(other, stranger.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string][]string{
		"in_the_file":   {"EVERGATE_UPSTREAM_CA_FILE=" + shop.caFile, "SSL_CERT_FILE=" + other},
		"in_the_system": {"EVERGATE_UPSTREAM_CA_FILE=" + other, "SSL_CERT_FILE=" + shop.caFile},
		"no_file":       {"EVERGATE_UPSTREAM_CA_FILE=", "SSL_CERT_FILE=" + shop.caFile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shop.readySidecar(t, append(settings, "SSL_CERT_DIR="+none)...)
			mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
		})
	}
	t.Run("nowhere", func(t *testing.T) {
		t.Parallel()
		s := shop.sidecar(t, "EVERGATE_UPSTREAM_CA_FILE="+other, "SSL_CERT_FILE="+other, "SSL_CERT_DIR="+none, "EVERGATE_TOKEN_WAIT=500ms")
		mustBeOwn(t, s.get(t, "/shop.json"), http.StatusServiceUnavailable, "no_token")
	})
}

package fleet

import (
	"net/http"
	"path/filepath"
	"testing"

	"evergate/internal/shopsim"
)

func TestReadinessOfOneShop(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Settings{}, []string{"acme"})
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, shopsFile([]string{"acme", "uninstalled"}, ""))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file)
	if a := c.call(t, "acme"); !a.isOf("acme") {
		t.Fatal(a)
	}
	for _, tc := range []struct {
		query, code string
		status      int
	}{
		{"", "", http.StatusOK},
		{"?shop=acme", "", http.StatusOK},
		{"?shop=ACME.myshopify.com", "", http.StatusOK},
		{"?shop=uninstalled", "no_token", http.StatusServiceUnavailable},
		{"?shop=delta", "unknown_shop", http.StatusNotFound},
		{"?shop=", "unknown_shop", http.StatusNotFound},
	} {
		for _, path := range []string{"/readyz", "/startupz"} {
			a, err := c.get(t.Context(), c.admin+path+tc.query, "")
			if err != nil || a.status != tc.status || a.code != tc.code {
				t.Errorf("%s%s: %s, %v; want %d %q", path, tc.query, a, err, tc.status, tc.code)
			}
		}
	}
}

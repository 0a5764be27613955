package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// A tool that reads the file at any moment, and calls Shopify by itself, is never refused: over several lives of a token.
func TestTheTokenFileIsGoodAtEveryMoment(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: shopsim.Settings{TokenLife: 3 * time.Second}})
	file := filepath.Join(t.TempDir(), "token")
	s := shop.readySidecar(t, "EVERGATE_TOKEN_FILE="+file)
	seen := map[string]bool{}
	calls := 0
	process.Eventually(t, func() error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		seen[string(text)] = true
		calls++
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+shopsim.DefaultShop+api+"/shop.json", http.NoBody)
		req.Header.Set("X-Shopify-Access-Token", string(text))
		answer := httptest.NewRecorder()
		shop.Handler().ServeHTTP(answer, req)
		if answer.Code != http.StatusOK && answer.Code != http.StatusTooManyRequests { // many calls are no lack of a token
			t.Fatalf("call %d with the token from the file: %d", calls, answer.Code)
		}
		if len(seen) < 4 {
			return fmt.Errorf("%d tokens so far", len(seen))
		}
		return nil
	})
	for text := range seen {
		if strings.Contains(s.Err.String(), text) {
			t.Error("a token is in the log")
		}
	}
}

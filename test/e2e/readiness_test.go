package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evergate/test/process"
)

// static starts a sidecar with a token that cannot be replaced.
func (s *shopify) static(t *testing.T) *sidecar {
	t.Helper()
	return s.readySidecar(t, "SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_ACCESS_TOKEN="+s.IssueToken("", "", 0))
}

func TestAPathThatAlwaysAnswers401SaysNothingAboutTheToken(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0), around: refusing(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/closed.json") })})
	s := shop.static(t)
	for range 3 {
		mustStatus(t, s.get(t, "/closed.json"), http.StatusUnauthorized)
	}
	s.AwaitLog(t, "calls are answered with 401 though Shopify accepts the token: see what is called, and what the app may do there")
	for range 3 {
		mustStatus(t, s.get(t, "/closed.json"), http.StatusUnauthorized)
	}
	mustStatus(t, s.ask(t, "/readyz"), http.StatusOK)
	if got := s.metric(t, "evergate_token_usable"); got != 1 {
		t.Errorf("evergate_token_usable is %g", got)
	}
}

// TestADeadTokenThatComesAliveIsNoticedWithoutACall is what a pod needs that was taken out of its Service.
func TestADeadTokenThatComesAliveIsNoticedWithoutACall(t *testing.T) {
	t.Parallel()
	var dead atomic.Bool
	shop := newShopify(t, shopOptions{Settings: wide(0), around: refusing(func(*http.Request) bool { return dead.Load() })})
	s := shop.static(t)
	dead.Store(true)
	for range 3 {
		mustStatus(t, s.get(t, "/shop.json"), http.StatusUnauthorized)
	}
	s.awaitStatus(t, "/readyz", http.StatusServiceUnavailable)
	if got := s.metric(t, "evergate_token_usable"); got != 0 {
		t.Errorf("evergate_token_usable is %g of a dead token", got)
	}
	dead.Store(false)
	process.EventuallyWithin(t, 2*time.Minute, time.Second, func() error { // it asks each half minute, up to twice that while the token is dead
		if a := s.ask(t, "/readyz"); a.status != http.StatusOK {
			return fmt.Errorf("/readyz: %s", a)
		}
		return nil
	})
	if got := s.metric(t, "evergate_token_usable"); got != 1 {
		t.Errorf("evergate_token_usable is %g", got)
	}
}

// refusing answers some calls with 401 in Shopify's place.
func refusing(refused func(*http.Request) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !refused(r) {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, `{"errors":"[API] Invalid API key or access token (unrecognized login or wrong password)"}`)
		})
	}
}

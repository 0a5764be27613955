package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// lampRequests creates a product in both ways that a client can send a body.
func lampRequests() map[string]string {
	const lamp, post = `{"product":{"title":"Lamp"}}`, "POST " + api + "/products.json HTTP/1.1\r\nHost: localhost\r\n"
	return map[string]string{
		"known":   fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(lamp), lamp),
		"chunked": fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", post, lamp[:5], len(lamp)-5, lamp[5:]),
	}
}

func TestRefusedTokenIsReplacedAndTheRequestSentAgain(t *testing.T) {
	t.Parallel()
	requests := lampRequests()
	requests["get"] = "GET " + api + "/products.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newShopify(t, shopOptions{Settings: wide(0)})
			s := shop.readySidecar(t)
			shop.RevokeTokens("")
			if a := s.raw(t, request); a.status/100 != 2 {
				t.Fatalf("got %s", a)
			}
			if n := shop.answered(http.StatusUnauthorized); n != 1 {
				t.Errorf("Shopify answered %d requests with 401", n)
			}
			if n := shop.Stats().TokenPosts; n != 2 {
				t.Errorf("%d token POSTs", n)
			}
			if n := s.metric(t, "evergate_replays_total", `reason="401"`); n != 1 {
				t.Errorf("evergate_replays_total is %g", n)
			}
			if name != "get" {
				s.mustCount(t, 1)
			}
		})
	}
}

// mustCount fails unless the shop has this many products.
func (s *sidecar) mustCount(t *testing.T, products int) {
	t.Helper()
	if a := s.get(t, "/products/count.json"); a.body != fmt.Sprintf(`{"count":%d}`, products) {
		t.Errorf("want %d products, got %s", products, a)
	}
}

func TestManyRefusedRequestsShareOneRenewal(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0)})
	s := shop.readySidecar(t)
	shop.RevokeTokens("")
	var all sync.WaitGroup
	for id := range 20 {
		client := newClient(t, "", "")
		all.Go(func() {
			if err := callOf(id, id).make(t.Context(), client, s.url); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := shop.Stats().TokenPosts; n != 2 {
		t.Errorf("%d token POSTs", n)
	}
}

func TestBodyTooLargeToKeepGetsThe401(t *testing.T) {
	t.Parallel()
	long := `{"product":{"title":"Lamp","body_html":"` + strings.Repeat("x", 4<<10) + `"}}`
	for name, framed := range map[string]string{
		"known":   fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(long), long),
		"chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(long), long),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newShopify(t, shopOptions{Settings: wide(0)})
			s := shop.readySidecar(t, "EVERGATE_REPLAY_BUFFER=1KiB")
			shop.RevokeTokens("")
			request := "POST " + api + "/products.json HTTP/1.1\r\nHost: localhost\r\n" + framed
			a := s.raw(t, request)
			mustStatus(t, a, http.StatusUnauthorized)
			if a.header.Get("X-Evergate-Error") != "" || !strings.HasPrefix(a.body, `{"errors":"[API] Invalid API key`) {
				t.Errorf("not Shopify's own 401: %s", a)
			}
			mustStatus(t, s.raw(t, request), http.StatusCreated) // the token is a new one
			s.mustCount(t, 1)
		})
	}
}

func TestSecond401IsPassedOn(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0)})
	s := shop.readySidecar(t)
	shop.SetCondition("", shopsim.Unauthorized)
	for range 3 {
		a := s.get(t, "/shop.json")
		mustStatus(t, a, http.StatusUnauthorized)
		if a.header.Get("X-Evergate-Error") != "" || !strings.Contains(a.body, "[API]") {
			t.Errorf("not Shopify's own 401: %s", a)
		}
	}
	if n := shop.Stats().TokenPosts; n != 2 { // the first token and one replacement
		t.Errorf("%d token POSTs", n)
	}
}

func TestPostWhoseConnectionBrokeIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, request := range lampRequests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newShopify(t, shopOptions{Settings: wide(0)})
			s := shop.readySidecar(t)
			shop.Inject(shopsim.Fault{Kind: shopsim.FaultDrop, Endpoint: shopsim.API, AfterCommit: true, Count: 1})
			mustBeOwn(t, s.raw(t, request), http.StatusBadGateway, "upstream_unreachable")
			s.mustCount(t, 1)
		})
	}
}

func TestStaticTokensRefusalIsPassedOn(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0)})
	static := shop.IssueToken("", "", 0)
	s := shop.readySidecar(t, "SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_ACCESS_TOKEN="+static)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	shop.RevokeTokens(static)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusUnauthorized)
	if got := s.metric(t, "evergate_token_usable"); got != 1 {
		t.Errorf("evergate_token_usable is %g after one refusal", got)
	}
	mustStatus(t, s.get(t, "/shop.json"), http.StatusUnauthorized)
	process.Eventually(t, func() error { // after the second it asks Shopify, which says that it is dead
		if got := s.metric(t, "evergate_token_usable"); got != 0 {
			return fmt.Errorf("evergate_token_usable is %g", got)
		}
		return nil
	})
	if n := shop.Stats().TokenPosts; n != 0 {
		t.Errorf("%d token POSTs", n)
	}
}

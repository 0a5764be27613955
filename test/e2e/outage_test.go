package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

func TestShortOutageOfTheTokenEndpointHarmsNoRequest(t *testing.T) {
	t.Parallel()
	const life = 4 * time.Second
	const outage = 3 // attempts that fail; their back-off is short because the tokens are
	for name, fault := range map[string]shopsim.Fault{
		"520":                 {Kind: shopsim.FaultStatus, Status: 520},
		"503_page":            {Kind: shopsim.FaultStatus, Status: http.StatusServiceUnavailable},
		"reset_before_commit": {Kind: shopsim.FaultDrop},
		"reset_after_commit":  {Kind: shopsim.FaultDrop, AfterCommit: true},
		"empty_200":           {Kind: shopsim.FaultEmpty},
		"web_page_200":        {Kind: shopsim.FaultHTML},
		"truncated_json":      {Kind: shopsim.FaultTruncate},
		"broken_off":          {Kind: shopsim.FaultCut},
		"429":                 {Kind: shopsim.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: "0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			machine := watchMachine(t)
			shop := newShopify(t, shopOptions{Settings: wide(life)})
			s := shop.readySidecar(t)
			fault.Endpoint, fault.Count = shopsim.TokenEndpoint, outage
			shop.Inject(fault)

			stop := startHammer(t, s, 4)
			s.awaitRenewal(t)
			s.awaitRenewal(t)
			if n := stop(); n < 10 {
				t.Errorf("only %d requests came to their end", n)
			}
			if n := s.metric(t, "evergate_refreshes_total", `result="transient"`); n != outage {
				t.Errorf("%g attempts ended as transient, want %d", n, outage)
			}
			machine.mustKnowEveryToken(t, shop, life)
		})
	}
}

func TestLongOutageIsAnsweredWith503AndEndsByItself(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(2 * time.Second)})
	s := shop.readySidecar(t, "EVERGATE_TOKEN_WAIT=200ms")
	shop.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Endpoint: shopsim.TokenEndpoint, Status: http.StatusServiceUnavailable})

	s.awaitStatus(t, "/readyz", http.StatusServiceUnavailable)
	for range 3 {
		refused := s.get(t, "/shop.json")
		mustBeOwn(t, refused, http.StatusServiceUnavailable, "no_token")
		if after := refused.header.Get("Retry-After"); !wholeSeconds.MatchString(after) {
			t.Errorf("Retry-After: %q is not a whole number of seconds", after)
		}
	}
	mustStatus(t, s.ask(t, "/livez"), http.StatusOK)
	mustStatus(t, s.ask(t, "/startupz"), http.StatusOK) // it did start
	if usable := s.metric(t, "evergate_token_usable"); usable != 0 {
		t.Errorf("evergate_token_usable is %g", usable)
	}

	shop.ClearFaults()
	s.awaitReady(t)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	if n := shop.answered(http.StatusUnauthorized); n != 0 {
		t.Errorf("an expired token was sent %d times", n)
	}
}

func TestRetryAfterOfTheTokenEndpointIsHonoured(t *testing.T) {
	t.Parallel()
	const asked = 2
	shop := newShopify(t, shopOptions{})
	shop.Inject(shopsim.Fault{
		Kind: shopsim.FaultStatus, Endpoint: shopsim.TokenEndpoint, Status: http.StatusTooManyRequests, RetryAfter: strconv.Itoa(asked), Count: 1,
	})
	s := shop.sidecar(t)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK) // it waits, and so does its caller
	var posts []time.Time
	for _, e := range shop.Journal() {
		if e.Route == "token" {
			posts = append(posts, e.Time)
		}
	}
	if len(posts) != 2 {
		t.Fatalf("%d token POSTs, want 2", len(posts))
	}
	if gap := posts[1].Sub(posts[0]); gap < asked*time.Second {
		t.Errorf("the second attempt came %s after the first", gap)
	}
}

func TestUnreachableShopifyIsSaidSo(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopOptions{}).sidecar(t, "EVERGATE_UPSTREAM_URL=https://127.0.0.1:1", "EVERGATE_TOKEN_WAIT=300ms")
	mustBeOwn(t, s.get(t, "/shop.json"), http.StatusServiceUnavailable, "no_token")
	mustStatus(t, s.ask(t, "/livez"), http.StatusOK)
}

func TestUpstreamWithAForeignCertificateGetsNoSecret(t *testing.T) {
	t.Parallel()
	shop, other := newShopify(t, shopOptions{}), newShopify(t, shopOptions{})
	s := shop.sidecar(t, "EVERGATE_UPSTREAM_CA_FILE="+other.caFile, "EVERGATE_TOKEN_WAIT=300ms")
	mustBeOwn(t, s.get(t, "/shop.json"), http.StatusServiceUnavailable, "no_token")
	if n := shop.Stats().Requests; n != 0 {
		t.Errorf("a server that could not prove its name got %d requests", n)
	}
}

func TestSilentUpstreamIsA504(t *testing.T) {
	t.Parallel()
	silent := newGate(isAPICall)
	s := newShopify(t, shopOptions{around: silent.around}).readySidecar(t, "EVERGATE_UPSTREAM_TIMEOUT=300ms")
	mustBeOwn(t, s.get(t, "/shop.json"), http.StatusGatewayTimeout, "upstream_timeout")
}

func TestTokenThatEndedOnItsWayIsReplacedByTheNext(t *testing.T) {
	t.Parallel()
	hold := newGate(isAPICall)
	shop := newShopify(t, shopOptions{Settings: wide(2 * time.Second), around: hold.around})
	s := shop.readySidecar(t)
	slow := s.later(t, "/shop.json")
	hold.awaitOne(t)
	shop.Inject(shopsim.Fault{
		Kind: shopsim.FaultStatus, Endpoint: shopsim.TokenEndpoint, Status: http.StatusServiceUnavailable, RetryAfter: "3", Count: 1,
	})
	s.awaitStatus(t, "/readyz", http.StatusServiceUnavailable)
	process.Eventually(t, func() error { // Shopify counts a token's life from a little later
		if alive := shop.Stats().TokensAlive; alive > 0 {
			return fmt.Errorf("%d tokens alive", alive)
		}
		return nil
	})
	hold.open() // Shopify now judges a token that was good when it was sent
	got := process.Await(t, "the answer", slow)
	if got.err != nil || got.status != http.StatusOK {
		t.Errorf("a request that came a moment later would wait for the next token; this one got %v, %v", got.answer, got.err)
	}
}

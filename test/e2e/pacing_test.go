package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const listProducts = `{"query":"{ products(first: 50) { nodes { id title handle } } }"}`

// Through the real binary: more is asked for than Shopify gives, and no caller sees a 429.
func TestNoToolIsThrottledWhileAnotherSpendsTheRateLimit(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{products: 60})
	s := shop.readySidecar(t)
	s.client.Timeout = time.Minute
	// There is room for 40 calls and for 2000 points, which is not enough for fifty of each.
	began := time.Now()
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			for range 5 {
				if a := s.get(t, "/shop.json"); a.status != http.StatusOK {
					t.Errorf("REST: %v", a)
				}
				if a := s.post(t, "/graphql.json", listProducts); a.status != http.StatusOK || !strings.Contains(a.body, `"data"`) {
					t.Errorf("GraphQL: %v", a)
				}
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	if took < 4*time.Second {
		t.Errorf("50 calls to each took %s: nothing was waited for", took)
	}
	if n := s.metric(t, "evergate_pace_wait_seconds_count"); n < 5 {
		t.Errorf("%g requests waited", n)
	}
	if capacity := s.metric(t, "evergate_bucket_capacity", `api="graphql"`); capacity != 2000 {
		t.Errorf("the GraphQL bucket is said to hold %g points", capacity)
	}
	// The first queries are sent before anything is known of the bucket or the query's cost.
	t.Logf("took %s; Shopify refused %g and %g", took.Round(time.Second),
		s.metric(t, "evergate_throttled_total", `api="rest"`), s.metric(t, "evergate_throttled_total", `api="graphql"`))
}

func TestWithPacingOffTheRefusalIsShopifysOwn(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	s := shop.readySidecar(t, "EVERGATE_PACE=off")
	shop.DrainBuckets("", "")
	a := s.get(t, "/shop.json")
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "2.0" || a.header.Get("X-Evergate-Error") != "" {
		t.Errorf("%v with Retry-After %q", a, a.header.Get("Retry-After"))
	}
	var last answer
	for range 10 { // a bucket has room for this call half a second after it was empty, which a slow machine may take
		shop.DrainBuckets("", "")
		if last = s.post(t, "/graphql.json", listProducts); strings.Contains(last.body, `"THROTTLED"`) {
			break
		}
	}
	if last.status != http.StatusOK || !strings.Contains(last.body, `"THROTTLED"`) {
		t.Errorf("%v", last)
	}
}

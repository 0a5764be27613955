//go:build linux

package attack

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"evergate/test/process"
)

// newFullShopify says with each answer that the bucket of REST is full, so that two calls fit in each second.
func newFullShopify(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == refused {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("X-Shopify-Shop-Api-Call-Limit", "40/40")
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(s.Close)
	return s
}

// refused is a path that Shopify refuses for another reason than the bucket.
const refused = api + "variants.json"

// TestPlacesThatWaitForTheRateLimit has strangers whose requests all wait for the rate limit, three times as many as there are places,
// beside a caller with a key who connects for each call.
func TestPlacesThatWaitForTheRateLimit(t *testing.T) {
	for _, c := range []struct {
		name, path string
		stay       bool
	}{{"who-wait", api + "shop.json", true}, {"who-come-again", api + "shop.json", false}, {"who-are-refused", refused, false}} {
		ask := func(s *sidecar, ctx context.Context, sent *atomic.Int64) {
			s.stranger(ctx, nil, func(conn net.Conn) {
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				sent.Add(1)
				_ = request(conn, "GET "+c.path+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
				if c.stay {
					<-ctx.Done()
				}
			})
		}
		t.Run(c.name, func(t *testing.T) {
			s := start(t, 256, "EVERGATE_UPSTREAM_URL="+newFullShopify(t).URL, "EVERGATE_PACE=on", "EVERGATE_PACE_MAX_WAIT=60s",
				"EVERGATE_CLIENT_KEYS_FILE="+keysFile(t))
			s.mustAnswer(t, http.MethodGet, api+"shop.json", "") // from now on it knows that the bucket is full
			var sent atomic.Int64
			s.keepOn(t, 300, func(ctx context.Context) { ask(s, ctx, &sent) })
			s.awaitCrowd(t)
			began, slowest := time.Now(), time.Duration(0)
			for range 2 * rounds {
				sent := time.Now()
				s.mustAnswer(t, http.MethodGet, api+"shop.json", "")
				slowest = max(slowest, time.Since(sent))
			}
			t.Logf("%d calls in %s, the slowest in %s, beside %d of strangers", 2*rounds, time.Since(began), slowest, sent.Load())
			if took := time.Since(began); took > 2*rounds*2*time.Second {
				t.Errorf("a call takes %s, and two fit in each second", took/(2*rounds))
			}
			s.mustHoldLittle(t, 256)
		})
	}
}

// awaitCrowd returns when requests wait for the rate limit in nearly every place.
func (s *sidecar) awaitCrowd(t *testing.T) {
	t.Helper()
	for ctx := t.Context(); ; {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/metrics", s.admin), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Timeout: answered}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		scrape, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := process.Metric(string(scrape), "evergate_connections"); n >= 90 {
			return
		}
	}
}

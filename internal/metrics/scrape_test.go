package metrics

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"evergate/internal/shopify"
)

// manyShops is a registry in which every metric of so many shops is published.
func manyShops(shops int) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	m := New(reg, "", "", "")
	now := time.Now()
	m.RegisterTokens(reg, func() (all []TokenState) {
		for i := range shops {
			all = append(all, TokenState{Shop: shopNo(i), Present: true, Usable: true, Age: time.Minute, Issued: now, Expires: now, RefreshExpires: now})
		}
		return all
	})
	m.RegisterBuckets(reg, func() (all []BucketState) {
		for i := range shops {
			all = append(all, BucketState{Shop: shopNo(i), API: "rest", Capacity: 40, Available: 40}, BucketState{Shop: shopNo(i), API: "graphql", Capacity: 2000, Available: 2000})
		}
		return all
	})
	for i := range shops {
		for n := range 20 {
			m.Refreshed(shopNo(i), "offline", "ok", time.Duration(n+1)*50*time.Millisecond)
		}
	}
	for r := range shopify.RouteCount {
		m.UpstreamAnswered(shopify.Route(r), time.Millisecond)
		m.RequestDone(shopify.Route(r), "GET", 200, time.Millisecond)
	}
	return reg
}

// formats are what a scraper may ask for.
var formats = map[string]string{
	"text":        "text/plain;version=0.0.4",
	"openmetrics": "application/openmetrics-text;version=1.0.0",
	"protobuf":    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
}

type discard struct{ http.ResponseWriter }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func scraper(reg prometheus.Gatherer, accept string) func() {
	h := promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	return func() { h.ServeHTTP(discard{httptest.NewRecorder()}, r) }
}

// A scrape's work must grow with the number of shops and no faster. Time is judged by the
// benchmark; allocations are the same on every machine. Not parallel: they are everybody's.
func TestScrapeCostsTheSameForEveryShop(t *testing.T) {
	const few, many, mostPerShop = 30, 300, 150
	smallOne, largeOne := manyShops(few), manyShops(many)
	for name, accept := range formats {
		small := testing.AllocsPerRun(1, scraper(smallOne, accept))
		large := testing.AllocsPerRun(1, scraper(largeOne, accept))
		if perShop := (large - small) / (many - few); perShop > mostPerShop || large/small > many/few {
			t.Errorf("%s: %v allocations for %d shops, %v for %d, %v for each", name, small, few, large, many, perShop)
		}
	}
}

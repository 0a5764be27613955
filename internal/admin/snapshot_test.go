package admin

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/metrics"
	"evergate/internal/shopify"
)

// The page reads by name what the metrics publish. A metric that is renamed, or changes its
// type or a label, would leave a gap that nobody notices.
func TestThePageReadsWhatTheMetricsPublish(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := metrics.New(reg, "1.2.3", "none", "go")
	m.RegisterBuckets(reg, func() []metrics.BucketState {
		return []metrics.BucketState{
			{Shop: "acme.myshopify.com", API: "rest", Capacity: 40, Available: 12},
			{Shop: "acme.myshopify.com", API: "graphql", Capacity: 2000, Available: 700},
		}
	})
	route := shopify.RouteOf("/admin/api/2026-10/products.json")
	for _, status := range []int{200, 502, 429} {
		m.RequestStarted()
		m.RequestDone(route, "GET", status, time.Millisecond)
	}
	m.Waited(time.Second)
	m.APIAnswered(shopify.ParseVersion("2026-10"), "2026-10")

	s := takeSnapshot(reg)
	if s.requests != 3 || s.failed != 2 || s.waited != 1 {
		t.Errorf("%v requests, %v failed, %v waited", s.requests, s.failed, s.waited)
	}
	if len(s.buckets) != 2 || s.buckets[0] != (bucketView{"rest", 12, 40}) || s.buckets[1] != (bucketView{"graphql", 700, 2000}) {
		t.Errorf("buckets: %+v", s.buckets)
	}
	retires, known := shopify.ParseVersion("2026-10").Retires()
	if len(s.versions) != 1 || s.versions[0].Version != "2026-10" || s.versions[0].Calls != 1 || !known || !s.versions[0].Retires.Equal(retires) {
		t.Errorf("versions: %+v, want the end %v", s.versions, retires)
	}
}

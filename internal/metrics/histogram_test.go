package metrics

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"evergate/internal/shopify"
)

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"

// histograms are the families of that type.
func histograms(t *testing.T, reg prometheus.Gatherer) (all []*dto.MetricFamily) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetType() == dto.MetricType_HISTOGRAM {
			all = append(all, f)
		}
	}
	return all
}

func TestEveryHistogramHasClassicAndNativeBuckets(t *testing.T) {
	t.Parallel()
	all := histograms(t, used(t))
	if len(all) != 4 {
		t.Errorf("%d histograms", len(all))
	}
	for _, f := range all {
		h := f.GetMetric()[0].GetHistogram()
		if len(h.GetBucket()) < 8 || len(h.GetPositiveSpan()) == 0 {
			t.Errorf("%s: %d classic buckets, %d spans of native ones", f.GetName(), len(h.GetBucket()), len(h.GetPositiveSpan()))
		}
		if factor := math.Exp2(math.Exp2(-float64(h.GetSchema()))); factor > nativeFactor {
			t.Errorf("%s: native buckets grow by %v", f.GetName(), factor)
		}
	}
}

// Latencies of every size must neither grow the histogram for ever nor lose an observation.
func TestNativeBucketsAreBounded(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	const n = 10_000
	for i := range n {
		m.UpstreamAnswered(shopify.RouteGraphQL, time.Duration(math.Exp(float64(i)/n*math.Log(math.MaxInt64))))
	}
	for _, f := range histograms(t, reg) {
		for _, metric := range f.GetMetric() {
			h := metric.GetHistogram()
			buckets := 0
			for _, span := range h.GetPositiveSpan() {
				buckets += int(span.GetLength())
			}
			if f.GetName() == "evergate_upstream_duration_seconds" && (buckets == 0 || buckets > 2*nativeBuckets || h.GetSampleCount() != n) {
				t.Errorf("%d native buckets, %d observations", buckets, h.GetSampleCount())
			}
		}
	}
}

// Everything from a tenth of a millisecond to Shopify's own limit fits without a loss of
// precision.
func TestUsualLatenciesFitIntoTheNativeBuckets(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	for d := 100 * time.Microsecond; d < 120*time.Second; d += d / 20 {
		m.UpstreamAnswered(shopify.RouteGraphQL, d)
	}
	for _, f := range histograms(t, reg) {
		for _, metric := range f.GetMetric() {
			if h := metric.GetHistogram(); h.GetSampleCount() > 0 && h.GetSchema() != 3 {
				t.Errorf("%s: schema %d", f.GetName(), h.GetSchema())
			}
		}
	}
}

// exemplars are the traces that any bucket of a histogram names.
func exemplars(t *testing.T, reg prometheus.Gatherer, name string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, f := range histograms(t, reg) {
		if f.GetName() != name {
			continue
		}
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			for _, l := range b.GetExemplar().GetLabel() {
				found[l.GetName()+"="+l.GetValue()] = true
			}
		}
	}
	return found
}

func TestTracedRequestIsAnExemplar(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	m.RequestDoneInTrace(trace, shopify.RouteGraphQL, "POST", 200, time.Second)
	m.UpstreamAnsweredInTrace(trace, shopify.RouteGraphQL, time.Millisecond)
	m.RequestDone(shopify.RouteGraphQL, "POST", 200, 2*time.Second)
	for _, name := range []string{"evergate_request_duration_seconds", "evergate_upstream_duration_seconds"} {
		if got := exemplars(t, reg, name); len(got) != 1 || !got["trace_id="+trace] {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := series(t, reg)[`evergate_request_duration_seconds{route="graphql"}`]; got != 2 {
		t.Errorf("%v requests, want 2", got)
	}
}

// The client library panics on an exemplar that it cannot publish, and so would a request.
func TestWhatIsNoTraceIsNoExemplar(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	bad := []string{"", "x", strings.ToUpper(trace), trace + "0", strings.Repeat("z", 32), strings.Repeat("\xff", 32), strings.Repeat("a", 1000)}
	for _, s := range bad {
		m.RequestDoneInTrace(s, shopify.RouteGraphQL, "POST", 200, time.Second)
	}
	if got := exemplars(t, reg, "evergate_request_duration_seconds"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := series(t, reg)[`evergate_request_duration_seconds{route="graphql"}`]; got != float64(len(bad)) {
		t.Errorf("%v requests, want %d", got, len(bad))
	}
}

package admin

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"evergate/internal/denial"
)

// snapshot is what the page shows of the metrics. Reading it back from what is published
// means that page and metrics cannot disagree.
type snapshot struct {
	requests, failed, waited float64 // since the start
	// noToken are those of the failed that had no token to be sent with; queueFull those that waited in vain
	// for the rate limit, and throttled are Shopify's refusals for it, also those that no tool saw.
	noToken, queueFull, throttled float64
	skew                          time.Duration // Shopify's clock minus ours
	localCA                       time.Time     // when the local CA ends; zero: it has not been used
	buckets                       []bucketView
	versions                      []versionView
	callers                       []callerView
	failures                      []Failure
}

// bucketView is one rate limit.
type bucketView struct {
	API                 string
	Available, Capacity float64
}

// versionView is one version of the Admin API in use.
type versionView struct {
	Version string
	Calls   float64
	Retires time.Time // zero: it is not known to
}

// callerView is who called, and how often.
type callerView struct {
	Name          string
	Calls, Denied float64 // the first has all of them
}

// Low is below which the meter warns.
func (b bucketView) Low() float64 { return b.Capacity / 5 }

// Unit is what the bucket counts.
func (b bucketView) Unit() string {
	if b.API == "rest" {
		return "calls"
	}
	return "points"
}

// Name is how people call the API.
func (b bucketView) Name() string {
	if b.API == "rest" {
		return "REST"
	}
	return "GraphQL"
}

// reading is a snapshot that is being taken.
type reading struct {
	snapshot
	buckets  map[string]*bucketView
	versions map[string]*versionView
	callers  map[string]*callerView
}

// metricsRead are the metrics that a snapshot is made of. A name that is not published loses the page a part of it, so
// a test compares them with those that are.
var metricsRead = map[string]func(*reading, *dto.Metric){
	"evergate_requests_total": func(s *reading, m *dto.Metric) {
		n := m.GetCounter().GetValue()
		s.requests += n
		// A 403 may be Evergate's own refusal: those of Shopify's are added from the failures.
		if status, err := strconv.Atoi(label(m, "code")); err == nil && status != 403 && (Failure{Status: status}).failed() {
			s.failed += n
		}
	},
	"evergate_failed_total": func(s *reading, m *dto.Metric) {
		switch label(m, "reason") {
		case denial.CodeNoToken:
			s.noToken += m.GetCounter().GetValue()
		case denial.CodeRateLimitQueueFull:
			s.queueFull += m.GetCounter().GetValue()
		}
	},
	"evergate_pace_wait_seconds": func(s *reading, m *dto.Metric) { s.waited += float64(m.GetHistogram().GetSampleCount()) },
	"evergate_throttled_total":   func(s *reading, m *dto.Metric) { s.throttled += m.GetCounter().GetValue() },
	"evergate_clock_skew_seconds": func(s *reading, m *dto.Metric) {
		s.skew = time.Duration(m.GetGauge().GetValue() * float64(time.Second))
	},
	"evergate_local_ca_expiry_timestamp_seconds": func(s *reading, m *dto.Metric) {
		s.localCA = time.Unix(int64(m.GetGauge().GetValue()), 0)
	},
	"evergate_bucket_available": func(s *reading, m *dto.Metric) {
		entry(s.buckets, label(m, "api")).Available = m.GetGauge().GetValue()
	},
	"evergate_bucket_capacity": func(s *reading, m *dto.Metric) {
		entry(s.buckets, label(m, "api")).Capacity = m.GetGauge().GetValue()
	},
	"evergate_api_requests_total": func(s *reading, m *dto.Metric) {
		entry(s.versions, label(m, "version")).Calls += m.GetCounter().GetValue()
	},
	"evergate_api_version_retires_timestamp_seconds": func(s *reading, m *dto.Metric) {
		entry(s.versions, label(m, "version")).Retires = time.Unix(int64(m.GetGauge().GetValue()), 0)
	},
	"evergate_caller_requests_total": func(s *reading, m *dto.Metric) {
		who := entry(s.callers, label(m, "caller"))
		who.Calls += m.GetCounter().GetValue()
		if label(m, "outcome") == "denied" {
			who.Denied += m.GetCounter().GetValue()
		}
	},
}

// takeSnapshot leaves out what cannot be read: a page with a gap is better than none. failures may be nil.
func takeSnapshot(g prometheus.Gatherer, failures func() []Failure) snapshot {
	families, _ := g.Gather()
	r := reading{buckets: map[string]*bucketView{}, versions: map[string]*versionView{}, callers: map[string]*callerView{}}
	for _, f := range families {
		if read := metricsRead[f.GetName()]; read != nil {
			for _, m := range f.GetMetric() {
				read(&r, m)
			}
		}
	}
	s := r.snapshot
	// Names and pointers are sorted: sorting slices of structs takes 20 KiB of code for each kind of struct.
	for _, api := range slices.Backward(slices.Sorted(maps.Keys(r.buckets))) {
		b := r.buckets[api]
		b.API = api
		s.buckets = append(s.buckets, *b)
	}
	for _, name := range slices.Sorted(maps.Keys(r.versions)) {
		v := r.versions[name]
		v.Version = name
		s.versions = append(s.versions, *v)
	}
	for name, c := range r.callers {
		c.Name = name
	}
	for _, c := range slices.SortedFunc(maps.Values(r.callers), func(a, b *callerView) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), strings.Compare(a.Name, b.Name))
	}) {
		s.callers = append(s.callers, *c)
	}
	if failures != nil {
		s.failures = failures()
	}
	for _, f := range s.failures {
		if f.Status == 403 && f.failed() {
			s.failed += float64(f.Count)
		}
	}
	return s
}

func entry[T any](m map[string]*T, key string) *T {
	if m[key] == nil {
		m[key] = new(T)
	}
	return m[key]
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// ofShop are the rate limits of one shop; none where no shop is chosen: those of different shops have nothing to do with each other.
func (snapshot) ofShop(g prometheus.Gatherer, shop string) (all []bucketView) {
	if shop == "" {
		return nil
	}
	families, _ := g.Gather()
	buckets := map[string]*bucketView{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch value := m.GetGauge().GetValue(); {
			case label(m, "shop") != shop:
			case f.GetName() == "evergate_bucket_available":
				entry(buckets, label(m, "api")).Available = value
			case f.GetName() == "evergate_bucket_capacity":
				entry(buckets, label(m, "api")).Capacity = value
			}
		}
	}
	for _, api := range slices.Backward(slices.Sorted(maps.Keys(buckets))) {
		buckets[api].API = api
		all = append(all, *buckets[api])
	}
	return all
}

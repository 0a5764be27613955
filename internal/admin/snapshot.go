package admin

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// snapshot is what the page shows of the metrics. Reading it back from what is published
// means that page and metrics cannot disagree.
type snapshot struct {
	requests, failed, waited float64 // since the start
	buckets                  []bucketView
	versions                 []versionView
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

// takeSnapshot leaves out what cannot be read: a page with a gap is better than none.
func takeSnapshot(g prometheus.Gatherer) snapshot {
	families, _ := g.Gather()
	var s snapshot
	buckets, versions := map[string]*bucketView{}, map[string]*versionView{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "evergate_requests_total":
				s.requests += m.GetCounter().GetValue()
				if code := label(m, "code"); strings.HasPrefix(code, "5") || code == "429" || code == "401" {
					s.failed += m.GetCounter().GetValue()
				}
			case "evergate_pace_wait_seconds":
				s.waited += float64(m.GetHistogram().GetSampleCount())
			case "evergate_bucket_available":
				entry(buckets, label(m, "api")).Available = m.GetGauge().GetValue()
			case "evergate_bucket_capacity":
				entry(buckets, label(m, "api")).Capacity = m.GetGauge().GetValue()
			case "evergate_api_requests_total":
				entry(versions, label(m, "version")).Calls += m.GetCounter().GetValue()
			case "evergate_api_version_retires_timestamp_seconds":
				entry(versions, label(m, "version")).Retires = time.Unix(int64(m.GetGauge().GetValue()), 0)
			}
		}
	}
	for api, b := range buckets {
		b.API = api
		s.buckets = append(s.buckets, *b)
	}
	for name, v := range versions {
		v.Version = name
		s.versions = append(s.versions, *v)
	}
	slices.SortFunc(s.buckets, func(a, b bucketView) int { return strings.Compare(b.API, a.API) })
	slices.SortFunc(s.versions, func(a, b versionView) int { return strings.Compare(a.Version, b.Version) })
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

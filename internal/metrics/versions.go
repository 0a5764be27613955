package metrics

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/shopify"
)

const (
	// inUseFor is how long after its last request a version counts as in use. A job that runs
	// once a day is always seen, and a tool that has moved on is not reproached for long.
	inUseFor = 24 * time.Hour
	// maxServed is how many versions are told apart among those that answered for one.
	// Shopify falls forward to the oldest that it still serves, which is another one each
	// quarter.
	maxServed = 4
)

var (
	apiRequests = prometheus.NewDesc("evergate_api_requests_total",
		"Answers of Shopify's, by the API version that was asked for and the one that served it.", []string{"version", "served"}, nil)
	apiRetires = prometheus.NewDesc("evergate_api_version_retires_timestamp_seconds",
		"When Shopify may stop serving a version that was asked for in the last 24 hours, in Unix seconds; earlier if it was seen to serve another one instead.",
		[]string{"version"}, nil)
)

// versions counts answers by version: the requests write, a scrape reads. It implements
// prometheus.Collector.
type versions struct {
	series [shopify.VersionCount]versionSeries

	mu   sync.Mutex // of what scrapes remember
	last [shopify.VersionCount]struct {
		answers uint64
		seen    time.Time // when there were last more answers than at the look before
	}
}

// versionSeries are the answers to requests for one version.
type versionSeries struct {
	served [maxServed]atomic.Pointer[servedCount]
	rest   atomic.Uint64 // by further versions
}

// servedCount is how often one version answered for another.
type servedCount struct {
	by    shopify.Version
	first time.Time
	n     atomic.Uint64
}

// answered counts an answer to a request for v. It takes no lock, and allocates only for the
// first answer that by gave for v.
func (s *versions) answered(v, by shopify.Version) {
	series := &s.series[v]
	for i := range series.served {
		c := series.served[i].Load()
		if c == nil {
			series.served[i].CompareAndSwap(nil, &servedCount{by: by, first: time.Now()})
			c = series.served[i].Load()
		}
		if c.by == by {
			c.n.Add(1)
			return
		}
	}
	series.rest.Add(1)
}

// VersionUse is what is known about an API version that was asked for.
type VersionUse struct {
	Version string
	// Answers are Shopify's, by the version that served them.
	Answers map[string]uint64
	// InUse says that it was asked for in the last 24 hours.
	InUse bool
	// Retires is when Shopify may stop serving it, or was first seen not to; zero if there is
	// no such date.
	Retires time.Time
}

// look returns the versions that were asked for since the start.
func (s *versions) look() (all []VersionUse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for v := range s.series {
		use, answers := s.series[v].use(shopify.Version(v))
		if answers == 0 {
			continue
		}
		last := &s.last[v]
		if answers != last.answers {
			last.answers, last.seen = answers, now
		}
		use.InUse = now.Sub(last.seen) < inUseFor
		all = append(all, use)
	}
	return all
}

func (s *versionSeries) use(v shopify.Version) (use VersionUse, answers uint64) {
	use = VersionUse{Version: v.String(), Answers: map[string]uint64{}}
	dated := false
	use.Retires, dated = v.Retires()
	for i := range s.served {
		c := s.served[i].Load()
		if c == nil {
			break
		}
		n := c.n.Load()
		use.Answers[c.by.String()] += n
		answers += n
		if dated && c.by > v && c.first.Before(use.Retires) {
			use.Retires = c.first // Shopify fell forward: it is gone already
		}
	}
	if n := s.rest.Load(); n > 0 {
		use.Answers[shopify.VersionOther.String()] += n
		answers += n
	}
	return use, answers
}

// Describe implements prometheus.Collector.
func (*versions) Describe(ch chan<- *prometheus.Desc) {
	ch <- apiRequests
	ch <- apiRetires
}

// Collect implements prometheus.Collector.
func (s *versions) Collect(ch chan<- prometheus.Metric) {
	for _, use := range s.look() {
		for served, n := range use.Answers {
			ch <- prometheus.MustNewConstMetric(apiRequests, prometheus.CounterValue, float64(n), use.Version, served)
		}
		if use.InUse && !use.Retires.IsZero() {
			ch <- prometheus.MustNewConstMetric(apiRetires, prometheus.GaugeValue, unix(use.Retires), use.Version)
		}
	}
}

// APIAnswered counts an answer of Shopify's. served is what it names as the version that
// served it; empty if it names none.
func (m *Metrics) APIAnswered(v shopify.Version, served string) {
	m.versions.answered(v, shopify.ParseVersion(served))
}

// Versions returns what is known about every API version that was asked for since the start.
func (m *Metrics) Versions() []VersionUse { return m.versions.look() }

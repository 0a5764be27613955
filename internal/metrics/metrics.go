// Package metrics is every number Evergate publishes, in one struct built from a Registerer.
//
// Invariants: names and labels are API and are held by a golden file; every label's
// values come from a closed list or from the configuration, never from a request, and no
// more than MaxShops shops are told apart; the methods called for each request are free of
// locks and of allocation once a series exists, and a native histogram the bucket in it.
package metrics

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"evergate/internal/shopify"
)

// Metrics holds every instrument. Its methods are safe for concurrent use.
type Metrics struct {
	refreshes       *prometheus.CounterVec
	refreshDuration *prometheus.HistogramVec
	clockSkew       prometheus.Gauge
	chainAlarms     *prometheus.CounterVec

	requests           *prometheus.CounterVec
	replays            *prometheus.CounterVec
	denied, failed     *prometheus.CounterVec
	deprecated         *prometheus.CounterVec
	duration, upstream *prometheus.HistogramVec
	callers            *callers
	paceWait           prometheus.Histogram
	throttled          *prometheus.CounterVec

	inFlight atomic.Int64
	routes   []routeSeries
	versions *versions
	shops    shopLabels
}

// routeSeries are the series of one route, looked up once and kept: a lookup by label
// takes a read lock that all requests would share. A series is made when it is first
// needed, so that routes nobody calls cost neither memory nor lines in a scrape.
type routeSeries struct {
	duration, upstream kept[prometheus.Observer]
	deprecated         kept[prometheus.Counter]
	unsuccessful       atomic.Pointer[answerKinds]
	requests           []atomic.Pointer[[maxStatus]kept[prometheus.Counter]] // by method, then status
}

// kept remembers the result of a lookup. Two goroutines may both look up; they get the same series.
type kept[T any] struct{ v atomic.Pointer[T] }

func (k *kept[T]) get(lookUp func() T) T {
	if v := k.v.Load(); v != nil {
		return *v
	}
	v := lookUp()
	k.v.Store(&v)
	return v
}

// maxStatus is one above the highest HTTP status; Shopify's own reach 783.
const maxStatus = 1000

// New registers every instrument with reg. version, commit and goVersion become the
// labels of evergate_build_info.
func New(reg prometheus.Registerer, version, commit, goVersion string) *Metrics {
	f := promauto.With(reg)
	f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "evergate_build_info", Help: "1, labelled with the version, the commit and the Go version of this binary.",
	}, []string{"version", "commit", "goversion"}).WithLabelValues(version, commit, goVersion).Set(1)

	m := &Metrics{
		refreshes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "evergate_refreshes_total",
			Help: "Attempts to obtain a token, the first one included, by grant and by result: ok, transient, config or reauthorize.",
		}, []string{"shop", "grant", "result"}),
		refreshDuration: f.NewHistogramVec(histogram("evergate_refresh_duration_seconds", "How long an attempt to obtain a token took.", refreshBuckets),
			[]string{"shop"}),
		clockSkew: f.NewGauge(prometheus.GaugeOpts{
			Name: "evergate_clock_skew_seconds", Help: "Shopify's clock minus ours, as of the last answer of the token endpoint; good to about a second.",
		}),
		chainAlarms: f.NewCounterVec(prometheus.CounterOpts{
			Name: "evergate_chain_alarms_total", Help: "What was found wrong with chains of refresh tokens, by reason: spent_elsewhere, none_honoured or rolled_back; the log names the shop.",
		}, []string{"reason"}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "evergate_requests_total", Help: "Requests answered, by route, method and HTTP status; 499 stands for a client that went away.",
		}, []string{"route", "method", "code"}),
		replays: f.NewCounterVec(prometheus.CounterOpts{
			Name: "evergate_replays_total", Help: "Requests sent to Shopify a second time, by reason.",
		}, []string{"reason"}),
		denied: f.NewCounterVec(prometheus.CounterOpts{
			Name: "evergate_denied_total", Help: "Requests refused before anything was sent to Shopify, by reason.",
		}, []string{"reason"}),
		failed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "evergate_failed_total", Help: "Requests that were admitted and answered with an error of Evergate's own, by reason.",
		}, []string{"reason"}),
		deprecated: f.NewCounterVec(prometheus.CounterOpts{
			Name: "evergate_api_deprecated_total", Help: "Responses that Shopify marked as coming from a deprecated part of its API, or from another version than was asked for, by route.",
		}, []string{"route"}),
		callers: newCallers(f.NewCounterVec(prometheus.CounterOpts{
			Name: "evergate_caller_requests_total", Help: "Requests by caller and by what became of them at admission: passed, denied or reported.",
		}, []string{"caller", "outcome"})),
	}
	m.versions = &versions{}
	reg.MustRegister(m.versions)
	m.registerRoutes(f)
	m.registerPace(f)
	return m
}

// RegisterLog publishes how many lines of the log were not written, asked for at each scrape.
func (m *Metrics) RegisterLog(reg prometheus.Registerer, dropped func() uint64) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "evergate_log_lines_dropped_total", Help: "Lines of the log that were not written, because nobody read it, it was gone, its disk was full, or there were too many of their kind.",
	}, func() float64 { return float64(dropped()) }))
}

func (m *Metrics) registerRoutes(f promauto.Factory) {
	m.duration = f.NewHistogramVec(histogram("evergate_request_duration_seconds", "From a request's header to the last byte of its answer, by route.", latencyBuckets),
		[]string{"route"})
	m.upstream = f.NewHistogramVec(histogram("evergate_upstream_duration_seconds", "From sending a request to Shopify to the header of its answer, by route.", latencyBuckets),
		[]string{"route"})
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "evergate_requests_in_flight", Help: "Requests being served now.",
	}, func() float64 { return float64(m.inFlight.Load()) })

	m.routes = make([]routeSeries, shopify.RouteCount)
	for r := range m.routes {
		m.routes[r].requests = make([]atomic.Pointer[[maxStatus]kept[prometheus.Counter]], len(methods))
	}
}

// RequestStarted counts a request in flight.
func (m *Metrics) RequestStarted() { m.inFlight.Add(1) }

// RequestDone counts an answered request and ends what RequestStarted began.
func (m *Metrics) RequestDone(r shopify.Route, method string, status int, took time.Duration) {
	m.RequestDoneInTrace("", r, method, status, took)
}

// RequestDoneInTrace is RequestDone for a request that is being traced: trace, the trace-id of
// the W3C in hex, becomes the duration's exemplar. Empty: there is none.
func (m *Metrics) RequestDoneInTrace(trace string, r shopify.Route, method string, status int, took time.Duration) {
	m.inFlight.Add(-1)
	observe(m.routes[r].duration.get(func() prometheus.Observer { return m.duration.WithLabelValues(r.String()) }), took, trace)
	m.requestCounter(r, methodIndex(method), status).Inc()
}

func (m *Metrics) requestCounter(r shopify.Route, method, status int) prometheus.Counter {
	if status < 0 || status >= maxStatus {
		status = 0
	}
	slot := &m.routes[r].requests[method]
	byStatus := slot.Load()
	if byStatus == nil {
		slot.CompareAndSwap(nil, new([maxStatus]kept[prometheus.Counter]))
		byStatus = slot.Load()
	}
	return byStatus[status].get(func() prometheus.Counter {
		return m.requests.WithLabelValues(r.String(), methods[method], strconv.Itoa(status))
	})
}

// UpstreamAnswered records how long Shopify took to send the header of its answer.
func (m *Metrics) UpstreamAnswered(r shopify.Route, took time.Duration) {
	m.UpstreamAnsweredInTrace("", r, took)
}

// UpstreamAnsweredInTrace is UpstreamAnswered for a request that is being traced; see
// RequestDoneInTrace.
func (m *Metrics) UpstreamAnsweredInTrace(trace string, r shopify.Route, took time.Duration) {
	observe(m.routes[r].upstream.get(func() prometheus.Observer { return m.upstream.WithLabelValues(r.String()) }), took, trace)
}

// Deprecated counts a response that Shopify marked as deprecated or served from another version.
func (m *Metrics) Deprecated(r shopify.Route) {
	m.routes[r].deprecated.get(func() prometheus.Counter { return m.deprecated.WithLabelValues(r.String()) }).Inc()
}

func (m *Metrics) registerPace(f promauto.Factory) {
	m.paceWait = f.NewHistogram(histogram("evergate_pace_wait_seconds", "How long requests waited for the rate limit; those that did not wait are not counted.", latencyBuckets))
	m.throttled = f.NewCounterVec(prometheus.CounterOpts{
		Name: "evergate_throttled_total", Help: "Answers of Shopify's that refuse a request for the rate limit, also those that no client saw, by api: rest or graphql.",
	}, []string{"shop", "api"})
}

// Waited records how long a request waited for the rate limit.
func (m *Metrics) Waited(took time.Duration) { m.paceWait.Observe(took.Seconds()) }

// Throttled counts an answer that refuses a request for the rate limit.
func (m *Metrics) Throttled(shop, api string) {
	m.throttled.WithLabelValues(m.shops.of(shop).shop, api).Inc()
}

// Denied counts a request that was not admitted. reason is one of the closed list of error codes.
func (m *Metrics) Denied(reason string) { m.denied.WithLabelValues(reason).Inc() }

// Failed counts a request that was admitted and was answered with an error of Evergate's
// own. reason is one of the closed list of error codes.
func (m *Metrics) Failed(reason string) { m.failed.WithLabelValues(reason).Inc() }

// Replayed counts a request sent a second time.
func (m *Metrics) Replayed(reason string) { m.replays.WithLabelValues(reason).Inc() }

// Announce makes the series of these reasons, at 0. A counter that is born with its first
// event has not increased in the eyes of Prometheus, and an alert would miss it.
func (m *Metrics) Announce(failures, replays []string) {
	for _, reason := range failures {
		m.failed.WithLabelValues(reason)
	}
	for _, reason := range replays {
		m.replays.WithLabelValues(reason)
	}
}

// Refreshed counts one attempt to obtain a token and how long it took.
func (m *Metrics) Refreshed(shop, grant, result string, took time.Duration) {
	shop = m.shops.of(shop).shop
	m.refreshes.WithLabelValues(shop, grant, result).Inc()
	m.refreshDuration.WithLabelValues(shop).Observe(took.Seconds())
}

// Alarmed counts something that was found wrong with a chain of refresh tokens.
func (m *Metrics) Alarmed(reason string) { m.chainAlarms.WithLabelValues(reason).Inc() }

// AnnounceAlarms makes the series of these reasons, at 0, as Announce does.
func (m *Metrics) AnnounceAlarms(reasons []string) {
	for _, reason := range reasons {
		m.chainAlarms.WithLabelValues(reason)
	}
}

// ClockSkew records Shopify's clock minus ours.
func (m *Metrics) ClockSkew(d time.Duration) { m.clockSkew.Set(d.Seconds()) }

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// latencyBuckets reach from a denied request to Shopify's edge giving up after 120 s.
var latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}

// refreshBuckets are few, because every shop has them. An attempt ends after 30 s.
var refreshBuckets = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30}

const (
	// nativeFactor is how much wider a native bucket may be than the one before it: what is
	// read from one is wrong by 5 % at most.
	nativeFactor = 1.1
	// nativeBuckets is enough for everything between a tenth of a millisecond and 120 s. A
	// histogram that needs more is begun anew, at most once in nativeReset, or made coarser.
	nativeBuckets = 200
	nativeReset   = time.Hour
)

// histogram has classic buckets, which any Prometheus can read, and native ones beside them,
// which it gets if it asks for protobuf.
func histogram(name, help string, classic []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: classic,
		NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: nativeBuckets, NativeHistogramMinResetDuration: nativeReset,
	}
}

// observe records how long something took. trace, if it is one, goes with it as the exemplar
// by which a slow request can be looked up; without it an observation allocates nothing.
func observe(o prometheus.Observer, took time.Duration, trace string) {
	if traced, ok := o.(prometheus.ExemplarObserver); ok && isTraceID(trace) {
		traced.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": trace})
		return
	}
	o.Observe(took.Seconds())
}

// isTraceID accepts what the W3C calls a trace-id: the client library panics on text that
// cannot be an exemplar.
func isTraceID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

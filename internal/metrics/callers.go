package metrics

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcome is what became of a caller's request at admission.
type Outcome uint8

// The outcomes.
const (
	Passed   Outcome = iota
	Denied           // nothing was sent to Shopify
	Reported         // passed, because its policy does no more than report
)

var outcomeNames = [...]string{"passed", "denied", "reported"}

// String returns the value of the outcome label.
func (o Outcome) String() string { return outcomeNames[o] }

// mostCallers bounds the number of names. They come from the configuration, which may
// change while the process lives.
const mostCallers = 10_000

// callers counts requests by caller. Its map is never written to: a new name makes a new
// one, so that a request that finds its name takes no lock.
type callers struct {
	vec    *prometheus.CounterVec
	byName atomic.Pointer[map[string]*[len(outcomeNames)]kept[prometheus.Counter]]
	adding sync.Mutex
}

func newCallers(vec *prometheus.CounterVec) *callers {
	c := &callers{vec: vec}
	c.byName.Store(&map[string]*[len(outcomeNames)]kept[prometheus.Counter]{})
	return c
}

func (c *callers) count(name string, o Outcome) {
	series := (*c.byName.Load())[name]
	if series == nil {
		name, series = c.add(name)
	}
	series[o].get(func() prometheus.Counter { return c.vec.WithLabelValues(name, o.String()) }).Inc()
}

func (c *callers) add(name string) (string, *[len(outcomeNames)]kept[prometheus.Counter]) {
	c.adding.Lock()
	defer c.adding.Unlock()
	now := *c.byName.Load()
	if len(now) >= mostCallers {
		name = "other"
	}
	if series := now[name]; series != nil {
		return name, series
	}
	next, series := maps.Clone(now), new([len(outcomeNames)]kept[prometheus.Counter])
	next[name] = series
	c.byName.Store(&next)
	return name, series
}

// CallerServed counts a request of a caller. The name must be from the configuration, or
// one of the two that stand for everybody else.
func (m *Metrics) CallerServed(name string, o Outcome) { m.callers.count(name, o) }

package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

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
	byName atomic.Pointer[map[string]*callerSeries]
	adding sync.Mutex
}

// callerSeries is what is counted of one caller.
type callerSeries struct {
	outcomes [len(outcomeNames)]kept[prometheus.Counter]
	waits    atomic.Uint64
	longest  atomic.Pointer[longestWait]
}

type longestWait struct {
	took time.Duration
	at   time.Time
}

func newCallers(vec *prometheus.CounterVec) *callers {
	c := &callers{vec: vec}
	c.byName.Store(&map[string]*callerSeries{})
	return c
}

func (c *callers) count(name string, o Outcome) {
	name, series := c.of(name)
	series.outcomes[o].get(func() prometheus.Counter { return c.vec.WithLabelValues(name, o.String()) }).Inc()
}

// of returns the series for a name, and the name that they have.
func (c *callers) of(name string) (string, *callerSeries) {
	if series := (*c.byName.Load())[name]; series != nil {
		return name, series
	}
	return c.add(name)
}

func (c *callers) add(name string) (string, *callerSeries) {
	c.adding.Lock()
	defer c.adding.Unlock()
	now := *c.byName.Load()
	if len(now) >= mostCallers {
		name = "other"
	}
	if series := now[name]; series != nil {
		return name, series
	}
	next, series := maps.Clone(now), new(callerSeries)
	next[name] = series
	c.byName.Store(&next)
	return name, series
}

// CallerServed counts a request of a caller. The name must be from the configuration, or
// one of the two that stand for everybody else.
func (m *Metrics) CallerServed(name string, o Outcome) { m.callers.count(name, o) }

// CallerWait is how a caller waited for the rate limit since the start. It is not published: the page has the
// names, and the histogram of all waits has the numbers.
type CallerWait struct {
	Caller    string
	Waits     uint64
	Longest   time.Duration
	LongestAt time.Time
}

// CallerWaited counts a request that has waited for the rate limit. The name is as of CallerServed.
func (m *Metrics) CallerWaited(name string, took time.Duration, at time.Time) {
	_, series := m.callers.of(name)
	series.waits.Add(1)
	var wait *longestWait
	for before := series.longest.Load(); before == nil || before.took < took; before = series.longest.Load() {
		if wait == nil {
			wait = &longestWait{took, at}
		}
		if series.longest.CompareAndSwap(before, wait) {
			return
		}
	}
}

// CallerWaits returns who has waited since the start.
func (m *Metrics) CallerWaits() (all []CallerWait) {
	for name, series := range *m.callers.byName.Load() {
		if longest := series.longest.Load(); longest != nil {
			all = append(all, CallerWait{name, series.waits.Load(), longest.took, longest.at})
		}
	}
	return all
}

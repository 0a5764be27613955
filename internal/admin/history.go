package admin

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/denial"
)

// minutes is how far back the charts go.
const minutes = 60

// History remembers what happened in each minute of the last hour, for the page. It is safe
// for concurrent use. Somebody must Run it.
type History struct {
	gatherer prometheus.Gatherer
	failures func() []Failure
	quiet    func(ctx context.Context, minutes int) // nil: nobody is told
	silence  int                                    // minutes in which nobody called, up to now

	mu   sync.Mutex
	last snapshot // at the end of the last whole minute
	past []minute // oldest first
	// before are the failures at the ends of the last few minutes, oldest first; see recent.
	before [][]Failure
}

// minute is what happened in one.
type minute struct{ Requests, Failed, Waited, NoToken float64 }

// NewHistory returns a History of what g publishes, which has counted nothing yet: to gather that would be a tenth
// of a start. failures says what calls failed with; nil: that is not known.
func NewHistory(g prometheus.Gatherer, failures func() []Failure) *History {
	return &History{gatherer: g, failures: failures, before: [][]Failure{nil}}
}

// OnQuiet has f called at the end of each minute in which nobody called, with how many there have been in a row and the context of Run. It must be
// called before Run.
func (h *History) OnQuiet(f func(ctx context.Context, minutes int)) { h.quiet = f }

// Run takes notes each minute until ctx ends.
func (h *History) Run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.note(takeSnapshot(h.gatherer, h.failures))
			h.tellQuiet(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (h *History) note(now snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.past = append(h.past, between(h.last, now))
	h.past = h.past[max(0, len(h.past)-(minutes-1)):]
	h.last = now
	h.before = append(h.before, now.failures)
	h.before = h.before[max(0, len(h.before)-recentMinutes):]
}

func (h *History) tellQuiet(ctx context.Context) {
	if h.past[len(h.past)-1].Requests > 0 {
		h.silence = 0
		return
	}
	h.silence++
	if h.quiet != nil {
		h.quiet(ctx, h.silence)
	}
}

func between(from, to snapshot) minute {
	return minute{max(0, to.requests-from.requests), max(0, to.failed-from.failed), max(0, to.waited-from.waited), max(0, to.noToken-from.noToken)}
}

// recent sums up the last few minutes, the running one among them. Calls that had no token are left out: while there is none,
// that is said already, and with one again it is over.
func (h *History) recent(now snapshot) recent {
	hour := h.hour(now)
	var r recent
	for _, m := range hour[minutes-recentMinutes:] {
		r.calls, r.failed = r.calls+m.Requests, r.failed+max(0, m.Failed-m.NoToken)
	}
	h.mu.Lock()
	before := h.before[0]
	h.mu.Unlock()
	r.sumUp(now.failures, func(f Failure) uint64 {
		if !f.failed() || f.Code == denial.CodeNoToken {
			return 0
		}
		return f.Count - countOf(before, f)
	})
	return r
}

func countOf(failures []Failure, like Failure) uint64 {
	for _, f := range failures {
		if f.Route == like.Route && f.Code == like.Code && f.Status == like.Status {
			return f.Count
		}
	}
	return 0
}

// hour returns the minutes of the last hour, the running one last. Those before the start
// are empty.
func (h *History) hour(now snapshot) [minutes]minute {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all [minutes]minute
	copy(all[minutes-1-len(h.past):], h.past)
	all[minutes-1] = between(h.last, now)
	return all
}

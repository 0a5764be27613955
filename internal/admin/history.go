package admin

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// minutes is how far back the charts go.
const minutes = 60

// History remembers what happened in each minute of the last hour, for the page. It is safe
// for concurrent use. Somebody must Run it.
type History struct {
	gatherer prometheus.Gatherer

	mu   sync.Mutex
	last snapshot // at the end of the last whole minute
	past []minute // oldest first
}

// minute is what happened in one.
type minute struct{ Requests, Failed, Waited float64 }

// NewHistory returns a History of what g publishes, which begins now.
func NewHistory(g prometheus.Gatherer) *History {
	return &History{gatherer: g, last: takeSnapshot(g)}
}

// Run takes notes each minute until ctx ends.
func (h *History) Run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.note(takeSnapshot(h.gatherer))
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
}

func between(from, to snapshot) minute {
	return minute{max(0, to.requests-from.requests), max(0, to.failed-from.failed), max(0, to.waited-from.waited)}
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

package pace

import (
	"net/http"
	"strings"
)

func (t *Turn) graphQLAnswered(resp *http.Response) (throttled bool) {
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		t.refused(resp) // not documented on this path, and harmless to know
		return true
	case resp.StatusCode != http.StatusOK:
		t.settle(0, nil) // nothing was run
		return false
	case resp.Body == http.NoBody || resp.Request != nil && resp.Request.Method == http.MethodHead:
		t.settle(float64(t.cost), nil)
		return false
	}
	w := &watcher{body: resp.Body, turn: *t, packed: newUnpacker(encodingOf(resp.Header))}
	t.open = false // the watcher has it now
	resp.Body = w
	if resp.ContentLength > peekSize {
		return false // no refusal is that long
	}
	throttled = w.peek()
	if throttled {
		w.settle()
		t.cost = w.turn.cost
	}
	return throttled
}

func encodingOf(h http.Header) string {
	return strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ",")))
}

// learnCost is told what an answer says of its request's cost; ok is false when it says
// nothing, or nothing that could be read.
func (t *Turn) learnCost(r costReport, ok bool) {
	p, l := t.pacer, t.gate.level
	if !ok || !r.usable() {
		t.settle(float64(t.cost), nil)
		return
	}
	charged, used := t.cost, 0.0
	if r.Actual != nil {
		used = *r.Actual
	}
	l.learnLimit(p.now(), r.Status.Maximum, r.Status.Restore)
	full := r.Status.Maximum - r.Status.Available
	seen := sighting{least: full - 1, most: full} // currentlyAvailable is cut to a whole number
	if r.Actual == nil {
		seen.least = full // better late by a hundredth of a second than refused again
	}
	t.settle(used, &seen)
	if r.Requested == nil || *r.Requested < 0 || *r.Requested > 1e9 {
		return
	}
	requested := int64(*r.Requested)
	p.costs.remember(t.doc, requested)
	if r.Actual == nil && requested != charged {
		t.cost = requested // when it comes back, it waits for as much as it needs
	}
}

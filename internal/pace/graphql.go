package pace

import (
	"net/http"
	"strings"
)

func (t *Turn) graphQLAnswered(resp *http.Response) (throttled bool) {
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		t.settle(0, nil) // not documented on this path: it says nothing of points
		t.comeBackLater(resp)
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
	if !w.peek() {
		return false
	}
	w.refused = true
	w.settle()
	t.cost = w.turn.cost
	if w.turn.unexplained || t.tries > patienceWithModel {
		t.comeBackLater(resp)
	}
	return true
}

func encodingOf(h http.Header) string {
	return strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ",")))
}

// learnCost is told what an answer says of its request's cost; ok is false when it says
// nothing, or nothing that could be read.
func (t *Turn) learnCost(r costReport, ok, refused bool) {
	if !ok || !r.usable() {
		used := float64(t.cost)
		if refused {
			used = 0
		}
		t.unexplained = refused
		t.settle(used, nil)
		return
	}
	used := 0.0
	if r.Actual != nil {
		used = *r.Actual
	}
	p, l := t.pacer, t.gate.level
	l.learnLimit(p.now(), r.Status.Maximum, r.Status.Restore)
	full := r.Status.Maximum - r.Status.Available
	seen := sighting{least: full - 1, most: full} // currentlyAvailable is cut to a whole number
	if refused {
		seen.least = full // better late by a hundredth of a second than refused again
	}
	t.settle(used, &seen)
	if r.Requested == nil || *r.Requested < 0 || *r.Requested > 1e9 {
		t.unexplained = refused
		return
	}
	requested := int64(*r.Requested)
	p.costs.remember(t.doc, requested)
	if refused {
		t.cost = requested // when it comes back, it waits for as much as it needs
		t.unexplained = r.Status.Available >= *r.Requested
	}
}

package pace

import (
	"io"
	"net/http"
	"strings"
)

func (r *Reservation) observeGraphQL(a Answer) (body io.ReadCloser, throttled bool) {
	switch {
	case a.Status == http.StatusTooManyRequests:
		r.settle(0, nil) // not documented on this path: it says nothing of points
		r.backOffFor(a.Header)
		return a.Body, true
	case a.Status != http.StatusOK:
		r.settle(0, nil) // nothing was run
		return a.Body, false
	case a.Body == http.NoBody:
		r.settle(float64(r.cost), nil)
		return a.Body, false
	}
	c := newCostReader(a.Body, *r, contentEncoding(a.Header))
	r.open, r.reader = false, c // which settles it
	if a.Length > largestRefusal || !c.peek() {
		return &c.passed, false
	}
	r.cost = c.reservation.cost
	if c.reservation.unexplained || r.attempts > maxModelRefusals {
		r.backOffFor(a.Header)
	}
	return &c.passed, true
}

func contentEncoding(h Header) string {
	values := h.Values("Content-Encoding")
	if len(values) == 0 {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(strings.Join(values, ",")))
}

// learnCost is told what an answer says of its request's cost; ok is false when it says
// nothing, or nothing that could be read.
func (r *Reservation) learnCost(report costReport, ok, refused bool) {
	if !ok || !report.usable() {
		used := float64(r.cost)
		if refused {
			used = 0
		}
		r.unexplained = refused
		r.settle(used, nil)
		return
	}
	used := 0.0
	if report.actual.known {
		used = report.actual.value
	}
	p, b := r.pacer, r.limiter.bucket
	now := p.now()
	b.learnLimit(now, report.maximum, report.restore)
	full := report.maximum - report.available
	o := observation{now: now, least: full - 1, most: full} // currentlyAvailable is cut to a whole number
	if refused {
		o.least = full // better late by a hundredth of a second than refused again
		o.lacked = max(0, min(float64(r.cost), report.maximum)-report.available)
	}
	r.settle(used, &o)
	if !report.requested.known || report.requested.value < 0 || report.requested.value > 1e9 {
		r.unexplained = refused
		return
	}
	requested := int64(report.requested.value)
	p.common.costs.remember(r.doc, requested)
	if refused {
		r.cost = requested // when it comes back, it waits for as much as it needs
		r.unexplained = report.available >= report.requested.value
	}
}

package metrics

import (
	"sync/atomic"
	"time"

	"evergate/internal/shopify"
)

// mostAnswerKinds is how many kinds of answers that are no success are told apart on a route. Statuses come from
// Shopify, so there might be a thousand.
const mostAnswerKinds = 16

// answerKind is one kind of answer on one route.
type answerKind struct {
	status int
	code   string
	n      atomic.Uint64
	last   atomic.Int64 // Unix seconds
}

type answerKinds [mostAnswerKinds]atomic.Pointer[answerKind]

// Unsuccessful is how often and when a route last answered in a way that is no success. It is not published: the
// counters have the numbers, and a label for the code on each route would be a series for each pair.
type Unsuccessful struct {
	Route shopify.Route
	// Status is that of the answer, and Code is X-Evergate-Error; empty: it was Shopify's. Both are zero for those that
	// have no room of their own.
	Status int
	Code   string
	Count  uint64
	Last   time.Time
}

// Unsuccessful counts an answer that is no success. It takes no lock, and allocates only for the first of its kind on a route.
func (m *Metrics) Unsuccessful(r shopify.Route, status int, code string, at time.Time) {
	slot := &m.routes[r].unsuccessful
	all := slot.Load()
	if all == nil {
		slot.CompareAndSwap(nil, new(answerKinds))
		all = slot.Load()
	}
	k := all.of(status, code)
	k.n.Add(1)
	k.last.Store(at.Unix())
}

// of returns the one for a kind of answer; the last is for all that have none.
func (all *answerKinds) of(status int, code string) *answerKind {
	for i := range all {
		if i == mostAnswerKinds-1 {
			status, code = 0, ""
		}
		k := all[i].Load()
		if k == nil {
			all[i].CompareAndSwap(nil, &answerKind{status: status, code: code})
			k = all[i].Load()
		}
		if k.status == status && k.code == code {
			return k
		}
	}
	return all[mostAnswerKinds-1].Load()
}

// AllUnsuccessful returns what Unsuccessful has counted since the start.
func (m *Metrics) AllUnsuccessful() (all []Unsuccessful) {
	for r := range m.routes {
		of := m.routes[r].unsuccessful.Load()
		if of == nil {
			continue
		}
		for i := range of {
			if k := of[i].Load(); k != nil {
				all = append(all, Unsuccessful{shopify.Route(r), k.status, k.code, k.n.Load(), time.Unix(k.last.Load(), 0)})
			}
		}
	}
	return all
}

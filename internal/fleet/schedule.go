package fleet

import "time"

// schedule is a heap of the Members whose turn comes at a time.
type schedule[M Member] []*seat[M]

// Len implements heap.Interface.
func (h schedule[M]) Len() int { return len(h) }

// Less implements heap.Interface.
func (h schedule[M]) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

// Swap implements heap.Interface.
func (h schedule[M]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *schedule[M]) Push(x any) {
	s := x.(*seat[M])
	s.index = len(*h)
	*h = append(*h, s)
}

// Pop implements heap.Interface.
func (h *schedule[M]) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return s
}

const (
	// renewedAt is the part of their life after which tokens are renewed in the mean; see refresh.
	renewedAt = 0.75
	// headroom is how much faster than in the mean renewals may come that have time.
	headroom = 1.12
	// urgentPart is the rest of a life below which a renewal has no time any more.
	urgentPart = 0.12
)

// throttle spreads renewals. Shops that were first called together would be renewed together for ever: those that have time
// wait until it is their turn at the pace at which all would be renewed one after the other.
type throttle struct {
	perSecond float64 // the most, whatever is urgent; zero: there is no limit
	spread    time.Time
	hard      time.Time
}

// slack is for how long a renewal still has time; not positive where it has none, as without a token.
func slack(m Member) time.Duration {
	left, life := m.Rest()
	return left - time.Duration(urgentPart*float64(life))
}

// wait returns for how long a renewal has to wait, or takes its turn. of is how many Members there are.
func (t *throttle) wait(m Member, of int) time.Duration {
	now := time.Now()
	slack := slack(m)
	if wait := min(t.spread.Sub(now), slack); wait > 0 {
		return wait
	}
	if wait := t.begin(now); wait > 0 {
		return wait
	}
	if _, life := m.Rest(); slack > 0 {
		t.spread = later(t.spread, now).Add(time.Duration(float64(life) * renewedAt / headroom / float64(of)))
	}
	return 0
}

// begin returns for how long a renewal has to wait that has no time, or takes its turn.
func (t *throttle) begin(now time.Time) time.Duration {
	if t.perSecond <= 0 {
		return 0
	}
	if wait := t.hard.Sub(now); wait > 0 {
		return wait
	}
	t.hard = later(t.hard, now.Add(-time.Second)).Add(time.Duration(float64(time.Second) / t.perSecond)) // a second's worth may come at once
	return 0
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

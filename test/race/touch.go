package race

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// span is a time in which something was not there, and why. It has no end as long as to is zero.
type span struct {
	why      string
	from, to time.Time
}

// spans are those of one thing.
type spans struct {
	mu  sync.Mutex
	all []span
}

// begin notes that it is away from now on, until what is returned is called.
func (s *spans) begin(why string) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.all)
	s.all = append(s.all, span{why: why, from: time.Now()})
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all[i].to = time.Now()
	}
}

func (s *spans) list() []span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// touches reports whether it was away at some time between two moments.
func (s *spans) touches(from, to time.Time) bool { return s.between(from, to) >= 0 }

// between is the number of the last time at which it was away between two moments; negative: there is none.
func (s *spans) between(from, to time.Time) int { return s.last(from, to, "") }

// pause is between for times at which it stood still, and went on as what it had been.
func (s *spans) pause(from, to time.Time) int { return s.last(from, to, paused) }

// paused is why a span is when a replica was stopped and continued.
const paused = "paused"

// last is the number of the last span of some kind, "" for any, that touches the time between two moments.
func (s *spans) last(from, to time.Time, why string) int {
	for i, one := range slices.Backward(s.list()) {
		if (why == "" || why == one.why) && !one.from.After(to) && (one.to.IsZero() || !one.to.Before(from)) {
			return i
		}
	}
	return -1
}

// theStore is why a span is when nobody could reach the store.
const theStore = "store"

// stretches are spans in order, each longer by settle; those that meet are one. After the store was away, every shop's token is due at once, at every
// replica, and the server that is back has just begun: what that takes is no longer than it was away.
func stretches(all []span, settle time.Duration) (joined []span) {
	all = slices.SortedFunc(slices.Values(all), func(a, b span) int { return a.from.Compare(b.from) })
	for _, s := range all {
		if !s.to.IsZero() {
			if s.why == theStore {
				s.to = s.to.Add(s.to.Sub(s.from))
			}
			s.to = s.to.Add(settle)
		}
		last := len(joined) - 1
		if last < 0 || !joined[last].to.IsZero() && joined[last].to.Before(s.from) {
			joined = append(joined, s)
			continue
		}
		if before := &joined[last]; s.to.IsZero() || !before.to.IsZero() && before.to.Before(s.to) {
			before.to = s.to
		}
	}
	return joined
}

// knowledge is what a replica could know of a shop.
type knowledge struct {
	// settle is how long after trouble, and after a token was made, its effects may take: the term of a lease.
	settle time.Duration
	// hears is how long it may take after that until the replica hears again of what others store.
	hears time.Duration
	// away are the times in which the store was away, or the replica could not reach it, or stood still, or did not run.
	away []span
	// minted are the moments at which tokens were made, in order.
	minted []time.Time
	// served is when this life of the replica has first answered with a token; zero: never.
	served time.Time
}

// owes reports whether there had to be a token at every moment of a call: the replica could reach the store, or was away from it for less
// than what was left of the token that it had.
func (k knowledge) owes(began, ended time.Time) bool {
	var calm, heard time.Time
	for _, s := range stretches(k.away, k.settle) {
		if s.from.Sub(calm) >= k.hears {
			heard = s.from.Add(-k.settle)
		} // else it may have heard of nothing between the two
		calm = s.to
		if s.from.After(ended) || !s.to.IsZero() && s.to.Before(began) {
			continue
		}
		until := ended
		if !s.to.IsZero() && s.to.Before(ended) {
			until = s.to
		}
		if !k.end(s.from, heard).After(until) {
			return false
		}
	}
	return true
}

// troubled reports whether there was trouble during a call, or within two lives of a token before it.
func (k knowledge) troubled(began, ended time.Time) bool {
	since := began.Add(-2 * life)
	return slices.ContainsFunc(k.away, func(s span) bool { return !s.from.After(ended) && (s.to.IsZero() || s.to.After(since)) })
}

// end is when the token ends that the replica had when it went away, having heard of those that were made before a moment; zero: it
// had none.
func (k knowledge) end(away, heard time.Time) time.Time {
	if k.served.IsZero() || !k.served.Before(away) {
		return time.Time{}
	}
	for _, m := range slices.Backward(k.minted) {
		if m.Before(heard) {
			return m.Add(life)
		}
	}
	return time.Time{}
}

// story tells what was known of a call, by the seconds before it ended.
func (k knowledge) story(began, ended time.Time) string {
	before := func(at time.Time) string { return fmt.Sprintf("%.2f", at.Sub(ended).Seconds()) }
	var b strings.Builder
	fmt.Fprintf(&b, "%s, begun at %s; away", ended.Format("15:04:05.000"), before(began))
	for _, s := range k.away {
		switch {
		case s.to.IsZero():
			fmt.Fprintf(&b, " %s [%s, …]", s.why, before(s.from))
		case s.to.After(ended.Add(-3 * life)):
			fmt.Fprintf(&b, " %s [%s, %s]", s.why, before(s.from), before(s.to))
		}
	}
	b.WriteString("; tokens made at")
	for _, m := range k.minted[max(0, len(k.minted)-4):] {
		b.WriteString(" " + before(m))
	}
	if k.served.IsZero() {
		return b.String() + "; never served there"
	}
	return b.String() + "; first served there at " + before(k.served)
}

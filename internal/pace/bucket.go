package pace

import (
	"sync/atomic"
	"time"
)

// limit is the size of a bucket and what leaks from it in a second, in calls or in points.
// It is immutable.
type limit struct {
	size, rate float64
}

// pointTime is how long a unit takes to leak.
func (l *limit) pointTime() float64 { return float64(time.Second) / l.rate }

// depth is how much time a full bucket takes to become empty.
func (l *limit) depth() int64 { return int64(l.size * l.pointTime()) }

func (l *limit) span(units float64) int64 { return int64(units * l.pointTime()) }

// level is the model of one leaky bucket, as the generic cell rate algorithm has it (ITU-T
// I.371): instead of how full the bucket is, it keeps the moment at which it will be empty.
// So a bucket that leaks needs no writing, and one compare-and-swap both tests and fills.
//
// Moments are nanoseconds since an arbitrary start. All methods are safe for concurrent use.
type level struct {
	limit   atomic.Pointer[limit]
	emptyAt atomic.Int64

	// inFlight is what requests have been charged that are not answered yet, and charged
	// the sum of all charges ever. The difference between two readings of them bounds what
	// Shopify may have counted beside what an answer reports.
	inFlight, charged atomic.Int64
}

func newLevel(assumed limit) *level {
	l := &level{}
	l.limit.Store(&assumed)
	return l
}

// take fills the bucket by cost if that much fits, and returns what it has filled in, for
// refund. If it does not fit, it returns how long that will take if nothing else happens.
func (l *level) take(now int64, cost int64) (filled int64, wait time.Duration, ok bool) {
	for {
		lim, empty := l.limit.Load(), l.emptyAt.Load()
		// What is larger than the bucket is judged by Shopify, not here.
		filled := lim.span(min(float64(cost), lim.size))
		next := max(empty, now) + filled
		if over := next - now - lim.depth(); over > 0 {
			return 0, time.Duration(over), false
		}
		if l.emptyAt.CompareAndSwap(empty, next) {
			l.count(cost)
			return filled, 0, true
		}
	}
}

// force fills the bucket by cost, whether it fits or not, but never above its brim:
// Shopify does not count what it refuses. It returns what it has filled in.
func (l *level) force(now int64, cost int64) (filled int64) {
	for {
		lim, empty := l.limit.Load(), l.emptyAt.Load()
		from := max(empty, now)
		next := min(from+lim.span(float64(cost)), max(empty, now+lim.depth()))
		if l.emptyAt.CompareAndSwap(empty, next) {
			l.count(cost)
			return next - from
		}
	}
}

func (l *level) count(cost int64) {
	l.inFlight.Add(cost)
	l.charged.Add(cost)
}

// settle takes back what was filled in and puts in its place what was used.
func (l *level) settle(filled int64, used float64) {
	if change := l.limit.Load().span(used) - filled; change != 0 {
		l.emptyAt.Add(change)
	}
}

// available is how much fits now.
func (l *level) available(now int64) float64 {
	lim := l.limit.Load()
	full := float64(max(0, l.emptyAt.Load()-now)) / lim.pointTime()
	return max(0, lim.size-full)
}

// learnLimit takes over another size or rate, and keeps how full the bucket is.
func (l *level) learnLimit(now int64, size, rate float64) {
	old := l.limit.Load()
	if size <= 0 || rate <= 0 || *old == (limit{size, rate}) {
		return
	}
	next := &limit{size, rate}
	if !l.limit.CompareAndSwap(old, next) {
		return // another answer said the same just now, or will be corrected by the next one
	}
	if empty := l.emptyAt.Load(); empty > now && old.rate != rate {
		l.emptyAt.CompareAndSwap(empty, now+int64(float64(empty-now)*next.pointTime()/old.pointTime()))
	}
}

// sighting is what an answer tells of a bucket: that some time between when its request
// was sent and now it was filled at least to least and at most to most.
type sighting struct {
	sent        int64
	least, most float64
	// unseen bounds what others may have filled in that the sighting does not know of.
	unseen int64
}

// learn corrects the model where it contradicts a sighting, and leaves it alone where it
// does not: the model knows fractions that Shopify's whole numbers hide, and a caller that
// is corrected upwards by each of them waits for nothing.
func (l *level) learn(now int64, s sighting) {
	for {
		lim, empty := l.limit.Load(), l.emptyAt.Load()
		// Since the sighting the bucket has leaked for no longer than since the sending.
		lowest := s.sent + lim.span(s.least)
		highest := now + lim.span(s.most+float64(s.unseen))
		next := max(min(empty, highest), lowest)
		if next == empty || l.emptyAt.CompareAndSwap(empty, next) {
			return
		}
	}
}

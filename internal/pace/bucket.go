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

// unitTime is how long a unit takes to leak.
func (l *limit) unitTime() float64 { return float64(time.Second) / l.rate }

// depth is how much time a full bucket takes to become empty.
func (l *limit) depth() int64 { return int64(l.size * l.unitTime()) }

func (l *limit) span(units float64) int64 { return int64(units * l.unitTime()) }

// bucket is the model of one leaky bucket, as the generic cell rate algorithm has it (ITU-T
// I.371): instead of how full the bucket is, it keeps the moment at which it will be empty.
// So a bucket that leaks needs no writing, and one compare-and-swap both tests and fills.
//
// Moments are nanoseconds since an arbitrary start. All methods are safe for concurrent use.
type bucket struct {
	limit   atomic.Pointer[limit]
	emptyAt atomic.Int64

	// inFlight is what requests have been charged that are not answered yet, and charged
	// the sum of all charges ever. The difference between two readings of them bounds what
	// Shopify may have counted beside what an answer reports.
	inFlight, charged atomic.Int64

	// share is this process's of a bucket that several draw on; nil: it has it alone, as far as anybody here knows.
	share *share
}

func newBucket(assumed *limit) *bucket {
	b := &bucket{}
	b.limit.Store(assumed)
	return b
}

// take fills the bucket by cost if that much fits, and returns what it has filled in, for
// refund. If it does not fit, it returns how long that will take if nothing else happens.
func (b *bucket) take(now int64, cost int64) (filled int64, wait time.Duration, ok bool) {
	paid := b.share == nil
	for {
		lim, empty := b.limit.Load(), b.emptyAt.Load()
		// What is larger than the bucket is judged by Shopify, not here.
		filled := lim.span(min(float64(cost), lim.size))
		next := max(empty, now) + filled
		if over := next - now - lim.depth(); over > 0 {
			if paid && b.share != nil {
				b.share.refund(float64(filled) / lim.unitTime())
			}
			return 0, time.Duration(over), false
		}
		if !paid {
			if paid = b.share.spend(now, float64(filled)/lim.unitTime()); !paid {
				return 0, creditWait, false
			}
		}
		if b.emptyAt.CompareAndSwap(empty, next) {
			b.count(cost)
			return filled, 0, true
		}
	}
}

// force fills the bucket by cost, whether it fits or not, but never above its brim:
// Shopify does not count what it refuses. It returns what it has filled in.
func (b *bucket) force(now int64, cost int64) (filled int64) {
	for {
		lim, empty := b.limit.Load(), b.emptyAt.Load()
		from := max(empty, now)
		next := min(from+lim.span(float64(cost)), max(empty, now+lim.depth()))
		if b.emptyAt.CompareAndSwap(empty, next) {
			b.count(cost)
			if b.share != nil {
				b.share.force(now, float64(next-from)/lim.unitTime())
			}
			return next - from
		}
	}
}

func (b *bucket) count(cost int64) {
	b.inFlight.Add(cost)
	b.charged.Add(cost)
}

// settle takes back what was filled in and puts in its place what was used.
func (b *bucket) settle(filled int64, used float64) {
	lim := b.limit.Load()
	if change := lim.span(used) - filled; change != 0 {
		b.emptyAt.Add(change)
		if b.share != nil {
			b.share.refund(float64(-change) / lim.unitTime())
		}
	}
}

// available is how much fits now.
func (b *bucket) available(now int64) float64 {
	lim := b.limit.Load()
	full := float64(max(0, b.emptyAt.Load()-now)) / lim.unitTime()
	return max(0, lim.size-full)
}

// learnLimit takes over another size or rate, and keeps how full the bucket is.
func (b *bucket) learnLimit(now int64, size, rate float64) {
	old := b.limit.Load()
	if size <= 0 || rate <= 0 || *old == (limit{size, rate}) {
		return
	}
	next := &limit{size, rate}
	if !b.limit.CompareAndSwap(old, next) {
		return // another answer said the same just now, or will be corrected by the next one
	}
	if empty := b.emptyAt.Load(); empty > now && old.rate != rate {
		b.emptyAt.CompareAndSwap(empty, now+int64(float64(empty-now)*next.unitTime()/old.unitTime()))
	}
}

// observation is what an answer tells of a bucket: that some time between when its request
// was sent and now it was filled at least to least and at most to most.
type observation struct {
	sent, now   int64
	least, most float64
	// lacked is by how much a call that was refused did not fit.
	lacked float64
	// unseen bounds what others may have filled in that the observation does not know of.
	unseen int64
}

// learn corrects the model where it contradicts a observation, and leaves it alone where it
// does not: the model knows fractions that Shopify's whole numbers hide, and a caller that
// is corrected upwards by each of them waits for nothing.
func (b *bucket) learn(o observation) {
	if b.share != nil {
		lim := b.limit.Load()
		b.share.observed(o.sent + lim.span(o.least))
		b.share.force(o.now, o.lacked)
	}
	for {
		lim, empty := b.limit.Load(), b.emptyAt.Load()
		// Since then the bucket has leaked for no longer than since the sending.
		lowest := o.sent + lim.span(o.least)
		highest := o.now + lim.span(o.most+float64(o.unseen))
		next := max(min(empty, highest), lowest)
		if next == empty || b.emptyAt.CompareAndSwap(empty, next) {
			return
		}
	}
}

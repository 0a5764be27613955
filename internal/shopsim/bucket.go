package shopsim

import (
	"math"
	"time"
)

// buckets are the two rate limits that one app has on one shop.
type buckets struct {
	rest    level
	graphQL level
}

// level is how full a leaky bucket was when it was last looked at.
type level struct {
	used float64
	at   time.Time
}

// leak brings the level up to date.
func (l *level) leak(rate float64, now time.Time) {
	if passed := now.Sub(l.at).Seconds(); passed > 0 && !l.at.IsZero() {
		l.used = max(0, l.used-passed*rate)
	}
	l.at = now
}

func (sh *shop) bucketsOf(clientID string) *buckets {
	b := sh.buckets[clientID]
	if b == nil {
		b = &buckets{}
		sh.buckets[clientID] = b
	}
	return b
}

// takeREST counts one call. It tells how full the bucket is, and whether the
// call still fitted.
func (b *buckets) takeREST(c Settings, now time.Time) (used int, ok bool) {
	b.rest.leak(c.RESTLeak, now)
	if b.rest.used+1 > float64(c.RESTSize) {
		return c.RESTSize, false
	}
	b.rest.used++
	return int(math.Ceil(b.rest.used)), true
}

// graphQLAvailable tells how many points are left.
func (b *buckets) graphQLAvailable(c Settings, now time.Time) float64 {
	b.graphQL.leak(c.GraphQLRestore, now)
	return max(0, c.GraphQLSize-b.graphQL.used)
}

// spendGraphQL charges what a query really cost.
func (b *buckets) spendGraphQL(c Settings, cost int) {
	b.graphQL.used = min(c.GraphQLSize, b.graphQL.used+float64(cost))
}

func (b *buckets) drain(c Settings) {
	now := time.Now()
	b.rest = level{used: float64(c.RESTSize), at: now}
	b.graphQL = level{used: c.GraphQLSize, at: now}
}

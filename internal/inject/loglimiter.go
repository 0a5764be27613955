package inject

import (
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
	"evergate/internal/shopify"
)

// logLimiter remembers which denials have been logged, so that a client that is denied all
// day does not fill the log. Its keys are from closed lists, so it does not grow.
type logLimiter struct{ last sync.Map }

type denialKind struct {
	caller, code string
	route        shopify.Route
}

// logInterval is how long the log is silent about a caller, a code and a route it has named.
const logInterval = time.Hour

// allow reports whether a denial of this kind is to be logged now.
func (l *logLimiter) allow(caller, code string, route shopify.Route) bool {
	v, _ := l.last.LoadOrStore(denialKind{caller, code, route}, new(atomic.Int64))
	last, now := v.(*atomic.Int64), clock.Mono()
	before := last.Load()
	return now-before >= int64(logInterval) && last.CompareAndSwap(before, now)
}

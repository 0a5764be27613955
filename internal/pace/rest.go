package pace

import (
	"io"
	"math/rand/v2"
	"net/http"

	"evergate/internal/prefixed"
)

// usedRESTRate is the part of the REST rate that is counted on. Two processes on one bucket
// that both send at the very moment in which a call fits find it always in the same order,
// and one of them starves. Who is a little late leaves the other a gap now and then. What
// is not taken stays in the bucket, so alone it costs nothing.
const usedRESTRate = 0.99

func (r *Reservation) observeREST(a Answer) (body io.ReadCloser, throttled bool) {
	p, b := r.pacer, r.limiter.bucket
	if used, size, ok := callLimit(a.Header); ok {
		rate := size / restSeconds
		if named := p.named.Load(); named != nil && named.size == size {
			rate = named.rate
		}
		b.learnLimit(p.now(), size, rate*usedRESTRate)
		r.settle(1, &observation{least: used - 1, most: used})
		return a.Body, false
	}
	switch a.Status {
	case http.StatusTooManyRequests:
		return r.refusedREST(a), true
	case http.StatusUnauthorized:
		r.settle(0, nil) // it never got as far as the bucket
	default:
		r.settle(1, nil)
	}
	return a.Body, false
}

// refusedREST learns from a 429: the bucket has no room for one call, and Shopify names its rate.
func (r *Reservation) refusedREST(a Answer) (body io.ReadCloser) {
	p, b := r.pacer, r.limiter.bucket
	text := prefixed.Read(a.Body, largestRefusal)
	if rate, ok := refusedRate(text.Prefix); ok {
		size := b.limit.Load().size
		p.named.Store(&limit{size, rate})
		b.learnLimit(p.now(), size, rate*usedRESTRate)
	}
	known, size := r.limiter.observed.Load(), b.limit.Load().size
	// The call did not fit, so less than one was free; how much less is not said. A random
	// part of it keeps two processes from refusing each other for ever in step.
	jitter := rand.Float64() / 2 //nolint:gosec // nobody gains by guessing it
	r.settle(0, &observation{least: size - 0.5 - jitter, most: size})
	if !known || r.attempts > maxModelRefusals {
		r.backOffFor(a.Header)
	}
	return text
}

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
	if a.Status == http.StatusTooManyRequests {
		return r.refusedREST(a), true
	}
	if used, size, ok := callLimit(a.Header); ok {
		now := r.pacer.now()
		r.learnRESTSize(now, size)
		r.settle(1, &observation{now: now, least: used - 1, most: used})
		return a.Body, false
	}
	if a.Status == http.StatusUnauthorized {
		r.settle(0, nil) // it never got as far as the bucket
	} else {
		r.settle(1, nil)
	}
	return a.Body, false
}

// learnRESTSize is told the size of the bucket, from which its rate follows.
func (r *Reservation) learnRESTSize(now int64, size float64) {
	rate := size / restSeconds
	if named := r.pacer.named.Load(); named != nil && named.size == size {
		rate = named.rate
	}
	r.limiter.bucket.learnLimit(now, size, rate*usedRESTRate)
}

// refusedREST learns from a 429. It is the bucket's if it says so, by naming the bucket's rate
// or by saying that the bucket is full, or if the model has no room either: then Shopify had no
// room for one call. Any other is of something else, such as a daily limit or the edge in front
// of Shopify, and tells nothing that other requests should wait for.
func (r *Reservation) refusedREST(a Answer) (body io.ReadCloser) {
	p, b := r.pacer, r.limiter.bucket
	text := prefixed.Read(a.Body, largestRefusal)
	rate, explained := refusedRate(p.common.decoders.plainBeginning(text.Prefix, contentEncoding(a.Header)))
	used, size, said := callLimit(a.Header)
	now := p.now()
	if said {
		r.learnRESTSize(now, size)
		explained = explained || used >= size-1
	}
	size = b.limit.Load().size
	if rate > 0 {
		p.named.Store(&limit{size, rate})
		b.learnLimit(now, size, rate*usedRESTRate)
	}
	known := r.limiter.observed.Load()
	if !explained && (said || !known || b.available(now) > 1) {
		r.settle(0, nil)
		r.backOffFor(a.Header)
		return text
	}
	// The call did not fit, so less than one was free; how much less is not said. A random
	// part of it keeps two processes from refusing each other for ever in step. Each further
	// refusal says that the guess was too high: another program may have filled the last drop.
	free := (0.5 + rand.Float64()/2) / float64(int(1)<<min(r.attempts-1, maxModelRefusals)) //nolint:gosec // nobody gains by guessing it
	if r.unseen() > 0 {
		// What was let through meanwhile is on its way to a bucket that was full already: that it has
		// leaked since this call was sent is no room for the next one.
		r.sent = now
	}
	r.settle(0, &observation{now: now, least: size - free, most: size, lacked: 1 - free})
	if r.attempts > maxModelRefusals {
		r.giveWay(a.Header)
	}
	return text
}

package pace

import (
	"context"
	"io"
	"time"
)

// Reservation is one request's way through the rate limit: Wait, then either Observe or
// Cancel, and again from Wait on if it was throttled. It belongs to one goroutine.
type Reservation struct {
	pacer      *Pacer // nil: nothing is waited for
	limiter    *limiter
	api        API
	caller     Caller
	doc        document
	cost       int64
	place      place
	deadline   int64 // MaxWait after the first Wait began
	attempts   int
	backOff    time.Duration // how long the next Wait sleeps first
	unforeseen int           // refusals after which it backed off
	// unexplained says that the last refusal is none that the model can foresee.
	unexplained bool

	open     bool  // it has been charged and not been settled
	filled   int64 // what it has put into the bucket
	sent     int64 // when it was sent
	inFlight int64 // what other requests had in flight then
	charged  int64 // the sum of all charges then

	reader *costReader // of the last answer; nil: nothing of it is read here
}

// Reserve takes up a request. body is the
// request's body if it is known, which only GraphQL needs.
func (p *Pacer) Reserve(api API, caller Caller, body []byte) Reservation {
	if p == nil || api == Uncounted {
		return Reservation{}
	}
	r := Reservation{pacer: p, limiter: p.limiterOf(api), api: api, caller: caller, cost: 1}
	if api == GraphQL {
		r.doc = readDocument(body)
		r.cost = p.common.costs.estimate(r.doc)
	}
	return r
}

// Wait returns when the request is to be sent, and how long that took if it had to wait. The
// error is ctx's cause or a *QueueFullError.
func (r *Reservation) Wait(ctx context.Context) (took time.Duration, err error) {
	if r.pacer == nil {
		return 0, nil
	}
	p, began := r.pacer, r.pacer.now()
	if r.attempts++; r.attempts == 1 {
		r.deadline = began + int64(p.opt.MaxWait)
	}
	slept := r.backOff > 0
	if slept {
		if err := r.limiter.queue.rest(ctx, r.caller, min(r.backOff, time.Duration(r.deadline-began)), r.deadline); err != nil {
			return time.Duration(p.now() - began), err
		}
		r.backOff = 0
	}
	now := began
	if slept {
		now = p.now()
	}
	filled, queued, err := r.limiter.queue.wait(ctx, r.caller, r.cost, &r.place, now, r.deadline)
	if slept || queued {
		now = p.now()
		took = time.Duration(now - began)
		p.waited(took)
	}
	if err != nil {
		return took, err
	}
	b := r.limiter.bucket
	r.inFlight, r.charged, r.filled, r.open = b.inFlight.Load()-r.cost, b.charged.Load(), filled, true
	r.sent = now
	return took, nil
}

// Cancel ends an attempt that got no answer. If it was sent, it stays charged, because
// Shopify may have counted it.
func (r *Reservation) Cancel(sent bool) {
	if r.pacer == nil {
		return
	}
	used := 0.0
	if sent {
		used = float64(r.cost)
	}
	r.settle(used, nil)
}

// Answer is what the pacer looks at of an answer of Shopify's.
type Answer struct {
	Status int
	Header Header
	Body   io.ReadCloser
	Length int64 // of the body, in bytes; -1: not declared
}

// Header is a message's header fields. http.Header is one.
type Header interface {
	// Values returns the values of the field with this name, in the order they came.
	Values(name string) []string
}

// Observe learns from Shopify's answer and reports whether it is a refusal for the rate
// limit after which the request may Wait again: one that asks for more patience than is left
// is the answer. The body that it returns takes the place of
// the answer's and has the same bytes; of a GraphQL answer the rest is learnt when it has been
// read to its end.
func (r *Reservation) Observe(a Answer) (body io.ReadCloser, again bool) {
	if r.pacer == nil {
		return a.Body, false
	}
	var throttled bool
	if r.api == REST {
		body, throttled = r.observeREST(a)
	} else {
		body, throttled = r.observeGraphQL(a)
	}
	if throttled && r.pacer.opt.Observer != nil {
		r.pacer.opt.Observer.Throttled(r.api.String())
	}
	again = throttled && r.pacer.now()+int64(r.backOff) < r.deadline
	if throttled && !again && r.place.taken {
		r.limiter.queue.giveBack(r.caller, r.place)
	}
	return body, again
}

// Release says that nobody uses the body any more that Observe returned last. What it is made of is used again if it has been closed.
func (r *Reservation) Release() {
	if c := r.reader; c != nil && c.work == nil {
		r.reader = nil
		*c = costReader{}
		costReaders.Put(c)
	}
}

// settle ends the attempt: what was charged beyond used is given back, and then what
// Shopify says of the bucket, if it says anything, has the last word.
func (r *Reservation) settle(used float64, o *observation) {
	if !r.open {
		return
	}
	r.open = false
	b := r.limiter.bucket
	if o == nil && !r.limiter.observed.Load() {
		used = 0 // nobody has ever said that there is a limit: then only what is in flight counts
	}
	b.settle(r.filled, used)
	if o != nil {
		o.sent, o.unseen = r.sent, r.unseen()
		b.learn(*o)
		r.limiter.observed.Store(true)
	}
	b.inFlight.Add(-r.cost)
	r.limiter.queue.wake()
}

// unseen bounds what Shopify may have counted of other requests beside what its answer reports.
func (r *Reservation) unseen() int64 {
	return max(0, r.inFlight) + max(0, r.limiter.bucket.charged.Load()-r.charged)
}

// maxModelRefusals is how many refusals in a row a request puts up with before it gives way. Retry-After asks for
// several times what it takes for one call to fit.
const maxModelRefusals = 5

// longestBackOff bounds how long a request waits because it has been refused often.
const longestBackOff = time.Minute

// backOffFor has the next Wait sleep for as long as Shopify asks, after a refusal that the
// model cannot explain: for a second at least, and for twice as long each time, because what
// is refused for another reason than the bucket may be refused for ever.
func (r *Reservation) backOffFor(h Header) {
	r.backOff = max(retryAfter(h), r.longer())
}

// giveWay has the next Wait sleep after many refusals that the bucket explains: somebody else takes what leaks from it. What
// Retry-After asks for is too long for most to wait where a plan has many calls a second, and the next call fits long before.
func (r *Reservation) giveWay(h Header) {
	r.backOff = r.longer()
	if asked := retryAfter(h); r.pacer.now()+int64(asked) < r.deadline {
		r.backOff = max(asked, r.backOff)
	}
}

// longer is a second, and twice as long each time.
func (r *Reservation) longer() time.Duration {
	d := min(time.Second<<min(r.unforeseen, 10), longestBackOff)
	r.unforeseen++
	return d
}

package pace

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
)

// API is one of Shopify's two rate limits.
type API uint8

// The APIs. Uncounted is for what no rate limit counts.
const (
	Uncounted API = iota
	REST
	GraphQL
)

// String returns the value of the api label.
func (a API) String() string { return [...]string{"uncounted", "rest", "graphql"}[a] }

// What is assumed of a shop until its first answer: the smallest limits that Shopify is
// known to have given.
var (
	assumedREST    = limit{size: 40, rate: 2}
	assumedGraphQL = limit{size: 1000, rate: 50}
)

// Observer is told what happens at the rate limit. It must not block.
type Observer interface {
	// Waited is told of a request that had to wait, when it has waited.
	Waited(took time.Duration)
	// Throttled is told each time Shopify refuses a request for the rate limit.
	Throttled(api string)
}

// Options configures New.
type Options struct {
	// MaxWait is the longest a request waits in all, from its arrival on; zero: not at all.
	MaxWait time.Duration
	// Observer may be nil.
	Observer Observer
}

// Pacer holds the two rate limits of one shop. A nil Pacer lets everything pass at once.
// It is safe for concurrent use.
type Pacer struct {
	opt     Options
	epoch   time.Time
	rest    gate
	graphQL gate
	costs   *costs
	// named is the REST rate that Shopify named in a refusal, with the size that the bucket
	// had then; nil: it has not. With another size it is another plan's.
	named atomic.Pointer[limit]
}

// gate is one bucket and who waits for it.
type gate struct {
	level *level
	queue *queue
	seen  atomic.Bool // Shopify has said how full it is
}

// New returns a Pacer that knows nothing of the shop yet.
func New(o Options) *Pacer {
	p := &Pacer{opt: o, epoch: time.Now(), costs: newCosts()}
	p.rest.open(assumedREST, p.now)
	p.graphQL.open(assumedGraphQL, p.now)
	return p
}

func (g *gate) open(assumed limit, now func() int64) {
	g.level = newLevel(assumed)
	g.queue = newQueue(g.level, now)
}

func (p *Pacer) now() int64 { return int64(time.Since(p.epoch)) }

func (p *Pacer) gateOf(a API) *gate {
	if a == REST {
		return &p.rest
	}
	return &p.graphQL
}

// State is what is known of one bucket.
type State struct {
	API       string
	Capacity  float64 // calls or points
	Available float64
	Rate      float64 // calls or points a second
	Waiting   int     // requests that wait now
}

// States returns what Shopify has told of its buckets; nothing of those it has not.
func (p *Pacer) States() []State {
	if p == nil {
		return nil
	}
	var all []State
	for _, api := range [...]API{REST, GraphQL} {
		g := p.gateOf(api)
		if !g.seen.Load() {
			continue
		}
		lim := g.level.limit.Load()
		all = append(all, State{api.String(), lim.size, g.level.available(p.now()), lim.rate, int(g.queue.waiting.Load())})
	}
	return all
}

// Turn is one request's way through the rate limit: Wait, then either Answered or
// Abandoned, and again from Wait on if it was throttled. It belongs to one goroutine.
type Turn struct {
	pacer    *Pacer // nil: nothing is waited for
	gate     *gate
	api      API
	caller   any
	doc      document
	cost     int64
	place    place
	deadline int64
	tries    int
	rest     time.Duration // Shopify's own word on when to come back
	// unexplained says that the last refusal is none that the model can foresee.
	unexplained bool

	sent           int64 // when it was sent; see sighting
	before, charge int64 // inFlight and charged at that moment
	filled         int64 // what it has put into the bucket
	open           bool  // it has been charged and not been answered
}

// Begin takes up a request. caller is who it is fair to: any comparable value. body is the
// request's body if it is known, which only GraphQL needs.
func (p *Pacer) Begin(api API, caller any, body []byte) Turn {
	if p == nil || api == Uncounted {
		return Turn{}
	}
	t := Turn{pacer: p, gate: p.gateOf(api), api: api, caller: caller, cost: 1, deadline: p.now() + int64(p.opt.MaxWait)}
	if api == GraphQL {
		t.doc = readDocument(body)
		t.cost = p.costs.of(t.doc)
	}
	return t
}

// Wait returns when the request is to be sent, and how long that took if it had to wait. The
// error is ctx's cause.
func (t *Turn) Wait(ctx context.Context) (took time.Duration, err error) {
	if t.pacer == nil {
		return 0, nil
	}
	p, began := t.pacer, t.pacer.now()
	t.tries++
	waited := t.rest > 0
	if waited {
		if err := clock.Sleep(ctx, min(t.rest, time.Duration(t.deadline-began))); err != nil {
			return time.Duration(p.now() - began), err
		}
		t.rest = 0
	}
	filled, queued, err := t.gate.queue.wait(ctx, t.caller, t.cost, &t.place, t.deadline)
	if waited || queued {
		took = time.Duration(p.now() - began)
		p.waited(took)
	}
	if err != nil {
		return took, err
	}
	l := t.gate.level
	t.before, t.charge, t.filled, t.open = l.inFlight.Load()-t.cost, l.charged.Load(), filled, true
	t.sent = p.now()
	return took, nil
}

func (p *Pacer) waited(took time.Duration) {
	if p.opt.Observer != nil {
		p.opt.Observer.Waited(took)
	}
}

// Abandoned ends a sending that got no answer. If it was sent, it stays charged, because
// Shopify may have counted it.
func (t *Turn) Abandoned(sent bool) {
	if t.pacer == nil {
		return
	}
	used := 0.0
	if sent {
		used = float64(t.cost)
	}
	t.settle(used, nil)
}

// Answered learns from Shopify's answer and reports whether it is a refusal for the rate
// limit after which the request may Wait again. It may replace resp.Body, whose bytes stay
// what they are; of a GraphQL answer the rest is learnt when the body has been read.
func (t *Turn) Answered(resp *http.Response) (again bool) {
	if t.pacer == nil {
		return false
	}
	var throttled bool
	if t.api == REST {
		throttled = t.restAnswered(resp)
	} else {
		throttled = t.graphQLAnswered(resp)
	}
	if throttled && t.pacer.opt.Observer != nil {
		t.pacer.opt.Observer.Throttled(t.api.String())
	}
	return throttled && t.pacer.now() < t.deadline
}

// settle ends the sending: what was charged beyond used is given back, and then what
// Shopify says of the bucket, if it says anything, has the last word.
func (t *Turn) settle(used float64, s *sighting) {
	if !t.open {
		return
	}
	t.open = false
	l := t.gate.level
	if s == nil && !t.gate.seen.Load() {
		used = 0 // nobody has ever said that there is a limit: then only what is in flight counts
	}
	l.settle(t.filled, used)
	if s != nil {
		s.sent, s.unseen = t.sent, max(0, t.before)+max(0, l.charged.Load()-t.charge)
		l.learn(t.pacer.now(), *s)
		t.gate.seen.Store(true)
	}
	l.inFlight.Add(-t.cost)
	t.gate.queue.nudge()
}

const (
	// restCaution is the part of the REST rate that is counted on. Two processes on one bucket
	// that both send at the very moment in which a call fits find it always in the same order,
	// and one of them starves. Who is a little late leaves the other a gap now and then. What
	// is not taken stays in the bucket, so alone it costs nothing.
	restCaution = 0.99
	// patienceWithModel is how many refusals in a row a request puts up with before it does as
	// Retry-After says, which asks for several times what it takes for one call to fit.
	patienceWithModel = 10
)

func (t *Turn) restAnswered(resp *http.Response) (throttled bool) {
	p, l := t.pacer, t.gate.level
	if used, size, ok := callLimit(resp.Header); ok {
		rate := size / restSeconds
		if named := p.named.Load(); named != nil && named.size == size {
			rate = named.rate
		}
		l.learnLimit(p.now(), size, rate*restCaution)
		t.settle(1, &sighting{least: used - 1, most: used})
		return false
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		t.refused(resp)
		return true
	case http.StatusUnauthorized:
		t.settle(0, nil) // it never got as far as the bucket
	default:
		t.settle(1, nil)
	}
	return false
}

// refused learns from a 429: the bucket has no room for one call, and Shopify names its rate.
func (t *Turn) refused(resp *http.Response) {
	p, l := t.pacer, t.gate.level
	if rate, ok := refusedRate(readShort(resp)); ok {
		size := l.limit.Load().size
		p.named.Store(&limit{size, rate})
		l.learnLimit(p.now(), size, rate*restCaution)
	}
	known, size := t.gate.seen.Load(), l.limit.Load().size
	// The call did not fit, so less than one was free; how much less is not said, and drawing
	// lots keeps two processes from refusing each other for ever in step.
	lot := rand.Float64() / 2 //nolint:gosec // nobody gains by guessing it
	t.settle(0, &sighting{least: size - 0.5 - lot, most: size})
	if !known || t.tries > patienceWithModel {
		t.comeBackLater(resp)
	}
}

// comeBackLater has the next Wait rest as long as Shopify asks, or a second, for a refusal
// that the model cannot explain.
func (t *Turn) comeBackLater(resp *http.Response) {
	t.rest = max(retryAfter(resp.Header), time.Second)
}

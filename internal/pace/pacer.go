package pace

import (
	"sync/atomic"
	"time"

	"evergate/internal/shopify"
)

// API is one of Shopify's two rate limits.
type API = shopify.API

// The APIs. Uncounted is for what no rate limit counts.
const (
	Uncounted = shopify.Uncounted
	REST      = shopify.REST
	GraphQL   = shopify.GraphQL
)

// Caller is who a request is fair to.
type Caller struct {
	// Key is equal for the requests of one caller. It can be compared.
	Key any
	// Known callers have said who they are, and each has a share of its own. All others have one
	// together, of which each Key gets its part.
	Known bool
}

// strangers is the group of the callers that are not known.
type strangers struct{}

// group is who shares the caller's share.
func (c Caller) group() any {
	if c.Known {
		return c.Key
	}
	return strangers{}
}

// What is assumed of a shop until its first answer: the smallest limits that Shopify is
// known to have given.
var (
	assumedREST    = &limit{size: 40, rate: 2}
	assumedGraphQL = &limit{size: 1000, rate: 50}
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
	// Common is shared by the Pacers of several shops; nil: this one has its own.
	Common *Common
	// Ledger accounts for what other processes put into the buckets; nil: only what answers say is known of that.
	Ledger Ledger
}

// Pacer holds the two rate limits of one shop. A nil Pacer lets everything pass at once.
// It is safe for concurrent use.
type Pacer struct {
	opt     Options
	epoch   time.Time
	rest    limiter
	graphQL limiter
	common  *Common
	// named is the REST rate that Shopify named in a refusal, with the size that the bucket
	// had then; nil: it has not. With another size it is another plan's.
	named atomic.Pointer[limit]
}

// limiter is one bucket and who waits for it.
type limiter struct {
	bucket   *bucket
	queue    *queue
	observed atomic.Bool // Shopify has said how full the bucket is
}

// New returns a Pacer that knows nothing of the shop yet.
func New(o Options) *Pacer {
	p := &Pacer{opt: o, epoch: time.Now(), common: o.Common}
	if p.common == nil {
		p.common = NewCommon()
	}
	p.rest.init(assumedREST, p.now)
	p.graphQL.init(assumedGraphQL, p.now)
	if o.Ledger != nil {
		for _, api := range [...]API{REST, GraphQL} {
			l := p.limiterOf(api)
			l.bucket.share = newShare(o.Ledger, api, l.bucket, l.queue.wake, p.now)
		}
	}
	return p
}

func (l *limiter) init(assumed *limit, now func() int64) {
	l.bucket = newBucket(assumed)
	l.queue = newQueue(l.bucket, now)
}

func (p *Pacer) now() int64 { return int64(time.Since(p.epoch)) }

func (p *Pacer) limiterOf(a API) *limiter {
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
		l := p.limiterOf(api)
		if !l.observed.Load() {
			continue
		}
		lim := l.bucket.limit.Load()
		all = append(all, State{api.String(), lim.size, l.bucket.available(p.now()), lim.rate, int(l.queue.waiting.Load())})
	}
	return all
}

func (p *Pacer) waited(took time.Duration) {
	if p.opt.Observer != nil {
		p.opt.Observer.Waited(took)
	}
}

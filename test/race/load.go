package race

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// every is how often a call is due at each replica, whether or not those before have been answered: so calls are spread over all of the
// time, and a replica that stands still holds up its own alone.
const every = 20 * time.Millisecond

// patience is longer than a call may take: a pause, and the wait for a token after it.
const patience = 30 * time.Second

// tally is what became of the calls.
type tally struct {
	due, answered, owed, refused atomic.Int64
	// amid are those that were refused although a token was owed, while there was trouble: a machine that is busy explains them, too.
	amid atomic.Int64
	// stood are those of them whose replica stood still.
	stood atomic.Int64

	mu       sync.Mutex
	longest  time.Duration  // of those to which a token was owed
	failures map[string]int // by what was wrong
	examples []string       // of failures, the first few
}

// enough examples of failures are told.
const enough = 10

func (c *tally) fail(what, example string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.examples) < enough {
		c.examples = append(c.examples, what+": "+example)
	}
	if c.failures == nil {
		c.failures = map[string]int{}
	}
	c.failures[what]++
}

func (c *tally) took(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.longest = max(c.longest, d)
}

// share is that of the calls which had to have a token, of all that were due.
func (c *tally) share() float64 { return float64(c.owed.Load()) / float64(max(1, c.due.Load())) }

// load calls random shops at a replica until ctx ends, and returns when all calls have ended.
func (r *race) load(ctx context.Context, p *replica) {
	var calls sync.WaitGroup
	defer calls.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			calls.Go(func() { r.call(p, r.shops[rand.IntN(len(r.shops))]) })
		case <-ctx.Done():
			return
		}
	}
}

// call calls a shop, and holds that it is refused for want of a token only if none was owed.
func (r *race) call(p *replica, name string) {
	r.tally.due.Add(1)
	began, now := time.Now(), p.current()
	if now == nil {
		return
	}
	got, err := r.get(r.t.Context(), now.url+"/"+name+".myshopify.com/admin/api/2026-10/shop.json")
	ended := time.Now()
	if err != nil {
		if !p.still.touches(began, ended) {
			r.tally.fail("no answer", fmt.Sprintf("%s at replica %d: %v", name, p.number, err))
		}
		return
	}
	r.tally.answered.Add(1)
	known := r.knows(p, now, name)
	owed := known.owes(began, ended)
	example := fmt.Sprintf("%s at replica %d, %s", name, p.number, known.story(began, ended)+": "+got.text)
	if owed {
		r.tally.owed.Add(1)
	}
	switch {
	case got.status == http.StatusOK:
		now.serves(name, ended)
		if owed {
			r.tally.took(ended.Sub(began))
		}
	case got.code == "no_token":
		r.tally.refused.Add(1)
		switch {
		case !owed:
		case !r.strict && known.troubled(began, ended):
			r.tally.amid.Add(1)
		default:
			r.tally.fail("for want of a token", example+"\n"+r.toldOf(name))
		}
	case (got.status == http.StatusUnauthorized || got.code == "upstream_unreachable") && p.still.touches(began, ended):
		// its token, or the time to connect in, may have ended while it stood still
		r.tally.amid.Add(1)
		r.tally.stood.Add(1)
	default:
		r.tally.fail(got.String(), example+"\n"+r.toldOf(name))
	}
}

// knows is what a life of a replica could know of a shop.
func (r *race) knows(p *replica, now *alive, name string) knowledge {
	k := knowledge{settle: r.Lease, hears: r.Hears, away: slices.Concat(r.away.list(), p.still.list(), p.cut.list()), served: now.servedAt(name)}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.minted[name+".myshopify.com"] {
		k.minted = append(k.minted, m.at)
	}
	return k
}

var client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// answer is what a call got.
type answer struct {
	status     int
	code, text string // of a refusal
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.code) }

func (r *race) get(ctx context.Context, url string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header.Get("X-Evergate-Error"), string(text)}, err
}

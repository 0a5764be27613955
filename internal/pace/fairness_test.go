package pace

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// tally is what came of one caller's requests.
type tally struct {
	mu                     sync.Mutex
	served, refused, later int // by Shopify; refused by it; not sent
}

// fullBucket is a shop's REST bucket as Shopify keeps it: it is full, and two calls fit each second.
type fullBucket struct {
	mu    sync.Mutex
	level float64
	at    time.Time
}

func (b *fullBucket) answer() (fits bool, header string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.level = max(0, b.level-2*now.Sub(b.at).Seconds())
	b.at = now
	if b.level > 39 {
		return false, ""
	}
	b.level++
	return true, fmt.Sprintf("%d/40", int(b.level+0.999))
}

// keepCalling makes calls, one after the other, until ctx ends. Whoever is refused comes back at once.
func keepCalling(ctx context.Context, p *Pacer, b *fullBucket, caller Caller, t *tally) {
	for ctx.Err() == nil {
		call(ctx, p, b, caller, t)
	}
}

// call makes one call.
func call(ctx context.Context, p *Pacer, b *fullBucket, caller Caller, t *tally) {
	r := p.Reserve(REST, caller, nil)
	for again := true; again; {
		_, err := r.Wait(ctx)
		var full *QueueFullError
		if errors.As(err, &full) {
			t.mu.Lock()
			t.later++
			t.mu.Unlock()
			time.Sleep(100 * time.Millisecond) // in faked time
			return
		}
		if err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond) // the way there and back
		fits, header := b.answer()
		resp := response(429, bucketRefusal)
		if fits {
			resp = response(200, "{}", callLimitHeader, header)
		}
		again = observe(&r, resp)
		t.mu.Lock()
		switch {
		case fits:
			t.served++
		case !again:
			t.refused++
		}
		t.mu.Unlock()
	}
}

func TestAFloodTakesNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	named := func(name string) func(int) Caller {
		return func(int) Caller { return Caller{Key: name, Known: true} }
	}
	stranger := func(i int) Caller { return Caller{Key: i} }
	for _, c := range []struct {
		name  string
		one   Caller
		flood func(int) Caller
	}{
		{"named_beside_connections", Caller{Key: "agent", Known: true}, stranger},
		{"named_beside_named", Caller{Key: "agent", Known: true}, named("other")},
		{"connection_beside_named", Caller{Key: -1}, named("other")},
		{"user_beside_user", Caller{Key: -1}, func(int) Caller { return Caller{Key: -2} }},
	} {
		for _, maxWait := range []time.Duration{2 * time.Second, 8 * time.Second, time.Minute} {
			t.Run(c.name+"_"+maxWait.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p, b := New(Options{MaxWait: maxWait}), &fullBucket{level: 40, at: time.Now()}
					do(t, p, REST, "", response(200, "{}", callLimitHeader, "40/40"))
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
					defer cancel()
					var one, flood tally
					var group sync.WaitGroup
					for i := range 300 {
						group.Go(func() { keepCalling(ctx, p, b, c.flood(i), &flood) })
					}
					synctest.Wait() // the flood is there first
					group.Go(func() { keepCalling(ctx, p, b, c.one, &one) })
					group.Wait()
					t.Logf("one: %+v; flood: %d served, %d refused, %d not sent", one.served, flood.served, flood.refused, flood.later)
					if share := float64(one.served) / float64(one.served+flood.served); share < 0.45 {
						t.Errorf("%d calls of %d: %.0f %%, and half of them are its own", one.served, one.served+flood.served, 100*share)
					}
					if all := one.served + flood.served; all < 220 {
						t.Errorf("%d calls in two minutes; 240 are there", all)
					}
					if one.later > 0 {
						t.Errorf("%d calls of the one were not sent", one.later)
					}
					if p.rest.queue.waiting.Load() != 0 || p.rest.queue.active != 0 || len(p.rest.queue.groups) != 0 {
						t.Errorf("left behind: %d waiting, %d active, %d groups", p.rest.queue.waiting.Load(), p.rest.queue.active, len(p.rest.queue.groups))
					}
				})
			})
		}
	}
}

// TestACallerThatIsAwayForAMomentKeepsItsTurn has one that sends a call after the other, and is away for longer than it takes to
// serve another caller once.
func TestACallerThatIsAwayForAMomentKeepsItsTurn(t *testing.T) {
	t.Parallel()
	for away, want := range map[time.Duration]float64{
		0: 0.5, 400 * time.Millisecond: 0.5, 700 * time.Millisecond: 0.5, 900 * time.Millisecond: 0.5, 1200 * time.Millisecond: 0.33,
	} {
		synctest.Test(t, func(t *testing.T) {
			p, b := New(Options{MaxWait: 8 * time.Second}), &fullBucket{level: 40, at: time.Now()}
			do(t, p, REST, "", response(200, "{}", callLimitHeader, "40/40"))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var one, flood tally
			var group sync.WaitGroup
			for i := range 300 {
				group.Go(func() { keepCalling(ctx, p, b, Caller{Key: i}, &flood) })
			}
			synctest.Wait() // the flood is there first
			group.Go(func() {
				for ctx.Err() == nil {
					call(ctx, p, b, Caller{Key: "agent", Known: true}, &one)
					time.Sleep(away)
				}
			})
			group.Wait()
			share := float64(one.served) / float64(one.served+flood.served)
			t.Logf("away for %s: %.2f of what was served; flood: %d served, %d refused, %d not sent", away, share, flood.served, flood.refused, flood.later)
			if share < want-0.05 {
				t.Errorf("away for %s: %.2f of what was served, want %.2f", away, share, want)
			}
			if one.refused+one.later > 0 {
				t.Errorf("away for %s: %d were refused and %d not sent", away, one.refused, one.later)
			}
		})
	}
}

// TestTheDeadlinesOfAFloodAreNobodyElses has three hundred requests whose time ends at once, while another caller is served.
func TestTheDeadlinesOfAFloodAreNobodyElses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, b := New(Options{MaxWait: 4 * time.Second}), &fullBucket{level: 40, at: time.Now()}
		do(t, p, REST, "", response(200, "{}", callLimitHeader, "40/40"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var flood, one tally
		var group sync.WaitGroup
		for i := range 300 {
			group.Go(func() { call(ctx, p, b, Caller{Key: i}, &flood) })
		}
		synctest.Wait()
		began := time.Now()
		for i := range 6 {
			call(ctx, p, b, Caller{Key: "agent", Known: true}, &one)
			if i == 2 {
				time.Sleep(time.Until(began.Add(4100 * time.Millisecond))) // it is away when the flood's time is over
			}
		}
		group.Wait()
		t.Logf("flood: %d served, %d refused, %d not sent; one: %d served", flood.served, flood.refused, flood.later, one.served)
		if one.served != 6 || flood.refused > 2 {
			t.Errorf("%d of 6 were served, and Shopify refused %d of the flood", one.served, flood.refused)
		}
	})
}

func TestWhoIsAloneGetsShopifysOwnAnswerAtTheLongestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{MaxWait: 2 * time.Second})
		do(t, p, REST, "", response(200, "{}", callLimitHeader, "40/40"))
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				r := p.Reserve(REST, Caller{Key: "agent", Known: true}, nil)
				if _, err := r.Wait(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	})
}

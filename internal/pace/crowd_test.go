package pace

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// crowd is requests that wait, each with its caller, in the order in which they came.
type crowd struct {
	p    *Pacer
	all  sync.WaitGroup
	stop context.CancelFunc
	ctx  context.Context

	mu   sync.Mutex
	left []any // keys of the callers whose requests made room, in that order
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{p: New(Options{MaxWait: time.Hour})}
	c.ctx, c.stop = context.WithCancel(t.Context())
	do(t, c.p, REST, "", response(200, "{}", callLimitHeader, "40/40"))
	return c
}

func (c *crowd) comes(caller Caller) {
	c.all.Go(func() {
		r := c.p.Reserve(REST, caller, nil)
		_, err := r.Wait(c.ctx)
		if err == nil {
			r.Cancel(true)
			return
		}
		if full, ok := errors.AsType[*QueueFullError](err); ok && full.Crowded && full.RetryAfter > 0 {
			c.mu.Lock()
			c.left = append(c.left, caller.Key)
			c.mu.Unlock()
		}
	})
	synctest.Wait()
}

func (c *crowd) ends(t *testing.T) {
	t.Helper()
	c.stop()
	c.all.Wait()
	if q := c.p.rest.queue; q.waiting.Load() != 0 || q.active != 0 || len(q.resting) != 0 {
		t.Errorf("left behind: %d waiting, %d active, %d resting", q.waiting.Load(), q.active, len(q.resting))
	}
}

func TestTheYoungestOfThoseWithTheMostWaitingMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		defer c.ends(t)
		agent, other := Caller{Key: "agent", Known: true}, Caller{Key: "other", Known: true}
		for i := range 8 { // strangers with one each, of which the first fits
			c.comes(Caller{Key: i})
		}
		for range 3 {
			c.comes(agent)
		}
		c.comes(other)
		for range 4 {
			if !c.p.MakeRoom(12) {
				t.Fatalf("nobody made room; %v did", c.left)
			}
			synctest.Wait()
		}
		// A share is for three groups and a newcomer: none has more than its part any more.
		if c.p.MakeRoom(12) {
			t.Error("somebody made room who has no more than a part of the places")
		}
		want := []any{7, 6, 5, 4}
		if len(c.left) != len(want) {
			t.Fatalf("%v made room", c.left)
		}
		for i, key := range want {
			if c.left[i] != key {
				t.Errorf("%v made room, want %v", c.left, want)
			}
		}
	})
}

func TestAmongStrangersTheOneWithTheMostWaitingMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		defer c.ends(t)
		for _, key := range []string{"a", "many", "many", "b"} {
			c.comes(Caller{Key: key})
		}
		c.p.MakeRoom(4)
		synctest.Wait()
		if len(c.left) != 1 || c.left[0] != "many" {
			t.Errorf("%v made room", c.left)
		}
	})
}

func TestWhoMadeRoomHadNoTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		defer c.ends(t)
		for i := range 4 {
			c.comes(Caller{Key: i})
		}
		charged := c.p.rest.bucket.charged.Load()
		for range 2 {
			c.p.MakeRoom(1)
		}
		synctest.Wait()
		if now := c.p.rest.bucket.charged.Load(); now != charged || c.p.rest.bucket.inFlight.Load() != 0 {
			t.Errorf("%d charged before and %d after, %d in flight", charged, now, c.p.rest.bucket.inFlight.Load())
		}
		time.Sleep(2 * time.Second) // in faked time; the others are served
		synctest.Wait()
		if n := c.p.rest.queue.waiting.Load(); n != 0 || len(c.left) != 2 {
			t.Errorf("%d wait still, %v made room", n, c.left)
		}
	})
}

// TestWhoWasRefusedMakesRoom has requests wait because Shopify has refused them for a reason of its own.
func TestWhoWasRefusedMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		defer c.ends(t)
		time.Sleep(time.Minute) // in faked time: the bucket is empty
		ended := make(chan error, 3)
		for i := range 3 {
			c.all.Go(func() {
				r := c.p.Reserve(REST, Caller{Key: i}, nil)
				if _, err := r.Wait(c.ctx); err != nil {
					t.Error(err)
				}
				if !observe(&r, response(429, "", "Retry-After", "600")) {
					t.Error("it is not sent again")
				}
				_, err := r.Wait(c.ctx)
				ended <- err
			})
			synctest.Wait()
		}
		if !c.p.MakeRoom(3) {
			t.Fatal("nobody made room")
		}
		synctest.Wait()
		full, ok := errors.AsType[*QueueFullError](<-ended)
		if !ok || !full.Crowded || full.RetryAfter < time.Second {
			t.Errorf("it ended with %v", full)
		}
	})
}

func TestNobodyMakesRoomWhereNobodyWaits(t *testing.T) {
	t.Parallel()
	var none *Pacer
	if none.MakeRoom(1) || New(Options{}).MakeRoom(0) {
		t.Error("somebody made room")
	}
}

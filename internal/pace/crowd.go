package pace

import (
	"context"
	"time"
)

// rester is a request that waits because Shopify has refused it for a reason that the bucket does not explain.
type rester struct {
	caller   Caller
	deadline int64
	told     chan struct{} // closed when it has to make room
}

// rest lets d pass. The error is ctx's cause or a *QueueFullError.
func (q *queue) rest(ctx context.Context, caller Caller, d time.Duration, deadline int64) error {
	r := &rester{caller, deadline, make(chan struct{})}
	q.mu.Lock()
	if q.resting == nil {
		q.resting = map[*rester]struct{}{}
	}
	q.resting[r] = struct{}{}
	q.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	defer func() {
		q.mu.Lock()
		delete(q.resting, r)
		q.mu.Unlock()
	}()
	select {
	case <-timer.C:
		return nil
	case <-r.told:
		return &QueueFullError{RetryAfter: max(time.Second, d), Crowded: true}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// largest is who has the most requests waiting, how many, and how many groups have any.
func (q *queue) largest() (whose any, waiting, groups int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	count := map[any]int{}
	for key, g := range q.groups {
		if len(g.line) > 0 {
			count[key] = len(g.line)
		}
	}
	for r := range q.resting {
		count[r.caller.group()]++
	}
	for key, n := range count {
		if n > waiting {
			whose, waiting = key, n
		}
	}
	return whose, waiting, len(count)
}

// makeRoom ends the youngest request of a group: of those that were refused, if there are any, else of the caller
// with the most requests in the line.
func (q *queue) makeRoom(whose any) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	var rests *rester
	for r := range q.resting {
		if r.caller.group() == whose && (rests == nil || r.deadline > rests.deadline) {
			rests = r
		}
	}
	if rests != nil {
		delete(q.resting, rests)
		close(rests.told)
		return true
	}
	g := q.groups[whose]
	if g == nil || len(g.line) == 0 {
		return false
	}
	leaves := g.line[0]
	for _, w := range g.line {
		if n, most := w.caller.waiting, leaves.caller.waiting; n > most || n == most && w.number > leaves.number {
			leaves = w
		}
	}
	full := queueFull(q.bucket.limit.Load().span(float64(leaves.caller.load) * float64(q.active*g.active)))
	full.Crowded = true
	q.remove(leaves)
	leaves.caller.end -= leaves.share // it has not been served
	leaves.refused = full
	close(leaves.granted)
	q.dispatch()
	return true
}

// MakeRoom is for whoever has a number of places, all of them taken, while somebody new waits for one: it ends the
// youngest waiting request of the callers that have the most waiting, with a *QueueFullError. Those who share a share of the
// rate limit count as one, and who waits for a place as another. Where nobody has more than an equal part of the places, it is not
// those who wait here that have taken them, and it reports false.
func (p *Pacer) MakeRoom(places int) bool {
	if p == nil {
		return false
	}
	var crowd *queue
	var whose any
	most, groups := 0, 1
	for _, q := range [...]*queue{p.rest.queue, p.graphQL.queue} {
		who, n, sharing := q.largest()
		if groups += sharing; n > most {
			crowd, whose, most = q, who, n
		}
	}
	return most*groups > places && crowd.makeRoom(whose)
}

package pace

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// queue lets requests through one at a time as a bucket has room for them. It is fair
// between groups of callers, and within each between its callers, by fair queuing: each
// request gets a virtual time at which it would start if every caller were served at the same
// speed, and the earliest goes first (start-time fair queuing, Goyal, Vin and Cheng 1996). A
// caller with a hundred requests waiting and one with a single one advance alike.
//
// A caller that has said who it is, is a group of its own. All others are one together, or
// whoever opens three hundred connections would have three hundred shares.
//
// Virtual time advances by what is served, divided by those who wait (as in Demers, Keshav and
// Shenker 1989). Taking the served request's start alone would let a stream of callers with
// one request each, such as scripts that open a connection for every call, hold it still and
// starve everybody else.
//
// Most programs send a call after the other, and are away for a moment after each answer. A group
// that was served a short while ago is owed its next turn as if it had never left, and virtual time
// advances as if it waited: the turn is the first one after its return, and one turn is all
// that it can be owed.
//
// Its lock is taken only by requests that have to wait.
type queue struct {
	bucket *bucket
	now    func() int64

	waiting atomic.Int32 // requests in all lines, for those who ask without the lock

	mu      sync.Mutex
	groups  map[any]*group // made by the first request that waits
	active  int            // groups with a request in their line
	virtual float64        // the time that groups are served in
	arrived uint64
	turns   uint64
	timer   *time.Timer          // see schedule
	resting map[*rester]struct{} // made by the first one
}

// group is those who share one share.
type group struct {
	next    float64 // virtual time of the queue's at which it is served next
	owed    float64 // how far it may be behind virtual time when it returns: what it was last served with
	turn    uint64  // when it was last served, among all turns
	at      int64   // the same in time
	line    waiters
	callers map[any]*callerState
	active  int     // callers with a request in the line
	virtual float64 // the time that its requests start in
}

// callerState is what the queue knows of a caller.
type callerState struct {
	end     float64 // virtual time at which its last request ends
	waiting int     // its requests in the line
	load    int64   // their cost
}

// waiter is one request in the line.
type waiter struct {
	place
	group   *group
	caller  *callerState
	cost    int64
	index   int // place in the heap; -1 once it is out
	filled  int64
	refused error         // it may not go
	granted chan struct{} // closed when filled or refused is set
}

func newQueue(b *bucket, now func() int64) *queue {
	return &queue{bucket: b, now: now}
}

// place is where a request belongs in the line. It keeps its place when it comes back.
type place struct {
	start  float64 // in its group's virtual time
	share  float64 // of virtual time: what it was thought to cost when it came
	served float64 // when its group was served with it, in the queue's virtual time
	number uint64  // breaks ties: who came first
	taken  bool
	// counted says that virtual time has advanced for it: once, however often it is sent, or those
	// who come later would start behind requests that were refused and wait for their turn still.
	counted bool
	// back says that its group has been given its turn back.
	back bool
}

const (
	// fewWaiting requests of one caller may always wait, and manyWaiting if nobody else does,
	// even if there is little hope that all of them are served in time.
	fewWaiting  = 16
	manyWaiting = 1024
	// lately is how long a group whose line is empty counts as one that is only away.
	lately = 2 * time.Second
	// longestRetry bounds when a caller is told to come again.
	longestRetry = time.Minute
)

// QueueFullError is the end of a request for which its caller has no turn left within the
// longest wait, because of its other requests, while others wait for theirs.
type QueueFullError struct {
	RetryAfter time.Duration
	// Crowded says that the request made room for somebody else, see MakeRoom.
	Crowded bool
}

// Error implements error.
func (e *QueueFullError) Error() string {
	if e.Crowded {
		return "others wait for a connection to Evergate, and the caller has more than its part of them waiting for the rate limit"
	}
	return fmt.Sprintf("the caller has more requests waiting for the rate limit than its share serves in time; room is expected in %s",
		e.RetryAfter.Round(time.Second))
}

// wait is called now. It returns when there is room for cost and nobody is due before, and what it has filled
// into the bucket. At the deadline it does so all the same, unless that would take the turn of
// others. The error is ctx's cause or a *QueueFullError, in which case nothing is filled in. It
// reports whether it had to wait.
func (q *queue) wait(ctx context.Context, caller Caller, cost int64, p *place, now, deadline int64) (filled int64, waited bool, err error) {
	if q.waiting.Load() == 0 {
		if filled, _, ok := q.bucket.take(now, cost); ok {
			return filled, false, nil
		}
	}
	w, err := q.enter(caller, cost, *p, deadline)
	if err != nil {
		return 0, false, err
	}
	timer := time.NewTimer(time.Duration(deadline - q.now()))
	defer timer.Stop()
	select {
	case <-w.granted:
	case <-ctx.Done():
		if !q.leave(w) && w.refused == nil { // it was granted in this very moment
			q.bucket.settle(w.filled, 0)
			q.bucket.inFlight.Add(-cost)
			q.wake()
		}
		return 0, true, context.Cause(ctx)
	case <-timer.C:
		if err := q.expire(w); err != nil {
			return 0, true, err
		}
	}
	*p = w.place
	return w.filled, true, w.refused
}

func (q *queue) enter(caller Caller, cost int64, p place, deadline int64) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.groups[caller.group()]
	if g == nil {
		g = &group{callers: map[any]*callerState{}}
		if q.groups == nil {
			q.groups = map[any]*group{}
		}
		q.groups[caller.group()] = g
	}
	c := g.callers[caller.Key]
	if c == nil {
		c = &callerState{}
		g.callers[caller.Key] = c
	}
	if p.taken { // the group has been charged for it already
		if !p.back {
			g.returned(p, q.virtual)
			p.back = true
		}
	} else {
		if err := q.admit(g, c, cost, deadline); err != nil {
			return nil, err
		}
		q.arrived++
		p = place{start: max(g.virtual, c.end), share: float64(cost), number: q.arrived, taken: true}
		c.end = p.start + p.share
		if len(g.line) == 0 {
			g.next = max(g.next, q.virtual-g.owed)
		}
	}
	w := &waiter{place: p, group: g, caller: c, cost: cost, granted: make(chan struct{})}
	q.push(w)
	q.dispatch()
	return w, nil
}

// admit refuses a request that its caller's share does not serve before the deadline, because
// many others of the same caller wait.
func (q *queue) admit(g *group, c *callerState, cost, deadline int64) error {
	if c.waiting < fewWaiting || c.waiting < manyWaiting && q.active == 1 && g.active == 1 {
		return nil
	}
	wait := q.bucket.limit.Load().span(float64(c.load+cost) * float64(q.active*g.active))
	if wait <= deadline-q.now() {
		return nil
	}
	return queueFull(wait)
}

func queueFull(wait int64) *QueueFullError {
	return &QueueFullError{RetryAfter: min(max(time.Duration(wait), time.Second), longestRetry)}
}

func (q *queue) push(w *waiter) {
	g, c := w.group, w.caller
	if len(g.line) == 0 {
		q.active++
	}
	if c.waiting == 0 {
		g.active++
	}
	c.waiting++
	c.load += w.cost
	heap.Push(&g.line, w)
	q.waiting.Add(1)
}

func (q *queue) remove(w *waiter) {
	g, c := w.group, w.caller
	heap.Remove(&g.line, w.index)
	if c.waiting--; c.waiting == 0 {
		g.active--
	}
	c.load -= w.cost
	if len(g.line) == 0 {
		q.active--
	}
	q.waiting.Add(-1)
}

// leave takes w out of the line; false means that it is out already.
func (q *queue) leave(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.index < 0 {
		return false
	}
	q.remove(w)
	q.dispatch()
	return true
}

// expire sends w whose time is over, unless it has been granted already. What it takes counts
// as its group's turn. While others wait, a group or a caller that is ahead of them gets no
// turn that way: their requests would find the bucket empty whenever it is theirs. Nor does a flood,
// whose requests end all at once, while another group is served or was a moment ago.
func (q *queue) expire(w *waiter) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.index < 0 {
		return nil
	}
	g := w.group
	others := q.others(g)
	ahead := others && (g.next > q.virtual+w.share || g.active >= fewWaiting) || g.active > 1 && w.start > g.virtual+w.share
	var err error
	if ahead {
		err = queueFull(q.bucket.limit.Load().span(float64(w.caller.load) * float64(q.active*g.active)))
	}
	q.remove(w)
	if ahead {
		w.caller.end -= w.share // it has not been served
	} else {
		w.filled = q.bucket.force(q.now(), w.cost)
		q.serve(w)
	}
	q.dispatch()
	return err
}

// others reports whether another group than g waits, or was served a moment ago.
func (q *queue) others(g *group) bool {
	for _, o := range q.groups {
		if o != g && (len(o.line) > 0 || o.isOwed(q.virtual) || o.wasServedLately(q.now())) {
			return true
		}
	}
	return false
}

// isOwed reports whether the group is away and has its next turn coming all the same.
func (g *group) isOwed(virtual float64) bool { return len(g.line) == 0 && g.next+g.owed > virtual }

func (g *group) wasServedLately(now int64) bool { return g.at != 0 && now-g.at < int64(lately) }

// serve counts w as its group's turn.
func (q *queue) serve(w *waiter) {
	g := w.group
	q.turns++
	g.turn, g.at = q.turns, q.now()
	w.served = g.next
	g.next += w.share
	g.owed = w.share
}

// giveBack is told that Shopify has refused a request for good: its group has not had its turn.
func (q *queue) giveBack(caller Caller, p place) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if g := q.groups[caller.group()]; g != nil {
		g.returned(p, q.virtual)
	}
}

// returned takes back the turn of a request that Shopify has refused. A flood of refusals is no claim to a flood of turns: virtual
// time has gone on for those who came meanwhile.
func (g *group) returned(p place, virtual float64) {
	g.next = min(g.next, max(g.next-p.share, p.served, virtual-p.share))
}

// wake lets those who wait profit from what has been learnt, or from the time that has passed.
func (q *queue) wake() {
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dispatch()
}

// first is the request that is due, or nil, and among how many groups time is shared. Of two groups that are
// due at the same time, the one goes first that was served longer ago.
func (q *queue) first() (due *waiter, sharing int) {
	sharing = q.active
	for _, g := range q.groups {
		if len(g.line) == 0 {
			if g.isOwed(q.virtual) {
				sharing++
			}
			continue
		}
		if due == nil || g.before(due.group) {
			due = g.line[0]
		}
	}
	return due, sharing
}

func (g *group) before(other *group) bool {
	switch {
	case g.next != other.next:
		return g.next < other.next
	case g.turn != other.turn:
		return g.turn < other.turn
	}
	return g.line[0].number < other.line[0].number
}

// dispatch grants what can be granted and sets the timer for the next one. The caller holds mu.
func (q *queue) dispatch() {
	for first, sharing := q.first(); first != nil; first, sharing = q.first() {
		filled, rest, ok := q.bucket.take(q.now(), first.cost)
		if !ok {
			q.schedule(rest)
			q.forget()
			return
		}
		g := first.group
		// By its share and not by its cost, which may have been learnt since: virtual time would
		// run ahead of those who came with the same mistake, and of nobody else.
		if !first.counted {
			q.virtual = max(q.virtual+first.share/float64(sharing), g.next)
			g.virtual = max(g.virtual+first.share/float64(g.active), first.start)
			first.counted = true
		}
		q.serve(first)
		q.remove(first)
		first.filled = filled
		close(first.granted)
	}
	if q.timer != nil {
		q.timer.Stop()
	}
	clear(q.groups) // nobody is owed anything when nobody waits
}

// schedule has dispatch called again when the first one in the line may go.
func (q *queue) schedule(in time.Duration) {
	if q.timer == nil {
		q.timer = time.AfterFunc(in, q.wake)
		return
	}
	q.timer.Reset(in)
}

// forget drops the callers that are owed nothing, once there are many of them: their next
// request starts at the virtual time in any case.
func (q *queue) forget() {
	for key, g := range q.groups {
		if len(g.callers) > maxIdleCallers+2*len(g.line) {
			for caller, c := range g.callers {
				if c.waiting == 0 && c.end <= g.virtual {
					delete(g.callers, caller)
				}
			}
		}
		if len(g.line) == 0 && g.next+g.owed <= q.virtual && !g.wasServedLately(q.now()) {
			delete(q.groups, key)
		}
	}
}

// maxIdleCallers is how many idle callers are remembered before the queue looks for some to forget.
const maxIdleCallers = 1024

// waiters is a heap of those who wait; see container/heap.
type waiters []*waiter

func (h waiters) Len() int { return len(h) }
func (h waiters) Less(i, j int) bool {
	if h[i].start != h[j].start {
		return h[i].start < h[j].start
	}
	return h[i].number < h[j].number
}
func (h waiters) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *waiters) Push(x any) {
	w := x.(*waiter)
	w.index = len(*h)
	*h = append(*h, w)
}

// Pop implements heap.Interface.
func (h *waiters) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.index = -1
	return w
}

package pace

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// queue lets requests through one at a time as a bucket has room for them. It is fair
// between callers by fair queuing: each request gets a virtual time at which it would start
// if every caller were served at the same speed, and the earliest goes first (start-time
// fair queuing, Goyal, Vin and Cheng 1996). A caller with a hundred requests waiting and one
// with a single one advance alike.
//
// Virtual time advances by what is served, divided by the callers that wait (as in Demers,
// Keshav and Shenker 1989). Taking the served request's start alone would let a stream of
// callers with one request each, such as scripts that open a connection for every call,
// hold it still and starve everybody else.
//
// Its lock is taken only by requests that have to wait.
type queue struct {
	bucket *bucket
	now    func() int64

	waiting atomic.Int32 // len(line), for those who ask without the lock

	mu      sync.Mutex
	line    waiters
	callers map[any]*callerState
	active  int     // callers with a request in the line
	virtual float64 // the time that requests start in
	arrived uint64
	timer   *time.Timer // see schedule
}

// callerState is what the queue knows of a caller.
type callerState struct {
	end     float64 // virtual time at which its last request ends
	waiting int     // its requests in the line
}

// waiter is one request in the line.
type waiter struct {
	place
	caller  any
	cost    int64
	index   int // place in the heap; -1 once it is out
	filled  int64
	granted chan struct{} // closed when it may go and filled is set
}

func newQueue(b *bucket, now func() int64) *queue {
	return &queue{bucket: b, now: now, callers: map[any]*callerState{}}
}

// place is where a request belongs in the line. It keeps its place when it comes back.
type place struct {
	start  float64
	share  float64 // of virtual time: what it was thought to cost when it came
	number uint64  // breaks ties: who came first
	taken  bool
}

// wait returns when there is room for cost and nobody is due before, and what it has filled
// into the bucket. At the deadline it does so all the same. The error is ctx's cause, in
// which case nothing is filled in. It reports whether it had to wait.
func (q *queue) wait(ctx context.Context, caller any, cost int64, p *place, deadline int64) (filled int64, waited bool, err error) {
	if q.waiting.Load() == 0 {
		if filled, _, ok := q.bucket.take(q.now(), cost); ok {
			return filled, false, nil
		}
	}
	w := q.enter(caller, cost, p)
	timer := time.NewTimer(time.Duration(deadline - q.now()))
	defer timer.Stop()
	select {
	case <-w.granted:
	case <-ctx.Done():
		if !q.leave(w) { // it was granted in this very moment
			q.bucket.settle(w.filled, 0)
			q.bucket.inFlight.Add(-cost)
			q.wake()
		}
		return 0, true, context.Cause(ctx)
	case <-timer.C:
		if q.leave(w) {
			w.filled = q.bucket.force(q.now(), cost)
		}
	}
	return w.filled, true, nil
}

func (q *queue) enter(caller any, cost int64, p *place) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.callers[caller]
	if c == nil {
		c = &callerState{}
		q.callers[caller] = c
	}
	if !p.taken {
		q.arrived++
		*p = place{start: max(q.virtual, c.end), share: float64(cost), number: q.arrived, taken: true}
		c.end = p.start + p.share
	}
	if c.waiting++; c.waiting == 1 {
		q.active++
	}
	w := &waiter{place: *p, caller: caller, cost: cost, granted: make(chan struct{})}
	heap.Push(&q.line, w)
	if len(q.callers) > maxIdleCallers+2*len(q.line) {
		q.forget()
	}
	q.dispatch()
	return w
}

// leave takes w out of the line; false means that it is out already.
func (q *queue) leave(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.index < 0 {
		return false
	}
	heap.Remove(&q.line, w.index)
	q.left(w.caller)
	q.dispatch()
	return true
}

// left is told that a request of the caller's is no more in the line.
func (q *queue) left(caller any) {
	c := q.callers[caller]
	if c.waiting--; c.waiting == 0 {
		q.active--
	}
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

// dispatch grants what can be granted and sets the timer for the next one. The caller holds mu.
func (q *queue) dispatch() {
	defer func() { q.waiting.Store(int32(len(q.line))) }()
	for len(q.line) > 0 {
		// Whoever comes now must see that somebody waits, or it would go first.
		q.waiting.Store(int32(len(q.line)))
		first := q.line[0]
		filled, rest, ok := q.bucket.take(q.now(), first.cost)
		if !ok {
			q.schedule(rest)
			return
		}
		heap.Pop(&q.line)
		// By its share and not by its cost, which may have been learnt since: virtual time would
		// run ahead of those who came with the same mistake, and of nobody else.
		q.virtual = max(q.virtual+first.share/float64(q.active), first.start)
		q.left(first.caller)
		first.filled = filled
		close(first.granted)
	}
	if q.timer != nil {
		q.timer.Stop()
	}
	q.forget()
}

// schedule has dispatch called again when the first one in the line may go.
func (q *queue) schedule(in time.Duration) {
	if q.timer == nil {
		q.timer = time.AfterFunc(in, q.wake)
		return
	}
	q.timer.Reset(in)
}

// forget drops the callers that are owed nothing: their next request starts at the virtual
// time in any case. When nobody waits any more, nobody is owed anything.
func (q *queue) forget() {
	if len(q.line) == 0 {
		clear(q.callers)
		return
	}
	for caller, c := range q.callers {
		if c.waiting == 0 && c.end <= q.virtual {
			delete(q.callers, caller)
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

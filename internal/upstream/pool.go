package upstream

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
)

const (
	// maxWarmAge is how long a warm connection is kept before a new one takes its place, so
	// that a change of DNS, or a middlebox that forgot the old one, is met before a request is.
	maxWarmAge = 4 * time.Minute
	// youngAge is the age below which a warm connection's end counts as a failure to dial.
	youngAge = 5 * time.Second
	// backoffMin and backoffMax bound the back-off between attempts to dial ahead while dialling fails.
	backoffMin, backoffMax = time.Second, time.Minute
	// forgotten is how long after the last dial failures say nothing of the next one.
	forgotten = 2 * backoffMax
)

// pool is the warm connection pool: it keeps a few connections dialled ahead, and of as many as were in use at a time in the last hour those that do
// not rest elsewhere. A request that needs a new connection takes one and finds the handshake done. Its lock is taken when a connection is made,
// not when a request is.
type pool struct {
	dial func(context.Context) (net.Conn, error)
	want int
	wake chan struct{}
	// load says how many connections were in use at a time since it was asked last, and how many are in use or rest now; nil: nobody knows.
	load  func() (peak, there int)
	peaks []peak // the higher ones first, which came earlier; they are run's

	diedYoung atomic.Bool
	died      atomic.Pointer[time.Time] // when one ended last that nobody here had ended

	mu      sync.Mutex
	ready   []*warmConn // oldest first
	running bool
	early   time.Duration // how much sooner than at maxWarmAge they are renewed now
	filled  chan struct{} // closed when there are as many as there should be; nil: nobody waits for that
}

// warmConn is a connection nobody uses yet. A goroutine reads from it, and so learns at once
// when the other side closes it.
type warmConn struct {
	conn   net.Conn
	made   time.Time
	result chan error  // what the read ended with
	ours   atomic.Bool // it was ended here
}

// peak is how many connections were in use at a time, and until when as many are kept.
type peak struct {
	n     int
	until time.Time
}

const (
	// burstsOf is for how long a burst is remembered.
	burstsOf = time.Hour
	// notKept is for how long nothing is kept for bursts where a connection has ended that was young enough: something on the way ends what is silent.
	notKept = 10 * time.Minute
)

// wants is how many connections are to be ready now.
func (p *pool) wants() int {
	if p.load == nil {
		return p.want
	}
	n, there := p.load()
	now := time.Now()
	p.peaks = slices.DeleteFunc(p.peaks, func(old peak) bool { return old.n <= n || !now.Before(old.until) })
	p.peaks = append(p.peaks, peak{n, now.Add(burstsOf)})
	if died := p.died.Load(); died != nil && now.Sub(*died) < notKept {
		return p.want
	}
	return max(p.want, min(p.peaks[0].n, maxKept)-there)
}

func newPool(dial func(context.Context) (net.Conn, error), want int) *pool {
	return &pool{dial: dial, want: want, wake: make(chan struct{}, 1)}
}

// get returns the newest warm connection that is alive, and when it was made, or dials.
func (p *pool) get(ctx context.Context) (net.Conn, time.Time, error) {
	for {
		c := p.pop()
		if c == nil {
			conn, err := p.dial(ctx)
			return conn, time.Time{}, err
		}
		if c.claim() {
			return c.conn, c.made, nil
		}
	}
}

func (p *pool) pop() *warmConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.ready)
	if n == 0 {
		return nil
	}
	c := p.ready[n-1]
	p.ready = p.ready[:n-1]
	p.notify()
	return c
}

func (p *pool) notify() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run keeps connections ready until ctx ends, then closes them. An upstream that cannot be
// reached, or closes what has just been opened, is tried less and less often.
func (p *pool) run(ctx context.Context) {
	p.setRunning(true)
	defer func() {
		p.setRunning(false)
		p.retire(func(*warmConn) bool { return true })
	}()
	failures, last, dialled := 0, time.Time{}, false // last is when the last dial ended, and dialled that it went well
	for ctx.Err() == nil {
		p.retire(func(c *warmConn) bool { return time.Since(c.made) >= tooOld })
		if p.diedYoung.Swap(false) {
			failures, dialled = failures+1, false
		}
		since := time.Since(last)
		if dialled && since >= youngAge || since >= forgotten {
			failures = 0
		}
		wait, wake := maxWarmAge/4, (<-chan struct{})(p.wake)
		switch {
		case failures > 0 && dialled:
			wait = youngAge - since // if the last one lives that long, or was of use, all is well again
		case failures > 0 && since < backoffOf(failures):
			wait, wake = backoffOf(failures)-since, nil // a burst of requests must not cancel the back-off
		case p.fills(p.wants()):
		default:
			if dialled = p.add(ctx) == nil; !dialled {
				failures++
			}
			last = time.Now()
			continue
		}
		_, _ = clock.SleepOrWake(ctx, wait, wake)
	}
}

// tooOld is the age of one whose place nobody has taken for long: run looks four times in maxWarmAge, and dials one after the other.
const tooOld = maxWarmAge + 2*time.Minute

// isDue reports whether another is to take a connection's place. p.mu is held.
func (p *pool) isDue(c *warmConn) bool { return time.Since(c.made) >= maxWarmAge-p.early }

// fills reports whether as many as there should be need not be renewed. Then those that are due are closed, because others have taken their places,
// and who waits for that is told.
func (p *pool) fills(wants int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.ready {
		if !p.isDue(c) {
			wants--
		}
	}
	if wants > 0 {
		return false
	}
	p.end(p.isDue)
	p.sayFilled()
	return true
}

// refresh has connections dialled anew now that would be within the next time d, half of maxWarmAge at most, and returns when that is done, or ctx ends.
func (p *pool) refresh(ctx context.Context, d time.Duration) {
	p.mu.Lock()
	if !p.running || p.filled != nil {
		p.mu.Unlock()
		return
	}
	p.early = min(d, maxWarmAge/2)
	if !slices.ContainsFunc(p.ready, p.isDue) {
		p.early = 0
		p.mu.Unlock()
		return
	}
	filled := make(chan struct{})
	p.filled = filled
	p.notify()
	p.mu.Unlock()
	select {
	case <-filled:
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.sayFilled()
	}
}

// sayFilled ends the wait of refresh. p.mu is held.
func (p *pool) sayFilled() {
	if p.filled != nil {
		close(p.filled)
		p.filled, p.early = nil, 0
	}
}

func (p *pool) setRunning(running bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = running
}

func backoffOf(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return min(backoffMin<<min(failures-1, 10), backoffMax)
}

func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready)
}

// add dials one connection and watches it.
func (p *pool) add(ctx context.Context) error {
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.hold(conn)
	p.mu.Unlock()
	return nil
}

// hold watches a connection until it is needed. p.mu is held.
func (p *pool) hold(conn net.Conn) {
	c := &warmConn{conn: conn, made: time.Now(), result: make(chan error, 1)}
	p.ready = append(p.ready, c)
	go p.watch(c)
}

// maxKept is how many connections are kept that nobody has asked for.
const maxKept = 32

// keep takes in a connection that was dialled for a request which found another one. It reports false if there are enough, or
// nobody looks after them.
func (p *pool) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running || len(p.ready) >= maxKept {
		return false
	}
	p.hold(conn)
	return true
}

// watch reads from a warm connection. Anything but the time-out that claim sets means that it is of
// no use: a server does not speak first in HTTP/1.1.
func (p *pool) watch(c *warmConn) {
	var b [1]byte
	n, err := c.conn.Read(b[:])
	if n > 0 {
		err = errors.New("the server spoke first")
	}
	c.result <- err
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		now := time.Now()
		if age := now.Sub(c.made); !c.ours.Load() {
			if age < youngAge {
				p.diedYoung.Store(true)
			}
			if age < maxWarmAge/2 {
				p.died.Store(&now)
			}
		}
		p.retire(func(other *warmConn) bool { return other == c })
	}
}

// retire closes the connections that are due and lets run replace them.
func (p *pool) retire(due func(*warmConn) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(due)
}

// end is retire. p.mu is held.
func (p *pool) end(due func(*warmConn) bool) {
	p.ready = slices.DeleteFunc(p.ready, func(c *warmConn) bool {
		if !due(c) {
			return false
		}
		c.ours.Store(true)
		_ = c.conn.Close()
		p.notify()
		return true
	})
}

// claim ends the watch and reports whether the connection is alive.
func (c *warmConn) claim() bool {
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
	err := <-c.result
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.conn.SetReadDeadline(time.Time{}) != nil {
		_ = c.conn.Close()
		return false
	}
	return true
}

package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"evergate/internal/clock"
)

// lane keeps the connections of exchanges. Its lock is held for a few instructions when one is taken or put back.
type lane struct {
	connect func(ctx context.Context, key laneKey) (*conn, error)
	// spare gets a connection that nobody has used and nobody waits for any more.
	spare func(c *conn)
	// aged is called when connections are closed because nobody has needed them for long.
	aged func()
	// one says that all requests go to one upstream, whatever their URL says.
	one bool

	// Of the connections that the warm pool has as well.
	busy atomic.Int64 // requests under way
	most atomic.Int64 // they were at a time, since load was asked last

	mu     sync.Mutex
	places map[laneKey]*place
	count  int // of connections that rest
	sweep  *time.Timer
}

// place is what there is of the connections that lead to one upstream.
type place struct {
	resting []*conn   // those that came last are last
	waiting []*waiter // those that came first are first
}

// at is the place of a key. l.mu is held.
func (l *lane) at(key laneKey) *place {
	p := l.places[key]
	if p == nil {
		p = &place{}
		l.places[key] = p
	}
	return p
}

// tidy lets go of a place at which nothing is. l.mu is held.
func (l *lane) tidy(key laneKey, p *place) {
	if len(p.resting) == 0 && len(p.waiting) == 0 {
		delete(l.places, key)
	}
}

// laneKey says where connections lead.
type laneKey struct{ scheme, host string }

// waiter is a request that waits for a connection.
type waiter struct {
	ready chan dialled
	dial  *dialling // is under way for it; nil: it does not wait any more
}

type dialled struct {
	conn *conn
	err  error
}

// dialling makes a connection. There is one for each waiter, so that nobody waits in vain; which it is for changes when another one's
// brings its waiter a connection first.
type dialling struct {
	stop context.CancelFunc
	of   *waiter
}

// keyOf says on which connections a request goes.
func (l *lane) keyOf(u *url.URL) laneKey {
	if l.one {
		return laneKey{}
	}
	return laneKey{u.Scheme, u.Host}
}

// carry sends a request and returns the answer. ok is false for one that it does not take; then nothing of it was touched.
func (l *lane) carry(r *http.Request) (resp *http.Response, err error, ok bool) {
	if !canTell || !isOrdinary(r) {
		return nil, nil, false
	}
	x := exchanges.Get().(*exchange)
	if !x.prepare(r) {
		x.free()
		return nil, nil, false
	}
	if err := x.takeBody(r); err != nil {
		x.free()
		return nil, err, true
	}
	key := l.keyOf(r.URL)
	x.lane, x.pooled = l, l.pools(key)
	if x.pooled {
		n := l.busy.Add(1)
		for most := l.most.Load(); n > most && !l.most.CompareAndSwap(most, n); {
			most = l.most.Load()
		}
	}
	ctx := lasting(r.Context())
	for {
		c, reused, err := l.get(ctx, key, len(x.out))
		if err != nil {
			l.left(x.free())
			return nil, err, true
		}
		resp, err := x.run(ctx, r, c, reused)
		if err == nil {
			return resp, nil, true
		}
		if _, not := errors.AsType[*notCarriedOut](err); !not || !x.prepareAgain(r) {
			l.left(x.free())
			return nil, err, true
		}
	}
}

// pools reports whether the warm pool has connections that lead there.
func (l *lane) pools(key laneKey) bool { return l.one || key.host == sharedHost }

// left is the end of a request; pooled says what pools said of it.
func (l *lane) left(pooled bool) {
	if pooled {
		l.busy.Add(-1)
	}
}

// load says how many requests were under way at a time since it was asked last, and how many connections there are, of those that the warm pool has as well.
func (l *lane) load() (peak, there int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	busy := l.busy.Load()
	there = int(busy)
	for key, p := range l.places {
		if l.pools(key) {
			there += len(p.resting)
		}
	}
	return int(max(busy, l.most.Swap(busy))), there
}

// get takes a connection that rests, or has one made, for a request of so many bytes. reused says that it may have ended meanwhile.
func (l *lane) get(ctx context.Context, key laneKey, size int) (c *conn, reused bool, err error) {
	for {
		c, w := l.take(ctx, key)
		reused := true
		if c == nil {
			if c, reused, err = l.wait(ctx, w, key); err != nil || !c.used {
				return c, reused, err
			}
		}
		if c.asker(size) != nil {
			return c, reused, nil // it is looked at when the request goes out
		}
		if err = c.probe.quiet(); err == nil {
			return c, reused, nil
		}
		_ = c.Close()
		if errors.Is(err, syscall.ETIMEDOUT) {
			c.hedges.giveUp() // what ended it ended the others as well
		}
	}
}

// take returns the connection that came to rest last, or begins to make one, for which is waited.
func (l *lane) take(ctx context.Context, key laneKey) (*conn, *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.at(key)
	if n := len(p.resting); n > 0 {
		c := p.resting[n-1]
		p.resting[n-1] = nil
		p.resting = p.resting[:n-1]
		l.count--
		return c, nil
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // it may become another request's
	w := &waiter{ready: make(chan dialled, 1)}
	w.dial = &dialling{stop: stop, of: w}
	p.waiting = append(p.waiting, w)
	go l.dial(ctx, w.dial, key)
	return nil, w
}

// dial makes a connection.
func (l *lane) dial(ctx context.Context, d *dialling, key laneKey) {
	defer d.stop()
	c, err := l.connect(ctx, key)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.leave(d.of, key) {
			d.of.ready <- dialled{err: err}
		}
		return
	}
	c.key = key
	if !l.put(c, d) {
		l.spare(c)
	}
}

// wait returns the connection that is made, or one that has come to rest meanwhile.
func (l *lane) wait(ctx context.Context, w *waiter, key laneKey) (*conn, bool, error) {
	select {
	case got := <-w.ready:
		return got.conn, got.conn != nil && (got.conn.used || got.conn.warm), got.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	if d := w.dial; l.leave(w, key) {
		d.stop()
	}
	l.mu.Unlock()
	select {
	case got := <-w.ready:
		if got.conn != nil && !l.rest(got.conn) {
			l.drop(got.conn)
		}
	default:
	}
	return nil, false, context.Cause(ctx)
}

// drop gets rid of a connection that nobody waits for any more.
func (l *lane) drop(c *conn) {
	if c.used {
		_ = c.Close()
		return
	}
	l.spare(c)
}

// leave takes out a waiter, and reports whether it was there. l.mu is held.
func (l *lane) leave(w *waiter, key laneKey) bool {
	p := l.places[key]
	if p == nil {
		return false
	}
	i := slices.Index(p.waiting, w)
	if i < 0 {
		return false
	}
	w.dial = nil
	p.waiting = slices.Delete(p.waiting, i, i+1)
	l.tidy(key, p)
	return true
}

// hand gives a connection, which by has made, to whoever has waited longest; nil: it came to rest. l.mu is held.
func (l *lane) hand(c *conn, by *dialling) {
	w := l.places[c.key].waiting[0]
	theirs := w.dial
	l.leave(w, c.key)
	if by != nil && by.of.dial == by { // who waited for this one waits for theirs
		theirs.of, by.of.dial = by.of, theirs
	} else {
		theirs.stop()
	}
	w.ready <- dialled{conn: c}
}

// rest gives a connection to whoever has waited longest, or keeps it. It reports false if that cannot be: there are enough, or it has not been
// used and may have what belongs to its handshake waiting, which cannot be told from what a server says that is about to end.
func (l *lane) rest(c *conn) bool { return l.put(c, nil) }

// put is rest for a connection that by has made; nil: it has been used.
func (l *lane) put(c *conn, by *dialling) bool {
	key := c.key
	if c.used {
		c.probe.follow(c)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.places[key]
	if p != nil && len(p.waiting) > 0 {
		l.hand(c, by)
		return true
	}
	if !c.used || l.count >= maxIdle {
		return false
	}
	c.restedAt = clock.Mono()
	if p == nil {
		p = l.at(key)
	}
	p.resting = append(p.resting, c)
	if l.count++; l.count == 1 {
		l.sweepIn(lookEvery)
	}
	return true
}

const (
	// longIdle is how long the few connections may rest that are kept for the next burst: the edge closes one after 400 s, and
	// the probes that the kernel sends keep what is on the way from forgetting it.
	longIdle = 5 * time.Minute
	// keptLong is how many they are, of each upstream.
	keptLong = 32
	// lookEvery is how often those that rest are looked at, so that one that has ended, or on which something came unasked, is not kept.
	lookEvery = 10 * time.Second
)

// sweepIn has those closed that rest for too long, after d. l.mu is held.
func (l *lane) sweepIn(d time.Duration) {
	if l.sweep == nil {
		l.sweep = time.AfterFunc(d, l.closeOld)
		return
	}
	l.sweep.Reset(d)
}

// closeOld closes the connections that have rested for too long.
func (l *lane) closeOld() {
	now := clock.Mono()
	next, aged := lookEvery, false
	l.close(func(c *conn, behind int) bool {
		rested, may := time.Duration(now-c.restedAt), idleTimeout
		if behind < keptLong {
			may = longIdle
		}
		if rested >= may || c.probe.quiet() != nil {
			aged = true
			return true
		}
		next = min(next, may-rested)
		return false
	})
	if aged {
		l.aged()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count > 0 {
		l.sweepIn(max(next, time.Second))
	}
}

// closeAll closes all that rest.
func (l *lane) closeAll() { l.close(func(*conn, int) bool { return true }) }

// close closes the connections that are due; behind is how many of the same upstream came to rest later.
func (l *lane) close(due func(c *conn, behind int) bool) {
	var out []*conn
	l.mu.Lock()
	for key, p := range l.places {
		at := p.resting
		kept := at[:0]
		for i, c := range at {
			if due(c, len(at)-i-1) {
				out = append(out, c)
			} else {
				kept = append(kept, c)
			}
		}
		clear(at[len(kept):])
		l.count -= len(at) - len(kept)
		p.resting = kept
		l.tidy(key, p)
	}
	if l.count == 0 && l.sweep != nil {
		l.sweep.Stop()
	}
	l.mu.Unlock()
	for _, c := range out {
		_ = c.Close()
	}
}

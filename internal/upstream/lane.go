package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"time"
)

// lane keeps the connections of exchanges. Its lock is held for a few instructions when one is taken or put back.
type lane struct {
	connect func(ctx context.Context, key laneKey) (*conn, error)
	// spare gets a connection that nobody has used and nobody waits for any more.
	spare func(c *conn)
	// one says that all requests go to one upstream, whatever their URL says.
	one bool

	mu      sync.Mutex
	resting map[laneKey][]*conn // those that came last are last
	count   int
	waiting map[laneKey][]chan dialled
	sweep   *time.Timer
}

// laneKey says where connections lead.
type laneKey struct{ scheme, host string }

type dialled struct {
	conn *conn
	err  error
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
	x.lane = l
	for {
		c, reused, err := l.get(r.Context(), l.keyOf(r.URL))
		if err != nil {
			x.free()
			return nil, err, true
		}
		resp, err := x.run(r, c, reused)
		if err == nil {
			return resp, nil, true
		}
		if _, again := errors.AsType[*notCarriedOut](err); !again {
			x.free()
			return nil, err, true
		}
	}
}

// get takes a connection that rests, or has one made. reused says that it may have ended meanwhile.
func (l *lane) get(ctx context.Context, key laneKey) (c *conn, reused bool, err error) {
	for {
		c, ready := l.take(key)
		reused := true
		if c == nil {
			if c, reused, err = l.wait(ctx, key, ready); err != nil || !c.used {
				return c, reused, err
			}
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

// take returns the connection that came to rest last, or puts down that one is waited for.
func (l *lane) take(key laneKey) (*conn, chan dialled) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.resting[key]
	if n := len(at); n > 0 {
		c := at[n-1]
		at[n-1] = nil
		l.resting[key] = at[:n-1]
		l.count--
		return c, nil
	}
	ready := make(chan dialled, 1)
	l.waiting[key] = append(l.waiting[key], ready)
	return nil, ready
}

// wait has a connection made, and returns it, or one that has come to rest meanwhile.
func (l *lane) wait(ctx context.Context, key laneKey, ready chan dialled) (*conn, bool, error) {
	dial, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		c, err := l.connect(dial, key)
		if err != nil {
			l.forget(key, ready, err)
			return
		}
		c.key = key
		if !l.rest(c) {
			l.spare(c)
		}
	}()
	select {
	case got := <-ready:
		return got.conn, got.conn != nil && (got.conn.used || got.conn.warm), got.err
	case <-ctx.Done():
	}
	l.forget(key, ready, nil)
	select {
	case got := <-ready:
		if got.conn != nil && !l.rest(got.conn) {
			l.spare(got.conn)
		}
	default:
	}
	return nil, false, context.Cause(ctx)
}

// forget takes out who waits, and tells it of an error.
func (l *lane) forget(key laneKey, ready chan dialled, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting[key], ready)
	if i < 0 {
		return // it has got one
	}
	l.leave(key, i)
	if err != nil {
		ready <- dialled{err: err}
	}
}

// leave takes out the one who waits in the i-th place. l.mu is held.
func (l *lane) leave(key laneKey, i int) {
	if rest := slices.Delete(l.waiting[key], i, i+1); len(rest) > 0 {
		l.waiting[key] = rest
	} else {
		delete(l.waiting, key)
	}
}

// rest gives a connection to whoever has waited longest, or keeps it. It reports false if that cannot be: there are enough, or it has not been
// used and may have what belongs to its handshake waiting, which cannot be told from what a server says that is about to end.
func (l *lane) rest(c *conn) bool {
	key := c.key
	if c.used {
		c.probe.follow(c)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting[key]) > 0 {
		ready := l.waiting[key][0]
		l.leave(key, 0)
		ready <- dialled{conn: c}
		return true
	}
	if !c.used || l.count >= maxIdle {
		return false
	}
	c.restedAt = time.Now()
	l.resting[key] = append(l.resting[key], c)
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
	now := time.Now()
	next := lookEvery
	l.close(func(c *conn, behind int) bool {
		rested, may := now.Sub(c.restedAt), idleTimeout
		if behind < keptLong {
			may = longIdle
		}
		if rested >= may || c.probe.quiet() != nil {
			return true
		}
		next = min(next, may-rested)
		return false
	})
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
	for key, at := range l.resting {
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
		if l.resting[key] = kept; len(kept) == 0 {
			delete(l.resting, key)
		}
	}
	if l.count == 0 && l.sweep != nil {
		l.sweep.Stop()
	}
	l.mu.Unlock()
	for _, c := range out {
		_ = c.Close()
	}
}

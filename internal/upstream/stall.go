package upstream

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
	"evergate/internal/wire"
)

// What makes a connection stalled on which a safe request waits for its answer's first byte.
// docs/adr/0016-a-stalled-connection.md has the reasons.
const (
	// unheard is how long what was sent may be unacknowledged, where the kernel says so.
	unheard = 1500 * time.Millisecond
	// silentSuspect, silentRecent and silentSlow bound the silence of a connection: one that had been
	// quiet for suspectAge before the request, one that had not, and any while Shopify is slow.
	silentSuspect = 2500 * time.Millisecond
	silentRecent  = 5 * time.Second
	silentSlow    = 15 * time.Second
	suspectAge    = 10 * time.Second
	// slowFor is how long Shopify counts as slow after an answer that took longer than silentSuspect.
	slowFor = 10 * time.Minute
	// lookAgain is the pause between two looks at a connection that is silent.
	lookAgain = 500 * time.Millisecond
	// maxHedges is how many requests are sent a second time at once.
	maxHedges = 16
	// maxRemembered bounds what is kept of a request for a second sending.
	maxRemembered = 64 << 10
)

// remembered are buffers for what was sent, so that connections that wait hold none.
var remembered = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Context is a request's context by which the transport learns on which connection the request
// begins. RoundTrip makes one for a safe request that has none; whoever has a place for it saves that, and can have what an
// answer is made of used again. See Release.
type Context struct {
	context.Context
	// Sort, if set, says which fields of the answer somebody reads, and which only pass; see Passed.
	Sort *wire.Sort
	// Prepared, if set, is what the request's header comes to, and is used by no other request meanwhile.
	Prepared *Prepared
	answer   *answered // that an exchange has made; nil: there is none, or it has been released
	lent     bool      // net/http has got the request, and may look at it after its answer
}

// Value implements context.Context.
func (c *Context) Value(key any) any {
	if v := tracing.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}

// tracing has net/http say when a request is given to a connection. Nothing else tells where a request
// begins: a request's body may read like the beginning of another.
var tracing = httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
	GotConn: func(info httptrace.GotConnInfo) {
		if c, ok := info.Conn.(*conn); ok {
			c.watch.begins.Store(true)
		}
	},
})

// watch is what a connection remembers of the safe request that waits for its answer. Nobody but the
// connection's own reader, writer and timer take its lock.
type watch struct {
	begins atomic.Bool // the next write is a request's first

	waiting atomic.Bool // something was written since the last read

	mu      sync.Mutex
	heard   int64         // when it was last known to be alive, of clock.Mono; 0: it is new
	sent    *bytes.Buffer // what was written; nil: no request is watched
	since   int64         // when its first byte was written
	suspect bool          // the connection had been quiet for long by then
	late    bool          // a look found no answer after silentSuspect
	armed   bool          // the timer runs
	timer   *time.Timer
	hedge   *hedge
	closed  bool
}

// hedge is a request's second sending, on a connection made for it. The fields but done, ctx and first are
// guarded by the watch's lock.
type hedge struct {
	ctx    context.Context
	cancel context.CancelFunc
	conn   net.Conn      // nil before it is dialled
	over   bool          // the first connection has answered or ended
	won    bool          // it answered first
	first  [1]byte       // of its answer
	done   chan struct{} // closed when it is known which of over, won and failed it is
}

// wrote notes what is about to be written.
func (c *conn) wrote(p []byte, now int64) {
	w := &c.watch
	w.waiting.Store(true)
	begins := w.begins.Load() && w.begins.Swap(false)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case begins:
		w.forget()
		if w.heard == 0 || !isSafeLine(p) {
			return // only a connection that was at rest may have died meanwhile
		}
		w.sent, w.since, w.late = remembered.Get().(*bytes.Buffer), now, false
		w.suspect = now-w.heard >= int64(suspectAge)
		if !w.armed {
			w.armed = true
			w.start(c, unheard)
		}
	case w.sent == nil:
		return
	}
	if w.sent.Len()+len(p) > maxRemembered {
		w.forget()
		return
	}
	_, _ = w.sent.Write(p)
}

// start has the connection looked at after d.
func (w *watch) start(c *conn, d time.Duration) {
	if w.timer == nil {
		w.timer = time.AfterFunc(d, c.look)
		return
	}
	w.timer.Reset(d)
}

// forget ends the watch over a request.
func (w *watch) forget() {
	if w.sent != nil {
		w.sent.Reset()
		remembered.Put(w.sent)
		w.sent = nil
	}
	w.hedge = nil
}

func isSafeLine(p []byte) bool {
	return bytes.HasPrefix(p, []byte("GET ")) || bytes.HasPrefix(p, []byte("HEAD "))
}

// isWhole reports whether this is one request with nothing behind its header.
func isWhole(sent []byte) bool {
	r := bufio.NewReader(bytes.NewReader(sent))
	req, err := http.ReadRequest(r)
	return err == nil && req.ContentLength == 0 && len(req.TransferEncoding) == 0 && r.Buffered() == 0
}

// look is the timer's: it sees whether the connection has stalled, and if so sends the request once more.
func (c *conn) look() {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent == nil || w.closed || w.hedge != nil {
		w.armed = false
		return
	}
	silent := time.Duration(clock.Mono() - w.since)
	if silent < unheard { // an earlier request started the timer
		w.start(c, unheard-silent)
		return
	}
	w.late = silent >= silentSuspect
	if !c.stalled(silent) || !c.hedges.enter() {
		w.start(c, lookAgain)
		return
	}
	w.armed = false
	if !isWhole(w.sent.Bytes()) {
		c.hedges.leave()
		w.forget()
		return
	}
	r := &hedge{done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	w.hedge = r
	go c.sendAgain(r, bytes.Clone(w.sent.Bytes()), silent)
}

// stalled reports whether the connection, rather than Shopify, is to blame for the silence.
func (c *conn) stalled(silent time.Duration) bool {
	limit := silentRecent
	switch {
	case c.hedges.isSlow():
		limit = silentSlow
	case c.watch.suspect:
		limit = silentSuspect
	}
	return silent >= limit || unacknowledgedBytes(c.way())
}

// sendAgain sends the request on a new connection. That there is one is the proof that there is a live way;
// until then the first connection is left alone. The first answer wins.
func (c *conn) sendAgain(r *hedge, sent []byte, silent time.Duration) {
	defer c.hedges.leave()
	defer close(r.done)
	defer r.cancel()
	w, began, old := &c.watch, time.Now(), c.way()
	fresh, err := c.dial(r.ctx)
	w.mu.Lock()
	if r.over || err != nil {
		if w.hedge == r && !r.over { // there is no way at present
			w.hedge, w.armed = nil, true
			w.start(c, lookAgain)
		}
		w.mu.Unlock()
		if err == nil {
			_ = fresh.Close()
		}
		return
	}
	r.conn = fresh
	w.mu.Unlock()
	c.hedges.resent()
	if c.writeTimeout > 0 {
		_ = fresh.SetDeadline(time.Now().Add(c.writeTimeout))
	}
	if _, err = fresh.Write(sent); err == nil {
		_, err = fresh.Read(r.first[:])
	}
	w.mu.Lock()
	r.won = err == nil && !r.over
	w.mu.Unlock()
	if !r.won {
		_ = fresh.Close()
		return
	}
	_ = fresh.SetReadDeadline(time.Time{})
	_ = old.Close() // its reader goes over to the new connection
	if time.Since(began) < silent {
		c.hedges.giveUp()
	} else {
		c.hedges.wasSlow() // the new connection was no quicker: that was Shopify
	}
}

// arrived settles which connection answers, given what a read of the present one came to.
func (c *conn) arrived(p []byte, n int, err error) (int, error) {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting.Store(false)
	w.heard = clock.Mono()
	if w.sent == nil {
		return n, err
	}
	r := w.hedge
	switch {
	case r == nil:
	case r.won || n == 0 && r.conn != nil && !w.closed:
		w.mu.Unlock()
		<-r.done
		w.mu.Lock()
	default:
		r.over = true
		r.cancel()
		if r.conn != nil {
			_ = r.conn.Close()
		}
	}
	if r != nil && r.won {
		c.fresh.Store(&r.conn)
		c.readBy = 0 // was the other one's
		if w.closed {
			_ = r.conn.Close()
			return 0, net.ErrClosed
		}
		n, err = copy(p, r.first[:]), nil
	} else if n > 0 && w.late {
		c.hedges.wasSlow()
	}
	w.forget()
	return n, err
}

// stop ends a hedge, for a connection that is being closed.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
	if r := w.hedge; r != nil {
		r.over = !r.won
		r.cancel()
		if r.conn != nil {
			_ = r.conn.Close()
		}
	}
}

// hedges is what the connections of a transport know together.
type hedges struct {
	giveUp func() // closes what waits
	resent func() // counts

	running   atomic.Int32
	slowUntil atomic.Int64 // of clock.Mono
}

func (h *hedges) enter() bool {
	if h.running.Add(1) <= maxHedges {
		return true
	}
	h.leave()
	return false
}

func (h *hedges) leave()       { h.running.Add(-1) }
func (h *hedges) wasSlow()     { h.slowUntil.Store(clock.Mono() + int64(slowFor)) }
func (h *hedges) isSlow() bool { return clock.Mono() < h.slowUntil.Load() }

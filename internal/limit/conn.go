package limit

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
	"evergate/internal/socket"
)

// Slowest is how many bytes of a body have to come while it may stand still. It is what the slowest links manage
// in a second.
const Slowest = 1 << 10

// Conn is a client's connection.
type Conn struct {
	net.Conn
	set *Connections

	serving atomic.Bool // a request's head has been read
	asked   atomic.Bool // a request has been answered
	// Moments are clock.Mono's.
	since      atomic.Int64 // when it came, or began to wait for its next request
	stuckSince atomic.Int64 // when a read or write began for which a request waits; 0: none does
	charged    atomic.Int64 // what its head has taken from the budget
	gone       atomic.Bool
	ending     atomic.Int32 // see Linger

	head     int64        // bytes read of a head; belongs to the reader
	extended atomic.Int64 // when the write deadline was moved; 0: it has to be, with the next write
	writeBy  atomic.Int64 // the write deadline that others have set; 0: none

	many atomic.Bool // it carries many requests at a time, or another's bytes: no byte of it is one request's
	// multiplexed says that it has one of the places of those that may carry many requests at a time.
	multiplexed atomic.Bool
	streams     streams
	progress    progress
	uploading   atomic.Bool
	mu          sync.Mutex // keeps the end of an upload from meeting a read that sets its deadline
	armed       bool
	window      int64 // when the deadline was moved; 0: it was not
	came        int64 // bytes since then
	readSince   int64 // when the upload's last read began; what it put into stuckSince

	holder holder       // see Hold; kept by mu
	began  atomic.Int64 // when the request under way began; 0: nobody has said whose it is
	told   atomic.Int64 // when it was told to make room; 0: it was not
	kept   atomic.Bool  // see keeps
}

var (
	errHeadRefused = errors.New("there is no memory for so large a head now")
	errUnwanted    = errors.New("the rest of this request's body is not wanted")
)

// Read implements io.Reader.
func (c *Conn) Read(p []byte) (int, error) {
	if c.ending.Load() != open {
		return 0, errUnwanted
	}
	if c.uploading.Load() {
		return c.readBody(p)
	}
	n, err := c.Conn.Read(p)
	if n > 0 && c.progress.under.Load() > 0 {
		c.progress.add(n, clock.Mono())
	}
	if n > 0 && !c.serving.Load() && !c.many.Load() {
		if c.head == 0 && !c.asked.Load() {
			c.since.Store(clock.Mono()) // it is no longer silent
		}
		if c.head += int64(n); c.head > freeHead && !c.charge(c.head*headCost) {
			return 0, errHeadRefused
		}
	}
	return n, err
}

// charge takes what a head needs from the budget.
func (c *Conn) charge(size int64) bool {
	more := size - c.charged.Load()
	for !c.set.budget.Take(more) {
		if !c.set.closeForHead(c) {
			return false
		}
	}
	c.charged.Add(more)
	if c.gone.Load() { // closed meanwhile, and what had been taken before has been given back
		c.set.budget.Give(c.charged.Swap(0))
	}
	return true
}

// headEnded is told that the request is over whose head was counted.
func (c *Conn) headEnded() {
	c.head = 0
	if c.charged.Load() != 0 {
		c.set.budget.Give(c.charged.Swap(0))
	}
}

// Stall is how long a body may stand still and an answer wait for its client; zero, as for a nil Conn: for ever.
func (c *Conn) Stall() time.Duration {
	if c == nil {
		return 0
	}
	return c.set.stall
}

// BeginTunnel says that the connection is a tunnel from now on, in which nobody has asked for anything yet. What is inside may
// be a connection of a server's, whose State tells again what goes on there. A nil Conn does nothing.
func (c *Conn) BeginTunnel() {
	if c == nil {
		return
	}
	c.headEnded()
	c.since.Store(clock.Mono())
	c.asked.Store(false)
	c.serving.Store(false)
}

// CarriesOthers says that what comes over the connection is not for us: no byte of it belongs to a request's head. A nil
// Conn does nothing.
func (c *Conn) CarriesOthers() {
	if c != nil {
		c.many.Store(true)
	}
}

// Moved says that something has gone through a tunnel, so that it is not the first to be closed for a newcomer. A nil
// Conn does nothing.
func (c *Conn) Moved() {
	if c == nil {
		return
	}
	c.asked.Store(true)
	c.since.Store(clock.Mono())
}

// BeginUpload says that the request waits for its body from now on. Each further kibibyte of it may take as long as
// an upload may stand still. A nil Conn does nothing.
func (c *Conn) BeginUpload() {
	if c == nil || c.set.stall == 0 {
		return
	}
	c.mu.Lock()
	c.window, c.came = 0, 0
	if !c.uploading.Swap(true) {
		c.progress.begin()
	}
	c.mu.Unlock()
}

// EndUpload says that the body has been read, or is no longer wanted.
func (c *Conn) EndUpload() {
	if c == nil || !c.uploading.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uploading.Swap(false) {
		c.progress.end()
	}
	// Nobody waits any more for what the server's own read may still wait for.
	c.stuckSince.CompareAndSwap(c.readSince, 0)
	if c.armed {
		_ = c.Conn.SetReadDeadline(time.Time{}) // a connection that is closed says so to its reader
		c.armed = false
	}
}

func (c *Conn) readBody(p []byte) (int, error) {
	now := clock.Mono()
	c.mu.Lock()
	// A read of the server's own may have been begun before the upload ended.
	if c.uploading.Load() && (c.window == 0 || c.came >= Slowest && now-c.window > int64(c.set.stall/8)) {
		if err := c.Conn.SetReadDeadline(clock.Deadline(now + int64(c.set.stall))); err != nil {
			c.mu.Unlock()
			return 0, err
		}
		c.armed, c.window, c.came = true, now, 0
	}
	if c.uploading.Load() {
		c.readSince = now
		c.stuckSince.Store(c.readSince)
	}
	c.mu.Unlock()
	n, err := c.Conn.Read(p)
	c.progress.add(n, clock.Mono())
	c.mu.Lock()
	c.stuckSince.CompareAndSwap(c.readSince, 0)
	c.came += int64(n)
	c.mu.Unlock()
	return n, err
}

// Write implements io.Writer. A write that makes no progress ends: whoever does not read his answer does not hold
// a connection to Shopify for ever.
func (c *Conn) Write(p []byte) (int, error) {
	now := clock.Mono()
	if c.set.stall > 0 && now-c.extended.Load() > int64(c.set.stall/8) {
		by := now + int64(c.set.stall)
		if others := c.writeBy.Load(); others != 0 {
			by = min(by, others)
		}
		if err := c.Conn.SetWriteDeadline(clock.Deadline(by)); err != nil {
			return 0, err
		}
		c.extended.Store(now)
	}
	c.stuckSince.Store(now)
	n, err := c.Conn.Write(p)
	c.stuckSince.Store(0)
	c.progress.add(n, now)
	return n, err
}

// SetWriteDeadline implements net.Conn. What a server sets for a handshake, or takes away behind it, leaves the bound of the next
// write in force.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	by := int64(0)
	if !t.IsZero() {
		by = max(1, clock.Mono()+int64(time.Until(t))) // which may be of the wall clock alone
	}
	c.writeBy.Store(by)
	c.extended.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// NetConn returns the connection itself.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// ConnOf returns the Conn that a server's connection is or wraps; nil: none.
func ConnOf(served net.Conn) *Conn {
	for layer := served; layer != nil; layer = socket.Below(layer) {
		if c, ok := layer.(*Conn); ok {
			return c
		}
	}
	return nil
}

type contextKey struct{}

// WithConn is for http.Server.ConnContext: it lets FromContext find the Conn of a request.
func WithConn(ctx context.Context, served net.Conn) context.Context {
	if c := ConnOf(served); c != nil {
		return context.WithValue(ctx, contextKey{}, c)
	}
	return ctx
}

// FromContext returns the Conn of a request; nil: none.
func FromContext(ctx context.Context) *Conn {
	c, _ := ctx.Value(contextKey{}).(*Conn)
	return c
}

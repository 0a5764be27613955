package limit

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"evergate/internal/clock"
)

// A connection lingers when it is to end while its client may still be sending: a request's body
// that nobody wants any more. Many clients look for an answer only after they have sent everything,
// and a connection that is closed with bytes unread is reset, which takes the answer away from them.
// So the answer's end is sent, and what still comes is thrown away.
const (
	// longestLinger and mostLingered are enough for a large body on a slow line.
	longestLinger = 2 * time.Minute
	mostLingered  = 64 << 20
	// lingerSilence is how long nothing may come.
	lingerSilence = 5 * time.Second
)

// Linger says that the rest of the request's body is not wanted, and the request is answered except for
// what its handler's end sends. Reads by the server end, also those that wait; when the server closes the connection,
// it lingers. A nil Conn does nothing.
func (c *Conn) Linger() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uploading.Swap(false) {
		c.progress.end()
	}
	c.armed = false
	c.ending.CompareAndSwap(open, unwanted)
	_ = c.SetReadDeadline(time.Unix(1, 0)) // a connection that is closed says so to its reader
}

// The ends of a Conn.
const (
	open      int32 = iota
	unwanted        // it lingers when it is closed
	lingering       // the server has closed it
)

// LingerUnread serves with next, and has the connection linger where next leaves a body unread: for servers whose pages want
// none, or a short one. It is for HTTP/1, and nothing to a request without a body. The server's ConnContext must call WithConn.
func LingerUnread(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		body := &watchedBody{ReadCloser: r.Body, conn: FromContext(r.Context())}
		r.Body = body
		next.ServeHTTP(w, r)
		if !body.ended {
			body.conn.Linger()
		}
	})
}

// watchedBody knows whether it was read to its end, and its connection since when it is waited for.
type watchedBody struct {
	io.ReadCloser
	conn  *Conn // may be nil
	ended bool
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	if b.conn != nil {
		b.conn.stuckSince.Store(clock.Mono())
		defer b.conn.stuckSince.Store(0)
	}
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// AwaitLingering waits until no connection lingers, and no longer than ctx: the answers have been sent, and a process that
// ended before would take away what their clients have not read. The servers of the connections must have been shut down.
func (s *Connections) AwaitLingering(ctx context.Context) {
	done := make(chan struct{})
	go func() { s.lingering.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (c *Conn) beginLingering() {
	c.set.lingering.Go(c.linger)
	c.set.hint() // it is the first to make room
}

// linger reads until the client is done. It counts as a connection meanwhile, the first to be closed for a newcomer,
// and what it needs beside its stack is taken from the budget.
func (c *Conn) linger() {
	defer func() { _ = c.end() }()
	c.set.budget.Give(c.charged.Swap(0))
	if closeWrite(c.Conn) != nil {
		return // the client would not see the answer's end
	}
	last := time.Now().Add(longestLinger)
	var few [256]byte
	for left := mostLingered; left > 0; {
		next := time.Now().Add(lingerSilence)
		if next.After(last) {
			next = last
		}
		if c.Conn.SetReadDeadline(next) != nil {
			return
		}
		n, err := c.Conn.Read(few[:])
		if left -= n; err != nil {
			return
		}
		if n == len(few) {
			n, err = c.drop(left)
			if left -= n; err != nil {
				return
			}
		}
	}
}

// drop throws away what has come, as far as there is room to take it.
func (c *Conn) drop(most int) (dropped int, err error) {
	const size = 32 << 10
	if !c.set.budget.Take(size) {
		return 0, nil
	}
	defer c.set.budget.Give(size)
	b := make([]byte, size)
	for n := size; n == size && dropped < most && err == nil; dropped += n {
		n, err = c.Conn.Read(b)
	}
	return dropped, err
}

// end closes the connection itself.
func (c *Conn) end() error {
	if c.gone.CompareAndSwap(false, true) {
		c.endMultiplex()
		c.set.forget(c)
		c.set.budget.Give(c.charged.Swap(0))
	}
	return c.Conn.Close()
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	switch {
	case c.ending.CompareAndSwap(unwanted, lingering):
		c.beginLingering()
		return nil
	case c.ending.Load() == lingering:
		return net.ErrClosed
	}
	return c.end()
}

// CloseWrite lets the server end an answer before it closes, so that no reset overtakes it. The server sleeps
// between the two; a connection that lingers need not.
func (c *Conn) CloseWrite() error {
	if c.ending.CompareAndSwap(unwanted, lingering) {
		c.beginLingering()
		return nil
	}
	return closeWrite(c.Conn)
}

func closeWrite(c net.Conn) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

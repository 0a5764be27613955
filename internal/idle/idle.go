// Package idle makes connections cheap that wait for their next request. An http.Server
// keeps two buffers and a grown stack for each, about 18 KiB; here such a connection is
// taken back from it for as long as it is silent and costs a socket and a small goroutine.
//
// To the server, a connection that has been silent for a moment looks closed: its read ends
// with io.EOF. The server then releases everything and closes its side, which keeps the socket
// open; the connection is accepted again when its next byte arrives.
//
// Invariants:
//   - Only a connection of which the server holds no byte is taken back, so none is lost.
//   - A connection is with the server or waits, never both; each serving of it has a conn of
//     its own, so that whatever the server still does with an old one touches nothing.
//   - Closing the Listener closes every connection that waits.
//   - A connection in use pays nothing: there is no lock and no further system call.
package idle

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Listener accepts connections for one http.Server, whose ConnState must be State.
type Listener struct {
	net.Listener
	after    time.Duration
	arrivals chan arrival
	closed   chan struct{} // no connection waits any more
	ended    chan struct{} // no new one comes any more
	once     sync.Once

	mu      sync.Mutex // taken when a client comes or goes, not for a request
	clients map[*client]struct{}
}

type arrival struct {
	conn net.Conn
	err  error
}

// client is a connection for as long as it is open.
type client struct {
	net.Conn
	waiting atomic.Bool
	first   [1]byte // what ended the waiting
}

// Wrap returns a Listener that takes connections back once they have been silent for after.
// How long they may be silent altogether is the server's IdleTimeout.
func Wrap(l net.Listener, after time.Duration) *Listener {
	w := &Listener{Listener: l, after: after, arrivals: make(chan arrival), closed: make(chan struct{}), ended: make(chan struct{}), clients: map[*client]struct{}{}}
	go w.accept()
	return w
}

// State tells a connection that the server waits for its next request, or has it. It is for
// http.Server.ConnState and ignores connections of others.
func State(served net.Conn, s http.ConnState) {
	c, ok := served.(*conn)
	if !ok {
		return
	}
	switch s {
	case http.StateIdle:
		c.phase = announced
	case http.StateActive: // it may have had the request already when it said that it waits, and no deadline is for a wait
		c.phase = busy
	}
}

// accept brings in new connections until the listener is closed. One that came before that
// is still handed over, or its client would see its connection closed.
func (l *Listener) accept() {
	defer close(l.ended)
	for {
		inner, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		var served net.Conn
		if err == nil {
			c := &client{Conn: inner}
			l.mu.Lock()
			l.clients[c] = struct{}{}
			l.mu.Unlock()
			served = &conn{client: c, listener: l}
		}
		l.hand(served, err)
	}
}

// acceptTimeout is how long a connection waits to be accepted once the listener is closed.
const acceptTimeout = time.Second

// hand passes on what Accept returns.
func (l *Listener) hand(c net.Conn, err error) {
	select {
	case l.arrivals <- arrival{c, err}:
		return
	case <-l.closed:
	}
	timer := time.NewTimer(acceptTimeout)
	defer timer.Stop()
	select {
	case l.arrivals <- arrival{c, err}:
	case <-timer.C:
		if c != nil {
			_ = c.Close()
		}
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select { // what has arrived goes first
	case a := <-l.arrivals:
		return a.conn, a.err
	default:
	}
	select {
	case a := <-l.arrivals:
		return a.conn, a.err
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It also closes the connections that wait.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.once.Do(func() { close(l.closed) })
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.clients {
		if c.waiting.Load() { // one that begins to wait just now sees that closed is
			_ = c.Conn.Close()
		}
	}
	return err
}

func (l *Listener) forget(c *client) error {
	l.mu.Lock()
	delete(l.clients, c)
	l.mu.Unlock()
	return c.Conn.Close()
}

// maxBlankBytes is how many bytes of empty lines are dropped before a request. Old clients send
// one after the body of a POST, and the server that knew of the POST is gone.
const maxBlankBytes = 4

// wait holds a connection until its next byte, then has it served again.
func (l *Listener) wait(c *client) {
	c.waiting.Store(true)
	select {
	case <-l.closed:
		_ = c.Conn.Close()
	default:
	}
	n, err := c.Read(c.first[:])
	for range maxBlankBytes {
		if n == 0 || err != nil || c.first[0] != '\r' && c.first[0] != '\n' {
			break
		}
		n, err = c.Read(c.first[:])
	}
	c.waiting.Store(false)
	if n == 0 || err != nil || c.SetReadDeadline(time.Time{}) != nil {
		_ = l.forget(c)
		return
	}
	l.hand(&conn{client: c, listener: l, ahead: c.first[:]}, nil)
}

// The states of a conn.
const (
	serving int32 = iota
	leaving       // the server was told that it ended, and is to close it
	gone
)

// phase tells whether the server waits for a request.
type phase int8

const (
	busy phase = iota
	announced
	waiting
)

// conn is one serving of a client. Its fields but the state belong to whoever reads, and
// the server has one reader at a time.
type conn struct {
	*client
	listener *Listener
	ahead    []byte // read while waiting
	whole    int    // how many bytes a read asks for when the server holds none
	// phase is when the server waits for a request: from the deadline that it sets after
	// it said so to the first byte, or to the next deadline if it has had that byte already.
	phase phase
	until time.Time // that first deadline
	state atomic.Int32
}

// Read implements io.Reader.
func (c *conn) Read(p []byte) (int, error) {
	if c.whole == 0 {
		c.whole = len(p) // the first read of a serving fills an empty buffer
	}
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	n, err := c.client.Read(p)
	if c.phase != waiting {
		return n, err
	}
	c.phase = busy
	if n > 0 { // of the next request, whose rest may take as long as the server allows
		if err := c.client.SetReadDeadline(c.until); err != nil {
			return n, err
		}
		return n, nil
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	// It was silent. When the server asks for less than it could hold, it holds a part of
	// the next request, which would be lost.
	if len(p) == c.whole && c.state.CompareAndSwap(serving, leaving) {
		return 0, io.EOF
	}
	if err := c.client.SetReadDeadline(c.until); err != nil {
		return 0, err
	}
	return c.client.Read(p)
}

// Unread gives back what has been read of a request, for whoever serves the connection from now on. Nobody else may use it at the time.
func (c *conn) Unread(b []byte) {
	c.ahead = slices.Concat(b, c.ahead)
	c.whole, c.phase = 0, busy
}

// SetReadDeadline implements net.Conn. The one for the wait for a request is kept for
// later, and the silence is measured instead.
func (c *conn) SetReadDeadline(t time.Time) error {
	switch c.phase {
	case announced:
		c.phase, c.until = waiting, t
		if soon := time.Now().Add(c.listener.after); t.IsZero() || soon.Before(t) {
			t = soon
		}
	case waiting:
		c.phase = busy
	}
	return c.client.SetReadDeadline(t)
}

// CloseWrite lets the server end an answer before it closes, so that no reset overtakes it.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection itself.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Close implements io.Closer.
func (c *conn) Close() error {
	switch c.state.Swap(gone) {
	case serving:
		return c.listener.forget(c.client)
	case leaving:
		if err := c.client.SetReadDeadline(c.until); err != nil {
			return c.listener.forget(c.client)
		}
		go c.listener.wait(c.client)
		return nil
	}
	return net.ErrClosed
}

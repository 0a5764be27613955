package front

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/wire"
)

// given is a client's connection while the http.Server has it, which is for one request. When that is answered, the server is told that the
// connection has ended, and closes it; then it is ours again, and the head of the next request is looked at before anybody serves it.
//
// The server reads in pieces of its own buffer's size, and its look at whether the client goes away takes a byte. Neither gets to bytes of the
// next request: it is given what the request has, and the byte is kept from it. Where nobody can tell the end of a body, of what the server has
// read behind it nothing is served.
type given struct {
	net.Conn
	of    *conn
	state atomic.Int32
	back  chan fate

	// What belongs to whoever reads. The server has one reader at a time.
	ahead []byte       // what has come
	left  int64        // of the request; negative: nobody knows
	body  *wire.Chunks // its body, of which left says nothing; nil: there is none in chunks
	whole int          // how many bytes a read asks for when the server holds none

	wrote   atomic.Bool // something of an answer
	half    half        // asks the client whether it is there
	handled atomic.Bool // the handler has been called
	method  string      // of the request that it was called for

	mu      sync.Mutex
	early   []byte        // what came of the next request while this one was served: a byte at most
	aborted chan struct{} // closed when nobody watches the client any more
	over    bool          // aborted is closed
}

// The states of a given.
const (
	lent     int32 = iota // the server has it
	answered              // and waits for another request
	leaving               // and was told that there is none
	taken                 // and has given it to somebody for good
	gone
)

// fate is what becomes of a connection that was lent.
type fate int8

const (
	returned fate = iota
	ended
	dropped // unanswered, because the server shuts down; it is still open
	kept    // by somebody for good
)

// newGiven lends c, of which a head has come and been looked through.
func newGiven(c *conn) *given {
	g := &given{Conn: c.net, of: c, back: make(chan fate, 1), ahead: c.long, left: -1, aborted: make(chan struct{})}
	if c.scan.Size > 0 && c.scan.Length >= 0 {
		g.left = int64(c.scan.Size) + c.scan.Length
	} else if c.scan.Size > 0 && c.scan.Chunked {
		g.left, g.body = int64(c.scan.Size), new(wire.Chunks)
	}
	return g
}

// Read implements io.Reader.
func (g *given) Read(p []byte) (int, error) {
	if g.whole == 0 {
		g.whole = len(p) // the first read fills an empty buffer
	}
	switch g.state.Load() {
	case lent:
	case taken:
		return g.readOn(p)
	case answered:
		if len(p) == g.whole { // else the server holds bytes that would be lost
			g.state.CompareAndSwap(answered, leaving)
		}
		return 0, io.EOF
	default:
		return 0, net.ErrClosed
	}
	if g.left == 0 || g.left < 0 && g.body == nil && len(p) == 1 && g.handled.Load() {
		return g.watch()
	}
	if g.left > 0 {
		p = p[:min(int64(len(p)), g.left)]
	}
	n, err := g.next(p)
	switch {
	case g.left > 0:
		if g.left -= int64(n); g.left == 0 && g.body != nil {
			g.left = -1
		}
	case g.body != nil:
		its, end := g.body.Follow(p[:n])
		if end {
			g.ahead, g.left, g.body = slices.Concat(p[its:n], g.ahead), 0, nil
		}
		n = its
	}
	return n, err
}

// next reads what has come already, or from the connection.
func (g *given) next(p []byte) (int, error) {
	if len(g.ahead) > 0 {
		n := copy(p, g.ahead)
		g.ahead = g.ahead[n:]
		return n, nil
	}
	return g.Conn.Read(p)
}

// watch waits until the client goes away, or nobody wants to know any more. The byte that may come is the next request's.
func (g *given) watch() (int, error) {
	if len(g.ahead) == 0 && len(g.early) == 0 {
		var b [1]byte
		began := time.Now()
		n, err := g.Conn.Read(b[:])
		switch {
		case n > 0:
			g.early = append(g.early, b[0])
		case !errors.Is(err, io.EOF):
			return 0, err
		case !g.goesOn(unwatched - time.Since(began)): // most are answered by then, and are not asked
		default:
			if err := g.half.wait(g.Conn, g.aborted); err != nil {
				return 0, err
			}
		}
	}
	<-g.aborted
	return 0, os.ErrDeadlineExceeded
}

// goesOn waits and reports whether somebody still wants to know whether the client goes away.
func (g *given) goesOn(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-g.aborted:
		return false
	}
}

// readOn is Read for who has the connection for good.
func (g *given) readOn(p []byte) (int, error) {
	if len(g.early) > 0 && len(p) > 0 && len(g.ahead) == 0 {
		g.ahead, g.early = g.early, nil
	}
	return g.next(p)
}

// abort ends watch.
func (g *given) abort() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.over {
		g.over = true
		close(g.aborted)
	}
}

// SetReadDeadline implements net.Conn. One that has passed is the server's, who ends its look at the client.
func (g *given) SetReadDeadline(t time.Time) error {
	switch g.state.Load() {
	case lent, taken:
	case answered: // of the wait for the next request, which is not the server's
		return nil
	default:
		return net.ErrClosed
	}
	if !t.IsZero() && !t.After(time.Now()) {
		g.abort()
	}
	return g.Conn.SetReadDeadline(t)
}

// Write implements io.Writer.
func (g *given) Write(p []byte) (int, error) {
	if s := g.state.Load(); s == leaving || s == gone {
		return 0, net.ErrClosed
	}
	g.wrote.Store(true)
	return g.half.write(g.Conn, p)
}

// SetDeadline implements net.Conn.
func (g *given) SetDeadline(t time.Time) error {
	if err := g.SetReadDeadline(t); err != nil {
		return err
	}
	return g.Conn.SetWriteDeadline(t)
}

// Close implements io.Closer.
func (g *given) Close() error {
	g.abort()
	switch g.state.Swap(gone) {
	case leaving:
		g.back <- returned
		return nil
	case gone:
		return net.ErrClosed
	case taken:
		return g.Conn.Close()
	}
	if g.of.server.ended.Load() && !g.handled.Load() && !g.wrote.Load() { // net/http drops what it has read when it shuts down
		g.back <- dropped
		return nil
	}
	err := g.Conn.Close()
	g.back <- ended
	return err
}

// CloseWrite lets the server end an answer before it closes.
func (g *given) CloseWrite() error { return closeWrite(g.Conn) }

// NetConn returns the connection itself.
func (g *given) NetConn() net.Conn { return g.Conn }

// rest is what has come of the next request. It is for when the connection is back.
func (g *given) rest() []byte { return append(g.ahead, g.early...) }

type givenKey struct{}

// hook is the http.Server's ConnState. Others hear of the client's connection what they heard of it before.
func (s *Server) hook(c net.Conn, state http.ConnState) {
	g, ok := c.(*given)
	if !ok {
		s.tell(c, state)
		return
	}
	switch state {
	case http.StateNew:
		return
	case http.StateIdle: // it is said when the connection is back
		g.state.CompareAndSwap(lent, answered)
		return
	case http.StateHijacked:
		g.state.Store(taken)
		g.back <- kept
	case http.StateClosed:
		return // by whoever had lent it
	}
	s.tell(g.Conn, state)
}

// context is the http.Server's ConnContext. A connection that is lent has one already.
func (s *Server) context(ctx context.Context, c net.Conn) context.Context {
	if g, ok := c.(*given); ok {
		return context.WithValue(g.of.ctx, givenKey{}, g)
	}
	if s.connContext != nil {
		return s.connContext(ctx, c)
	}
	return ctx
}

// serveGiven is the http.Server's handler.
func (s *Server) serveGiven(w http.ResponseWriter, r *http.Request) {
	if g, ok := r.Context().Value(givenKey{}).(*given); ok {
		if g.handled.Swap(true) {
			w.Header().Set("Connection", "close")
			s.refusals.Ambiguous(w, string(wire.Unseen))
			return
		}
		if g.method = r.Method; g.of.tls != nil {
			r.TLS = g.of.tls
		}
		if !r.ProtoAtLeast(1, 1) {
			g.half.silence()
		}
	}
	s.handler.ServeHTTP(w, r)
}

func closeWrite(c net.Conn) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

package front

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"evergate/internal/request"
)

// unwatched is how long a request is served before anybody looks whether its client goes away. Most are answered by then, and cost no read
// beside their own.
const unwatched = 200 * time.Millisecond

// watch cancels a request whose client goes away.
type watch struct {
	timer *time.Timer

	mu      sync.Mutex
	conn    *conn
	body    *body
	request *request.Context // nil: there is none
	reading chan struct{}    // closed when nobody looks any more; nil: nobody does
	over    chan struct{}    // closed when the request is; nil: nobody looks
	n       int
	err     error
	b       [1]byte
	half    half
}

func (w *watch) begin(c *conn, b *body, of *request.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn, w.body, w.request = c, b, of
	w.half.begun, w.half.moved = false, false // nobody asks before the timer has run
	if w.timer == nil {
		w.timer = time.AfterFunc(unwatched, w.look)
		return
	}
	w.timer.Reset(unwatched)
}

// look reads from the connection until the request is answered. Nothing comes of an honest client, which waits for its answer.
func (w *watch) look() {
	w.mu.Lock()
	switch {
	case w.request == nil || w.reading != nil:
		w.mu.Unlock()
		return
	case !w.body.done.Load():
		w.timer.Reset(unwatched)
		w.mu.Unlock()
		return
	}
	conn, reading, over := w.conn.net, make(chan struct{}), make(chan struct{})
	w.reading, w.over, w.n, w.err = reading, over, 0, nil
	_ = conn.SetReadDeadline(time.Time{})
	w.mu.Unlock()
	defer close(reading)
	n, err := conn.Read(w.b[:])
	if n == 0 && errors.Is(err, io.EOF) {
		err = w.half.wait(conn, over)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n, w.err = n, err
	if err != nil && w.request != nil {
		w.request.End()
	}
}

// stop ends the watch over a request. It returns the byte of another request that has come, -1 for none, and whether the client is still there.
func (w *watch) stop(c net.Conn) (ahead int, ok bool) {
	w.timer.Stop()
	w.mu.Lock()
	reading := w.reading
	gone := w.err
	w.request = nil
	if reading != nil {
		close(w.over)
		if w.n == 0 && gone == nil {
			_ = c.SetReadDeadline(time.Unix(1, 0))
		}
	}
	w.mu.Unlock()
	if reading == nil {
		return -1, true
	}
	<-reading
	_ = c.SetReadDeadline(time.Time{}) // ours is not the next request's
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading, w.over = nil, nil
	if w.n > 0 {
		return int(w.b[0]), true
	}
	return -1, gone == nil
}

// end releases the timer, and the last request.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop() // where it has run it finds no request
	}
	w.timer, w.conn, w.body = nil, nil, nil
}

package front

import (
	"errors"
	"io"
	"sync"
	"time"

	"evergate/internal/request"
)

// unwatched is how long a request is served before anybody looks whether its client goes away, and half of the longest that it may be. Most are answered by then, and cost no read
// beside their own.
const unwatched = 200 * time.Millisecond

// watch cancels a request whose client goes away.
type watch struct {
	mu      sync.Mutex
	timer   *time.Timer
	armed   bool // it runs, whether or not there is a request
	later   bool // a request has begun since it was started
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
	if w.later = w.armed; !w.armed {
		w.start()
	}
}

// start has look called once a request may have taken long. The timer that runs for one request runs on for the next ones, because to stop and to start it is
// not free. w.mu is held.
func (w *watch) start() {
	w.armed, w.later = true, false
	if w.timer == nil {
		w.timer = time.AfterFunc(unwatched, w.look)
		return
	}
	w.timer.Reset(unwatched)
}

// look reads from the connection until the request is answered. Nothing comes of an honest client, which waits for its answer.
func (w *watch) look() {
	w.mu.Lock()
	w.armed = false
	switch {
	case w.request == nil || w.reading != nil:
		w.mu.Unlock()
		return
	case w.later || !w.body.done.Load():
		w.start()
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
func (w *watch) stop() (ahead int, ok bool) {
	w.mu.Lock()
	reading := w.reading
	gone := w.err
	w.request = nil
	if reading != nil {
		close(w.over)
		if w.n == 0 && gone == nil {
			_ = w.conn.net.SetReadDeadline(time.Unix(1, 0))
		}
	}
	w.mu.Unlock()
	if reading == nil {
		return -1, true
	}
	<-reading
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.conn.setReadDeadline(time.Time{}) // ours is not the next request's
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
	w.timer, w.armed, w.conn, w.body = nil, false, nil, nil
}

package inject

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// upload is a request's body on its way to Shopify. A short body of known length is read
// whole before anything is sent; every other one is streamed, and one of unknown length is
// remembered while it passes, up to the replay buffer's size.
type upload struct {
	whole    []byte    // a short body; nil when streamed
	stream   *recorder // a streamed body; nil when read whole or absent
	declared int64     // Content-Length; -1 when unknown
}

var errClientBody = errors.New("the request's body broke off or was malformed")

// newUpload takes over r's body.
func newUpload(r *http.Request, limit int64) (*upload, error) {
	u := &upload{declared: r.ContentLength}
	switch {
	case r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0:
	case r.ContentLength > 0 && r.ContentLength <= limit:
		u.whole = make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, u.whole); err != nil {
			return nil, errClientBody
		}
	case r.ContentLength > limit:
		u.stream = newRecorder(r.Body, 0)
	default:
		u.stream = newRecorder(r.Body, limit)
	}
	return u, nil
}

// attach makes the body out's. It may be called again after rewind.
func (u *upload) attach(out *http.Request) {
	out.Body, out.GetBody, out.ContentLength = nil, nil, 0
	switch {
	case u.whole != nil:
		out.ContentLength = int64(len(u.whole))
		// With GetBody the transport sends the request anew when a pooled connection
		// turns out to be dead before a byte of it was written; never otherwise, for a POST.
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(u.whole)), nil }
		out.Body, _ = out.GetBody()
		delete(out.Header, "Expect") // the client's wait ended when we read the body
	case u.stream != nil:
		out.ContentLength = u.declared
		out.Body = u.stream.open()
	}
}

// failed reports whether the client's side of the body failed, which is the client's
// mistake and not Shopify's.
func (u *upload) failed() bool { return u.stream != nil && u.stream.failed() }

// rewind prepares the body to be sent again. It reports false when that cannot be done.
// The transport must have been told to stop: rewind waits until it has let go.
func (u *upload) rewind(ctx context.Context) bool {
	if u.stream == nil {
		return true
	}
	return u.stream.rewind(ctx)
}

// allowEarlyAnswer keeps net/http from reading, and throwing away, up to 256 KiB of a body
// that is still on its way to Shopify when an answer begins: the upload would go on
// without those bytes, and nobody would notice. It is for streamed bodies only, because it
// also takes away what net/http does about a body that nobody reads.
func (u *upload) allowEarlyAnswer(w http.ResponseWriter) {
	if d, ok := w.(interface{ EnableFullDuplex() error }); ok && u.stream != nil {
		_ = d.EnableFullDuplex() // HTTP/1 servers of net/http know it; what does not has no such habit
	}
}

// unread reports whether bytes of the body may be left on the client's connection, or
// bytes of which nobody knows whether they are body: after a malformed chunk, say. They
// must not be taken for the next request, so the connection ends with this answer.
func (u *upload) unread() bool {
	if u == nil {
		return true // it broke off while it was read
	}
	return u.stream != nil && !u.stream.done()
}

// letGo bounds the wait for the transport to stop reading a body it was told to drop.
const letGo = 2 * time.Second

// recorder passes a body on and remembers up to limit bytes of it, so that it can be
// sent again. Each sending reads it through a pass of its own; a pass that the transport
// has closed reads no more, however long the transport's goroutine outlives the answer.
type recorder struct {
	src   io.Reader
	limit int64

	mu      sync.Mutex
	kept    []byte
	over    bool // more than limit bytes have gone by
	ended   bool // src is at its end
	err     error
	busy    bool          // a pass is reading src
	settled chan struct{} // closed once the open pass touches src no more
}

// pass is one sending of the body.
type pass struct {
	*recorder
	replay []byte // remembered bytes, sent before src goes on
	closed bool
}

var errPassClosed = errors.New("this sending of the body was given up")

func newRecorder(src io.Reader, limit int64) *recorder {
	return &recorder{src: src, limit: limit}
}

// open starts a sending. There must be no other whose rewind has not succeeded.
func (r *recorder) open() io.ReadCloser {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = make(chan struct{})
	return &pass{recorder: r, replay: r.kept}
}

// Read implements io.Reader.
func (p *pass) Read(b []byte) (int, error) {
	if n, err := p.begin(b); n > 0 || err != nil {
		return n, err
	}
	n, err := p.src.Read(b) // without the lock: a slow client must not block a question
	p.end(b[:n], err)
	return n, err
}

// begin serves what is remembered, or marks src as being read.
func (p *pass) begin(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return 0, errPassClosed
	case len(p.replay) > 0:
		n := copy(b, p.replay)
		p.replay = p.replay[n:]
		return n, nil
	case p.err != nil:
		return 0, p.err
	case p.ended:
		p.settle()
		return 0, io.EOF
	}
	p.busy = true
	return 0, nil
}

// end remembers what came from src.
func (p *pass) end(b []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	switch {
	case p.over:
	case int64(len(p.kept)+len(b)) > p.limit:
		p.over, p.kept = true, nil
	default:
		p.kept = append(p.kept, b...)
	}
	if errors.Is(err, io.EOF) {
		p.ended = true
	} else if err != nil {
		p.err = err
	}
	if err != nil || p.closed {
		p.settle()
	}
}

// Close implements io.Closer: the transport gives this sending up. The client's body
// itself belongs to the server.
func (p *pass) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if !p.busy {
		p.settle()
	}
	return nil
}

func (r *recorder) settle() {
	select {
	case <-r.settled:
	default:
		close(r.settled)
	}
}

// done reports whether src is at its end.
func (r *recorder) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

func (r *recorder) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err != nil
}

func (r *recorder) rewind(ctx context.Context) bool {
	timer := time.NewTimer(letGo)
	defer timer.Stop()
	select {
	case <-r.settled:
	case <-timer.C:
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.busy && !r.over && r.err == nil
}

package inject

import (
	"bytes"
	"context"
	"errors"
	"evergate/internal/denial"
	"evergate/internal/policy"
	"evergate/internal/prefixed"
	"evergate/internal/request"
	"io"
	"net/http"
	"sync"
	"time"
)

// requestBody is a request's body on its way to Shopify. A short body of known length is read
// whole before anything is sent; every other one is streamed, and one of unknown length is
// remembered while it passes, up to the replay buffer's size. The zero requestBody is none.
type requestBody struct {
	whole    []byte    // a short body; nil when streamed
	stream   *recorder // a streamed body; nil when read whole or absent
	declared int64     // Content-Length; -1 when unknown
	broken   bool      // it broke off while it was read
}

var errClientBody = errors.New("the request's body broke off or was malformed")

// readBody takes over the body of rec's request. Where the caller's policy depends on what is
// in it, it is read whole and judged before anything is sent, whatever the size of the replay
// buffer. The error is a denial or errClientBody.
func (h *Handler) readBody(rec *record) error {
	in := rec.in
	if !rec.passage.NeedsBody() {
		return rec.body.take(in.Body, in.ContentLength, h.opt.ReplayBuffer)
	}
	body, whole, err := readForPolicy(in)
	if err != nil {
		rec.body.broken = true
		return errClientBody
	}
	if err := rec.passage.JudgeBody(request.Header(in.Header), body, whole); err != nil {
		return denial.Of(err)
	}
	if whole && len(body) > 0 {
		rec.body = requestBody{whole: body}
		return nil
	}
	return rec.body.take(&prefixed.Body{Prefix: body, Rest: in.Body}, in.ContentLength, h.opt.ReplayBuffer)
}

// readForPolicy reads a body up to the size that is judged, and a byte more of one that
// is longer and has not said so.
func readForPolicy(r *http.Request) (body []byte, whole bool, _ error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0:
		return nil, true, nil
	case r.ContentLength > policy.LargestJudgedBody:
		return nil, false, nil
	case r.ContentLength > 0:
		body = make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, body)
		return body, true, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, policy.LargestJudgedBody+1))
	if err != nil || len(body) <= policy.LargestJudgedBody {
		return body, true, err
	}
	return body, false, nil
}

// take reads a body of known length up to limit, and streams any other.
func (b *requestBody) take(src io.Reader, length, limit int64) error {
	b.declared = length
	switch {
	case src == nil || src == http.NoBody || length == 0:
	case length > 0 && length <= limit:
		b.whole = make([]byte, length)
		if _, err := io.ReadFull(src, b.whole); err != nil {
			b.broken = true
			return errClientBody
		}
	case length > limit:
		b.stream = newRecorder(src, 0)
	default:
		b.stream = newRecorder(src, limit)
	}
	return nil
}

// attach makes the body out's. It may be called again after rewind.
func (b *requestBody) attach(out *outgoing) {
	switch {
	case b.whole != nil:
		whole := b.whole
		out.ContentLength = int64(len(whole))
		out.body.Reset(whole)
		out.Body = io.NopCloser(&out.body) // which net/http knows to be in memory, so it sends header and body together
		// With GetBody the transport sends the request anew when a pooled connection
		// turns out to be dead before a byte of it was written; never otherwise, for a POST.
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(whole)), nil }
		delete(out.Header, "Expect") // the client's wait ended when we read the body
	case b.stream != nil:
		out.ContentLength = b.declared
		out.Body = b.stream.open()
	}
}

// failed reports whether the client's side of the body failed, which is the client's
// mistake and not Shopify's.
func (b *requestBody) failed() bool { return b.stream != nil && b.stream.failed() }

// rewind prepares the body to be sent again. It reports false when that cannot be done.
// The transport must have been told to stop: rewind waits until it has let go.
func (b *requestBody) rewind(ctx context.Context) bool {
	if b.stream == nil {
		return true
	}
	return b.stream.rewind(ctx)
}

// allowEarlyAnswer keeps net/http from reading, and throwing away, up to 256 KiB of a body
// that is still on its way to Shopify when an answer begins: the upload would go on
// without those bytes, and nobody would notice. It is for streamed bodies only, because it
// also takes away what net/http does about a body that nobody reads.
func (b *requestBody) allowEarlyAnswer(w http.ResponseWriter) {
	if d, ok := w.(interface{ EnableFullDuplex() error }); ok && b.stream != nil {
		_ = d.EnableFullDuplex() // HTTP/1 servers of net/http know it; what does not has no such habit
	}
}

// unread reports whether bytes of the body may be left on the client's connection, or
// bytes of which nobody knows whether they are body: after a malformed chunk, say. They
// must not be taken for the next request, so the connection ends with this answer.
func (b *requestBody) unread() bool {
	return b.broken || b.stream != nil && !b.stream.done()
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

package inject

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"evergate/internal/denial"
	"evergate/internal/limit"
	"evergate/internal/policy"
	"evergate/internal/prefixed"
	"evergate/internal/request"
)

// requestBody is a request's body on its way to Shopify. A short body of known length is read
// whole before anything is sent; every other one is streamed, and one of unknown length is
// remembered while it passes, up to the replay buffer's size. The zero requestBody is none.
type requestBody struct {
	whole    []byte     // a short body; nil when streamed
	stream   *recorder  // a streamed body; nil when read whole or absent
	declared int64      // Content-Length; -1 when unknown
	broken   bool       // it broke off while it was read
	loan     limit.Loan // for what is kept of it; a stream has its own

	room *[firstRead]byte // where whole is; nil: elsewhere, such as where it came
	lent bool             // a transport may still read whole, whatever becomes of the last attempt
}

// rooms are for bodies that fit.
var rooms = sync.Pool{New: func() any { return new([firstRead]byte) }}

var errClientBody = errors.New("the request's body broke off or was malformed")

// readBody takes over the body of rec's request. Where the caller's policy depends on what is
// in it, it is read whole and judged before anything is sent, whatever the size of the replay
// buffer. The error is a denial or errClientBody.
func (h *Handler) readBody(rec *record) error {
	in := rec.in
	rec.body.loan = limit.Borrow(h.opt.Memory)
	var conn *limit.Conn
	if in.Body != nil && in.Body != http.NoBody {
		conn = rec.ownConn()
	}
	if !rec.passage.NeedsBody() {
		return rec.body.take(conn, in.Body, in.ContentLength, h.opt.ReplayBuffer)
	}
	conn.BeginUpload()
	body, whole, err := rec.body.readForPolicy(in)
	conn.EndUpload()
	switch {
	case errors.Is(err, errNoRoom):
		return denial.Of(noRoom())
	case err != nil:
		rec.body.broken = true
		return errClientBody
	}
	if err := rec.passage.JudgeBody(request.Header(in.Header), body, whole); err != nil {
		return denial.Of(err)
	}
	if whole && len(body) > 0 {
		rec.body.whole = body
		return nil
	}
	return rec.body.take(conn, &prefixed.Body{Prefix: body, Rest: in.Body}, in.ContentLength, h.opt.ReplayBuffer)
}

// readForPolicy reads a body up to the size that is judged, and a byte more of one that
// is longer and has not said so.
func (b *requestBody) readForPolicy(r *http.Request) (body []byte, whole bool, _ error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0:
		return nil, true, nil
	case r.ContentLength > policy.LargestJudgedBody:
		return nil, false, nil
	case r.ContentLength > 0:
		body, err := b.keep(nil, r.Body, r.ContentLength)
		return body, true, err
	}
	body, err := b.keep(nil, io.LimitReader(r.Body, policy.LargestJudgedBody+1), -1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return body, err != nil || len(body) <= policy.LargestJudgedBody, err
}

func noRoom() error {
	return &denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeMemoryBudget, RetryAfter: retryNoRoom,
		Message: "A policy has to see this request's body, and Evergate holds as many bodies as it may (EVERGATE_MEMORY_BUDGET). Send it again soon."}
}

// retryNoRoom is when it is worth trying again: most bodies are whole in a moment.
const retryNoRoom = time.Second

// errNoRoom says that the budget has no room for more of a body; what has been read of it is kept.
var errNoRoom = errors.New("no more bodies can be held now")

// firstRead is how much room a body gets before any of it has come.
const firstRead = 4 << 10

// keep reads length bytes of src, or all that there is for -1; then the error is io.EOF. Room beyond the first is made as they come, not
// for what a client says will come.
func (b *requestBody) keep(first []byte, src io.Reader, length int64) ([]byte, error) {
	kept := first[:0]
	for length < 0 || int64(len(kept)) < length {
		if len(kept) == cap(kept) {
			size := max(int64(2*cap(kept)), firstRead)
			if length >= 0 {
				size = min(size, length)
			}
			// While it is copied there are both.
			if !b.loan.Grow(size + int64(len(kept))) {
				return kept, errNoRoom
			}
			kept = append(make([]byte, 0, size), kept...)
		}
		n, err := src.Read(kept[len(kept):cap(kept)])
		kept = kept[:len(kept)+n]
		if err != nil && (length < 0 || int64(len(kept)) < length) {
			if length >= 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return kept, err
		}
	}
	return kept, nil
}

// take reads a body of known length up to limit, and streams any other.
func (b *requestBody) take(conn *limit.Conn, src io.Reader, length, most int64) error {
	b.declared = length
	switch {
	case src == nil || src == http.NoBody || length == 0:
	case length > 0 && length <= most:
		if lies, ok := src.(lying); ok {
			if whole, ok := lies.Here(); ok {
				b.whole = whole
				return nil
			}
		}
		var first []byte
		if length <= firstRead {
			b.room = rooms.Get().(*[firstRead]byte)
			first = b.room[:length:length]
		}
		conn.BeginUpload()
		kept, err := b.keep(first, src, length)
		conn.EndUpload()
		switch {
		case errors.Is(err, errNoRoom): // then it passes once, and is not kept
			b.loan.Return()
			b.stream = newRecorder(io.MultiReader(bytes.NewReader(kept), src), 0)
		case err != nil:
			b.broken = true
			return errClientBody
		default:
			b.whole = kept
		}
	case length > most:
		b.stream = newRecorder(src, 0)
	default:
		b.stream = newRecorder(src, most)
		b.stream.loan = b.loan
	}
	if b.stream != nil {
		b.stream.conn = conn
		conn.BeginUpload()
	}
	return nil
}

// lying is a body that may lie somewhere already, in one piece. It stays there until its request is said to be unused.
type lying interface {
	Here() (whole []byte, ok bool)
}

// attach makes the body out's. It may be called again after rewind.
func (b *requestBody) attach(out *outgoing) {
	switch {
	case b.whole != nil:
		out.setBody(b.whole)
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
	if b.stream != nil {
		readsOn(w)
	}
}

// readsOn says that the body is read on when the answer has begun: that the server is to read nothing of it, nor to end the connection because much is left.
func readsOn(w http.ResponseWriter) {
	if d, ok := w.(interface{ EnableFullDuplex() error }); ok {
		_ = d.EnableFullDuplex() // HTTP/1 servers of net/http know it; what does not has no such habit
	}
}

// release gives back what was taken for the body. It is not kept any more. unused says that the last attempt's transport does not read it any more. It
// reports whether nobody does, nor looks at anything else of the request.
func (b *requestBody) release(unused bool) bool {
	b.loan.Return()
	unused = unused && !b.lent
	if b.room != nil && unused {
		rooms.Put(b.room)
	}
	b.room, b.whole = nil, nil
	if b.stream == nil {
		return unused
	}
	b.stream.conn.EndUpload()
	b.stream.mu.Lock()
	defer b.stream.mu.Unlock()
	b.stream.over, b.stream.kept = true, nil
	b.stream.loan.Return()
	return false
}

// unread reports whether bytes of the body may be left on the client's connection, or
// bytes of which nobody knows whether they are body: after a malformed chunk, say. They
// must not be taken for the next request, so the connection ends with this answer.
func (b *requestBody) unread() bool {
	return b.broken || b.stream != nil && !b.stream.done()
}

// dropRest says that the request is answered, whatever is still to come of its body. The
// connection has been told to end then, and lingers until the client has sent what it has to send. conn is nil where it goes
// on for others: then net/http has the client end the one request.
func (b *requestBody) dropRest(conn *limit.Conn) {
	if b.unread() {
		conn.Linger()
	}
}

// letGo bounds the wait for the transport to stop reading a body it was told to drop.
const letGo = 2 * time.Second

// recorder passes a body on and remembers up to limit bytes of it, so that it can be
// sent again. Each sending reads it through a pass of its own; a pass that the transport
// has closed reads no more, however long the transport's goroutine outlives the answer.
type recorder struct {
	src   io.Reader
	limit int64

	conn *limit.Conn

	mu      sync.Mutex
	loan    limit.Loan // for kept
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
	case int64(len(p.kept)+len(b)) > p.limit || !p.loan.Grow(2*int64(len(p.kept)+len(b))): // append makes more room than it needs
		p.over, p.kept = true, nil
		p.loan.Return()
	default:
		p.kept = append(p.kept, b...)
	}
	if err != nil {
		p.conn.EndUpload()
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

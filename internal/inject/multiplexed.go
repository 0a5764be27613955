package inject

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/limit"
)

// HTTP/2 has many requests on one connection, and connections are counted by what one request costs. So each of its requests
// takes from the budget what a connection is reckoned to cost, and its header, which may be large while others wait; and
// what holds a connection to progress holds each of them.

const (
	// streamCost is what a request is reckoned to cost beside its header and its body, in bytes.
	streamCost = 48 << 10
	// fieldCost is what each of its field lines is reckoned to cost beside the bytes of it: its places in the client's header and in Shopify's.
	fieldCost = 160
	// mostRefusing is how many requests are told at a time that there is no room for them, which takes room, too.
	mostRefusing = 256
	// StreamBuffer is how much of a request's body may lie here unread.
	StreamBuffer = 64 << 10
)

// stream is what a request has to itself on a connection that carries many.
type stream struct {
	conn  *limit.Conn // may be nil
	stall time.Duration
	loan  limit.Loan
	// counted says that there was room for it beside the others.
	counted bool

	waits atomic.Int32 // reads and writes that wait for the client

	// refused counts those that are told that there is no room; nil: this one is not.
	refused *atomic.Int64

	mu      sync.Mutex
	control *http.ResponseController // nil: the handler has ended, and with it what this would control
}

// multiplexed takes what a request of HTTP/2 costs from the budget, and returns w with the time limited in which
// nothing moves. The error says what HTTP/1.1 would have made impossible, or that there is no room.
func (h *Handler) multiplexed(w http.ResponseWriter, rec *record) (http.ResponseWriter, error) {
	conn := limit.FromContext(rec.in.Context())
	s := &stream{conn: conn, stall: conn.Stall(), loan: limit.Borrow(h.opt.Memory), control: http.NewResponseController(w)}
	rec.stream = s
	s.counted = conn.BeginStream()
	if s.stall > 0 {
		if rec.in.ContentLength != 0 {
			rec.in.Body = &timeoutBody{ReadCloser: rec.in.Body, stream: s, left: s.stall}
		}
		w = &timeoutWriter{ResponseWriter: w, stream: s}
	}
	if !s.counted || !s.loan.Grow(streamSize(rec.in)) {
		if h.refusing.Add(1) > mostRefusing {
			h.refusing.Add(-1)
			rec.status = http.StatusServiceUnavailable
			panic(http.ErrAbortHandler) // the client sees the stream's end, which costs nothing
		}
		s.refused = &h.refusing
		return w, &denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeMemoryBudget, RetryAfter: retryNoRoom,
			Message: "Evergate serves as many requests at a time as its memory bears (EVERGATE_MEMORY_BUDGET). Send it again soon."}
	}
	return w, checkDowngrade(rec.in)
}

// streamSize is what a request is reckoned to cost.
func streamSize(r *http.Request) int64 {
	size := int64(limit.Free + streamCost)
	if r.ContentLength < 0 {
		size += StreamBuffer
	} else {
		size += min(r.ContentLength, StreamBuffer)
	}
	for name, values := range r.Header {
		for _, v := range values {
			size += int64(len(name)+len(v)) + fieldCost
		}
	}
	return size
}

// checkDowngrade refuses what cannot be said in HTTP/1.1, or would be read in another way there (RFC 9113, 8.2 and 8.3). net/http
// has looked at the names and values of fields.
func checkDowngrade(r *http.Request) error {
	if !isToken(r.Method) {
		return denial.New(http.StatusBadRequest, denial.CodeDeniedMethod, "The method "+denial.Quote(r.Method)+" is no name. Send GET, POST, PUT or DELETE.")
	}
	if r.Method != http.MethodConnect && (r.RequestURI != "*" && !strings.HasPrefix(r.RequestURI, "/") || strings.ContainsFunc(r.RequestURI, isBlank)) {
		return denial.New(http.StatusBadRequest, denial.CodeAmbiguousPath, "The path "+denial.Quote(r.RequestURI)+" does not begin with a slash, or has a space in it. Send it as it would stand in HTTP/1.1, with %20 for a space.")
	}
	for _, host := range r.Header["Host"] {
		if !ascii.EqualFold(host, r.Host) {
			return denial.New(http.StatusBadRequest, denial.CodeMisdirectedHost, "This request names two hosts: "+denial.Quote(r.Host)+" as :authority, and "+denial.Quote(host)+". Send one.")
		}
	}
	for _, declared := range r.Header["Content-Length"] {
		if n, err := strconv.ParseUint(declared, 10, 63); err != nil || int64(n) != r.ContentLength {
			return errClientBody
		}
	}
	return nil
}

func isBlank(c rune) bool { return c <= ' ' || c == 0x7f }

// isToken reports whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// end is called when the handler ends. What is left of the answer goes out after that, and takes no longer than a part of it may. Until
// then, which is the end of ctx, it counts.
func (s *stream) end(ctx context.Context) {
	if s == nil {
		return
	}
	s.mu.Lock()
	if s.stall > 0 {
		_ = s.control.SetWriteDeadline(time.Now().Add(s.stall))
	}
	s.control = nil
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.loan.Return()
		if s.counted {
			s.conn.EndStream()
		}
		if s.refused != nil {
			s.refused.Add(-1)
		}
	})
	s.conn.BeginWait()
	context.AfterFunc(ctx, s.conn.EndWait)
}

// beginWait and endWait count a request once that waits for its client in both directions.
func (s *stream) beginWait() {
	if s.waits.Add(1) == 1 {
		s.conn.BeginWait()
	}
}

func (s *stream) endWait() {
	if s.waits.Add(-1) == 0 {
		s.conn.EndWait()
	}
}

// giveUp ends what waits for the client.
func (s *stream) giveUp(deadline func(*http.ResponseController, time.Time) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control != nil {
		_ = deadline(s.control, time.Unix(1, 0))
	}
}

// stallTimer is a timer that is used again and again by one goroutine at a time.
type stallTimer struct{ timer *time.Timer }

func (t *stallTimer) begin(d time.Duration, end func()) {
	if t.timer == nil {
		t.timer = time.AfterFunc(d, end)
		return
	}
	t.timer.Reset(d)
}

func (t *stallTimer) end() { t.timer.Stop() }

// timeoutBody is a request's body of which each further kibibyte may be waited for as long as an upload may stand still.
type timeoutBody struct {
	io.ReadCloser
	*stream
	timer stallTimer
	left  time.Duration // that may be waited
	came  int           // bytes since it was as much as there is
}

// Read implements io.Reader.
func (b *timeoutBody) Read(p []byte) (int, error) {
	began := time.Now()
	b.timer.begin(b.left, b.late)
	b.beginWait()
	n, err := b.ReadCloser.Read(p)
	b.endWait()
	b.timer.end()
	b.left -= time.Since(began)
	if b.came += n; b.came >= limit.Slowest {
		b.left, b.came = b.stall, 0
	}
	return n, err
}

func (b *timeoutBody) late() { b.giveUp((*http.ResponseController).SetReadDeadline) }

// timeoutWriter is an answer that does not wait for its client for ever.
type timeoutWriter struct {
	http.ResponseWriter
	*stream
	timer stallTimer
}

// Write implements io.Writer.
func (w *timeoutWriter) Write(p []byte) (int, error) {
	defer w.wait()()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *timeoutWriter) Flush() {
	defer w.wait()()
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// wait begins to wait for the client, and returns what ends that.
func (w *timeoutWriter) wait() (end func()) {
	w.timer.begin(w.stall, w.late)
	w.beginWait()
	return w.got
}

func (w *timeoutWriter) got() {
	w.endWait()
	w.timer.end()
}

func (w *timeoutWriter) late() { w.giveUp((*http.ResponseController).SetWriteDeadline) }

// Unwrap is for http.ResponseController.
func (w *timeoutWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package inject

import (
	"io"
	"net/http"
	"time"

	"evergate/internal/denial"
	"evergate/internal/limit"
)

// HTTP/2 has many requests on one connection, and connections are counted by what one request costs. So each of its requests
// takes from the budget what a connection is reckoned to cost, and its header, which may be large while others wait; and
// what holds a connection to progress holds each of them.

// streamCost is what a request is reckoned to cost beside its header and its body, in bytes.
const streamCost = 16 << 10

// multiplexed takes what a request of HTTP/2 costs from the budget, and returns w with the time limited in which
// nothing moves. The error is a denial.
func (h *Handler) multiplexed(w http.ResponseWriter, rec *record) (http.ResponseWriter, error) {
	size := int64(limit.Free + streamCost)
	for name, values := range rec.in.Header {
		size += int64(len(name))
		for _, v := range values {
			size += int64(len(v))
		}
	}
	rec.stream = limit.Borrow(h.opt.Memory)
	if !rec.stream.Grow(size) {
		return w, &denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeMemoryBudget, RetryAfter: retryNoRoom,
			Message: "Evergate serves as many requests at a time as its memory bears (EVERGATE_MEMORY_BUDGET). Send it again soon."}
	}
	stall := limit.FromContext(rec.in.Context()).Stall()
	if stall == 0 {
		return w, nil
	}
	control := http.NewResponseController(w)
	if rec.in.Body != nil && rec.in.Body != http.NoBody {
		rec.in.Body = &movingBody{ReadCloser: rec.in.Body, control: control, stall: stall}
	}
	return &movingWriter{ResponseWriter: w, control: control, stall: stall}, nil
}

// movingBody is a request's body of which each further kibibyte may take as long as an upload may stand still.
type movingBody struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	window  time.Time // when the deadline was moved
	came    int       // bytes since then
}

// Read implements io.Reader.
func (b *movingBody) Read(p []byte) (int, error) {
	if now := time.Now(); b.window.IsZero() || b.came >= limit.Slowest && now.Sub(b.window) > b.stall/8 {
		_ = b.control.SetReadDeadline(now.Add(b.stall))
		b.window, b.came = now, 0
	}
	n, err := b.ReadCloser.Read(p)
	b.came += n
	return n, err
}

// movingWriter is an answer that does not wait for its client for ever.
type movingWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	window  time.Time // when the deadline was moved
}

// Write implements io.Writer.
func (w *movingWriter) Write(p []byte) (int, error) {
	w.move()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *movingWriter) Flush() {
	w.move()
	_ = w.control.Flush()
}

// Unwrap is for http.ResponseController.
func (w *movingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *movingWriter) move() {
	if now := time.Now(); now.Sub(w.window) > w.stall/8 {
		_ = w.control.SetWriteDeadline(now.Add(w.stall))
		w.window = now
	}
}

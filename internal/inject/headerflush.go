package inject

import (
	"io"
	"net/http"
	"sync"
	"time"

	"evergate/internal/prefixed"
)

// headerFlushDelay is how long an answer's header waits for the first byte of its body, so
// that the two leave in one packet. It is far below what a person or a client notices.
const headerFlushDelay = time.Millisecond

type noFlusher struct{}

func (noFlusher) Flush() {}

// readFirst reads the first part of a body. If that takes longer than headerFlushDelay, the
// header goes out meanwhile.
func (h *Handler) readFirst(body io.Reader, buf []byte, flusher http.Flusher) (int, error) {
	if b, ok := body.(prefixed.Ready); ok && b.Ready() {
		return body.Read(buf)
	}
	p := h.flushers.Get().(*headerFlusher)
	p.begin(flusher)
	defer func() { // also when the read panics: then the answer is over, and nobody may flush it
		p.end()
		h.flushers.Put(p)
	}()
	return body.Read(buf)
}

// headerFlusher flushes the header of one answer unless it is ended in time. It is used again
// for other answers; one that fires late flushes another header a little early, which does no harm.
type headerFlusher struct {
	timer *time.Timer

	mu      sync.Mutex // keeps the flush from meeting a write
	flusher http.Flusher
}

func newHeaderFlusher() any {
	p := &headerFlusher{}
	p.timer = time.AfterFunc(time.Hour, p.fire)
	p.timer.Stop()
	return p
}

func (p *headerFlusher) begin(f http.Flusher) {
	p.mu.Lock()
	p.flusher = f
	p.mu.Unlock()
	p.timer.Reset(headerFlushDelay)
}

func (p *headerFlusher) end() {
	p.timer.Stop()
	p.mu.Lock()
	p.flusher = nil
	p.mu.Unlock()
}

func (p *headerFlusher) fire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flusher != nil {
		p.flusher.Flush()
	}
}

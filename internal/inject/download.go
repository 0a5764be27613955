package inject

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"evergate/internal/guard"
)

// headerPatience is how long an answer's header waits for the first byte of its body, so
// that the two leave in one packet. It is far below what a person or a client notices.
const headerPatience = time.Millisecond

// bringBack sends Shopify's answer to the client. When Shopify's connection dies in the
// middle it breaks the client's, because an answer that merely ended would look whole.
func (h *Handler) bringBack(w http.ResponseWriter, r *http.Request, resp *http.Response, p guard.Passage, v *visit) {
	h.incomingHeader(w.Header(), resp.Header, p)
	if resp.Body == http.NoBody || r.Method == http.MethodHead {
		w.WriteHeader(resp.StatusCode)
		return
	}
	trailer := announceTrailer(w, r, resp)
	w.WriteHeader(resp.StatusCode)
	if err := h.stream(w, resp.Body); err != nil {
		if errors.Is(err, errClientGone) || r.Context().Err() != nil {
			// A client that closed its sending side only still reads, and must not take
			// what it has got for the whole.
			v.status = statusClientGone
			panic(http.ErrAbortHandler)
		}
		v.code = codeBrokeOff
		h.opt.Log.WarnContext(r.Context(), "Shopify's answer broke off; breaking the client's connection", "err", err)
		panic(http.ErrAbortHandler) // net/http's way to break a connection
	}
	if trailer {
		h.sendTrailer(w, resp, p)
	}
}

// codeBrokeOff is what the access log and the span say of an answer that came in part. The
// client has the status by then, and no header can tell it.
const codeBrokeOff = "answer_broke_off"

var errClientGone = errors.New("the client went away")

// stream copies a body as it comes: what is there is sent on before waiting for more.
func (h *Handler) stream(w http.ResponseWriter, body io.Reader) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	flusher, ok := w.(http.Flusher)
	if !ok {
		flusher = noFlusher{}
	}
	n, err := h.readFirst(body, buf[:], flusher)
	for {
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return errClientGone
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			flusher.Flush() // what came is the client's, even if the rest never comes
			return err
		}
		if n < len(buf) {
			flusher.Flush() // the next read would wait
		}
		n, err = body.Read(buf[:])
	}
}

type noFlusher struct{}

func (noFlusher) Flush() {}

// readFirst reads the first part of a body. If that takes longer than headerPatience, the
// header goes out meanwhile.
func (h *Handler) readFirst(body io.Reader, buf []byte, flusher http.Flusher) (int, error) {
	p := h.patiences.Get().(*patience)
	p.begin(flusher)
	n, err := body.Read(buf)
	p.end()
	h.patiences.Put(p)
	return n, err
}

// patience flushes the header of one answer unless it is ended in time. It is used again
// for other answers; one that fires late flushes another header a little early, which does no harm.
type patience struct {
	timer *time.Timer

	mu      sync.Mutex // keeps the flush from meeting a write
	flusher http.Flusher
}

func newPatience() any {
	p := &patience{}
	p.timer = time.AfterFunc(time.Hour, p.fire)
	p.timer.Stop()
	return p
}

func (p *patience) begin(f http.Flusher) {
	p.mu.Lock()
	p.flusher = f
	p.mu.Unlock()
	p.timer.Reset(headerPatience)
}

func (p *patience) end() {
	p.timer.Stop()
	p.mu.Lock()
	p.flusher = nil
	p.mu.Unlock()
}

func (p *patience) fire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flusher != nil {
		p.flusher.Flush()
	}
}

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
func (h *Handler) bringBack(w http.ResponseWriter, r *http.Request, resp *http.Response, p guard.Passage) {
	base := ""
	if !p.OwnName {
		base = "http://" + p.Host + p.Prefix
	}
	h.incomingHeader(w.Header(), resp.Header, base)
	w.WriteHeader(resp.StatusCode)
	if resp.Body == http.NoBody || r.Method == http.MethodHead {
		return
	}
	if err := stream(w, resp.Body); err != nil {
		if errors.Is(err, errClientGone) || r.Context().Err() != nil {
			return
		}
		h.opt.Log.WarnContext(r.Context(), "Shopify's answer broke off; breaking the client's connection", "err", err)
		panic(http.ErrAbortHandler) // net/http's way to break a connection
	}
}

var errClientGone = errors.New("the client went away")

// stream copies a body as it comes: what is there is sent on before waiting for more.
func stream(w http.ResponseWriter, body io.Reader) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	flush := func() {}
	if f, ok := w.(http.Flusher); ok {
		flush = f.Flush
	}
	n, err := readFirst(body, buf[:], flush)
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
			flush() // what came is the client's, even if the rest never comes
			return err
		}
		if n < len(buf) {
			flush() // the next read would wait
		}
		n, err = body.Read(buf[:])
	}
}

// readFirst reads the first part of a body. If that takes longer than headerPatience, the
// header goes out meanwhile.
func readFirst(body io.Reader, buf []byte, flush func()) (int, error) {
	var mu sync.Mutex // of this request alone: flush must not meet a write
	over := false
	timer := time.AfterFunc(headerPatience, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			flush()
		}
	})
	n, err := body.Read(buf)
	mu.Lock()
	defer mu.Unlock()
	over = true
	timer.Stop()
	return n, err
}

package inject

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"evergate/internal/limit"
	"evergate/internal/netfail"
	"evergate/internal/prefixed"
	"evergate/internal/shopify"
	"evergate/internal/wire"
)

// copyResponse sends Shopify's answer to the client. When Shopify's connection dies in the
// middle it breaks the client's, because an answer that merely ended would look whole.
func (h *Handler) copyResponse(w http.ResponseWriter, rec *record, resp *http.Response) {
	r, l := rec.in, linksFor(&rec.passage)
	if lines := rec.passedLines(); len(lines) > 0 {
		rec.passer.PassFields(lines, len(resp.Header["Date"]) > 0)
		copyReplaced(w.Header(), resp.Header, l)
	} else {
		copyHeader(w.Header(), resp.Header, l)
	}
	if resp.Body == http.NoBody || r.Method == http.MethodHead {
		w.WriteHeader(resp.StatusCode)
		return
	}
	conn := limit.FromContext(r.Context())
	conn.BeginAnswer()
	defer conn.EndAnswer()
	trailer := announceTrailer(w, r, resp)
	w.WriteHeader(resp.StatusCode)
	if err := h.stream(w, resp.Body); err != nil {
		if errors.Is(err, errClientGone) || r.Context().Err() != nil {
			// A client that closed its sending side only still reads, and must not take
			// what it has got for the whole.
			rec.status = statusClientGone
			panic(http.ErrAbortHandler)
		}
		rec.code = codeBrokeOff
		h.opt.Log.WarnContext(r.Context(), "Shopify's answer broke off; breaking the client's connection", "err", netfail.Say(err))
		panic(http.ErrAbortHandler) // net/http's way to break a connection
	}
	if trailer {
		sendTrailer(w, resp, l)
	}
}

// codeBrokeOff is what the access log and the span say of an answer that came in part. The
// client has the status by then, and no header can tell it.
const codeBrokeOff = "answer_broke_off"

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

var errClientGone = errors.New("the client went away")

// stream copies a body as it comes: what is there is sent on before waiting for more.
func (h *Handler) stream(w http.ResponseWriter, body io.Reader) error {
	flusher, ok := w.(http.Flusher)
	if !ok {
		flusher = noFlusher{}
	}
	if begun, ok := body.(*prefixed.Body); ok && len(begun.Prefix) > 0 {
		here, err := begun.Here()
		if more, err := passOn(w, flusher, here, err); !more {
			return err
		}
		flusher.Flush() // the next read would wait
	}
	r := room{flusher: flusher}
	r.of, _ = w.(interface{ AvailableBuffer() []byte })
	defer r.release()
	buf := r.next()
	n, err := h.readFirst(body, buf, flusher)
	for {
		if more, err := passOn(w, flusher, buf[:n], err); !more {
			return err
		}
		if n < len(buf) {
			flusher.Flush() // the next read would wait
		}
		buf = r.next()
		n, err = body.Read(buf)
	}
}

// room is where pieces of a body are read into: where they are gathered to be written, or a buffer.
type room struct {
	of      interface{ AvailableBuffer() []byte } // nil: there is only the buffer
	flusher http.Flusher
	own     *[32 << 10]byte // nil: it has not been needed
}

func (r *room) next() []byte {
	if r.of != nil {
		b := r.of.AvailableBuffer()
		if b != nil && cap(b) == 0 {
			r.flusher.Flush()
			b = r.of.AvailableBuffer()
		}
		if cap(b) > 0 {
			return b[:cap(b)]
		}
	}
	if r.own == nil {
		r.own = buffers.Get().(*[32 << 10]byte)
	}
	return r.own[:]
}

func (r *room) release() {
	if r.own != nil {
		buffers.Put(r.own)
	}
}

// passOn sends on what a read came to. It reports whether there may be more; if not, the error is what the answer ended with, nil for its end.
func passOn(w http.ResponseWriter, flusher http.Flusher, b []byte, err error) (more bool, _ error) {
	if len(b) > 0 {
		if _, werr := w.Write(b); werr != nil {
			return false, errClientGone
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		return false, nil
	case err != nil:
		flusher.Flush() // what came is the client's, even if the rest never comes
		return false, err
	}
	return true, nil
}

// neverDownstream are the response headers that end here. Strict-Transport-Security and
// Alt-Svc speak of Shopify's host and would be taken as speaking of localhost; cookies are
// the edge's own; Connection and its kin are per hop.
var neverDownstream = set(
	"Set-Cookie", "Strict-Transport-Security", "Alt-Svc",
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
)

// copyHeader copies what goes back to the client into out.
func copyHeader(out, in http.Header, l links) {
	for name, values := range in {
		if !droppedDownstream(name) {
			out[name] = l.rewrite(name, values)
		}
	}
	dropNamed(out, in["Connection"])
	if _, sent := out["Content-Type"]; !sent {
		out["Content-Type"] = nil // net/http would guess one
	}
}

// copyReplaced is copyHeader where the lines of all other fields are passed.
func copyReplaced(out, in http.Header, l links) {
	for _, name := range replacedInAnswers {
		if values, ok := in[name]; ok {
			out[name] = l.rewrite(name, values)
		}
	}
	if _, sent := in["Content-Type"]; !sent {
		out["Content-Type"] = nil
	}
}

func droppedDownstream(name string) bool {
	return neverDownstream.has(name) || strings.HasPrefix(name, aboutOrigins)
}

// aboutOrigins begins the names of what is said to browsers of pages that are not the shop's.
const aboutOrigins = "Access-Control-"

// passer is a client's ResponseWriter that takes lines of fields as they are, each with its end, beside its header. It reads them until its
// request is over. Most fields of Shopify's answers concern nobody here, and need not become a map for it to write. It is told when the request with its
// context and its body is used by nobody, so that they can be another one's.
type passer interface {
	// dated says that Date is one of them.
	PassFields(lines []byte, dated bool)
	Unused()
	// Made is a place for what is made of the request's header, if the client's next requests may have the same; nil: there is none.
	Made() *any
}

// replacedInAnswers are the fields of an answer that are not always passed on as they are: those with addresses, and what the client's side may leave out.
var replacedInAnswers = []string{"Content-Type", "Content-Length", "Link", "Location"}

// shownOfAnswers are the other fields of an answer that something here reads. Who reads another one adds it.
var shownOfAnswers = []string{
	"Content-Encoding", "Date", "Retry-After", "X-Request-Id",
	shopify.HeaderAPIVersion, shopify.HeaderVersionWarning, shopify.HeaderDeprecatedReason, shopify.HeaderCallLimit,
}

// answerNames are the names that sortAnswer knows, and what becomes of them.
var answerNames = func() map[string]answerName {
	names := make(map[string]answerName, len(replacedInAnswers)+len(shownOfAnswers)+len(neverDownstream.names))
	for name := range neverDownstream.names {
		names[name] = answerName{"", wire.Dropped}
	}
	for _, name := range replacedInAnswers {
		names[name] = answerName{name, wire.Read}
	}
	for _, name := range shownOfAnswers {
		names[name] = answerName{name, wire.Shown}
	}
	return names
}()

type answerName struct {
	known string
	use   wire.Use
}

// answers are sorted like this: what copyHeader drops is dropped.
var answers = wire.Sort{Of: sortAnswer}

func sortAnswer(name []byte) (known string, use wire.Use) {
	if n, ok := answerNames[string(name)]; ok {
		return n.known, n.use
	}
	if bytes.HasPrefix(name, []byte(aboutOrigins)) {
		return "", wire.Dropped
	}
	return "", wire.Passed
}

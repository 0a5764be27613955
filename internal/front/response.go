package front

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"evergate/internal/wire"
)

// outSize is how much of an answer is gathered before it is written. A usual one goes out in one piece, head and body.
const outSize = 16 << 10

// bulkSize is outSize for an answer whose body is read to where it is gathered, and needs no other buffer. No more can be written at a time without Go's
// scheduler being told (internal/socket).
const bulkSize = 32 << 10

// shortBody is how long the body of an answer of unknown length may be for its length to be said, as net/http has it.
const shortBody = 2 << 10

// headers are empty. A connection that waits for long is another one when it asks again.
var headers = sync.Pool{New: func() any { return &header{fields: make(http.Header, 16)} }}

// header is what the answers of a connection have, one after the other.
type header struct {
	fields http.Header
	// order has the names of the last answer, sorted: the next one's are mostly the same.
	order []string
}

var (
	outs  = sync.Pool{New: func() any { b := make([]byte, 0, outSize); return &b }}
	bulks = sync.Pool{New: func() any { b := make([]byte, 0, bulkSize); return &b }}
)

// recycle gives back what an answer was gathered in, unless that has become larger than most.
func recycle(out *[]byte) {
	switch size := cap(*out); {
	case size < bulkSize:
		outs.Put(out)
	case size <= 2*bulkSize:
		bulks.Put(out)
	}
}

// response writes one answer. It implements http.ResponseWriter and what http.ResponseController asks for; it guesses no Content-Type.
type response struct {
	conn   *conn
	req    *http.Request
	header *header
	out    *[]byte // nil before the head is written: an answer that is waited for holds none

	status   int   // 0: not said yet
	declared int64 // Content-Length; -1: none
	written  int64
	open     bool   // the head lacks its framing: it is not known how long the body will be
	pending  []byte // what is written of it until then
	passed   []byte // lines of the head beside the header
	dated    bool   // they have a Date
	chunked  bool
	bodyless bool
	last     bool // the connection ends with this answer
	// saysClose says that the handler said so.
	saysClose bool
	begun     bool // something has been sent
	unused    bool // see Unused
	duplex    bool // the request's body may be read on while it is answered
	err       error
}

func (w *response) begin(c *conn, r *http.Request) {
	pending, h := w.pending[:0], w.header
	if h == nil {
		h = headers.Get().(*header)
	}
	*w = response{conn: c, req: r, header: h, declared: -1, last: r.Close, pending: pending}
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header.fields }

// PassFields has the head say lines of fields as they are, each with its end, behind what the header says. They are read until the request is
// over, and may not concern the message itself. dated says that Date is among them.
func (w *response) PassFields(lines []byte, dated bool) { w.passed, w.dated = lines, dated }

// Unused has the handler say that nobody looks at the request any more when it returns, nor at its context and its body, which are used again. Where it says
// nothing of the kind somebody may, for as long as he likes.
func (w *response) Unused() { w.unused = true }

// Made is a place for what the handler makes of the request's header but for its Content-Length, for the next requests of the client that have the same one:
// it finds there what it has put there, or nil. A nil place says that the header is not kept.
func (w *response) Made() *any {
	if !w.conn.again {
		return nil
	}
	return &w.conn.made
}

// EnableFullDuplex is for http.ResponseController. Nothing is read of a body but by the handler, before or after this.
func (w *response) EnableFullDuplex() error {
	w.duplex = true
	return nil
}

// SetReadDeadline is for http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error { return w.conn.setReadDeadline(t) }

// SetWriteDeadline is for http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error { return w.conn.net.SetWriteDeadline(t) }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status != 0 {
		w.conn.logf("http: superfluous response.WriteHeader call for %s", w.conn.remote)
		return
	}
	w.status = status
	w.bodyless = status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
	w.out = outs.Get().(*[]byte)
	b := (*w.out)[:0]
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if text := http.StatusText(status); text != "" {
		b = append(b, text...)
	} else {
		b = strconv.AppendInt(append(b, "status code "...), int64(status), 10)
	}
	b = append(b, "\r\n"...)
	b = append(w.appendFields(b), w.passed...)
	switch {
	case w.bodyless, w.declared >= 0:
		b = w.endHead(b)
	default:
		w.open = true
	}
	*w.out = b
}

// endHead ends the head, when it is known how long the body will be.
func (w *response) endHead(b []byte) []byte {
	w.last = w.last || w.leavesMuch()
	if w.last && !w.saysClose {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

// muchLeft is how much of a body a handler may leave unread when it answers before the connection ends with the answer, as net/http has it.
const muchLeft = 256 << 10

// leavesMuch reports whether the handler answers a body of which it has not read so much, and has not said that it will.
func (w *response) leavesMuch() bool {
	if w.duplex || w.req.ContentLength < muchLeft {
		return false
	}
	b, ours := w.req.Body.(*body)
	return ours && b.left >= muchLeft
}

// appendFields writes the header, in order, and takes from it what says something of the message.
func (w *response) appendFields(b []byte) []byte {
	h := w.header
	if len(h.order) == len(h.fields) {
		if all, same := w.appendInOrder(b); same {
			return all
		}
	}
	h.order = h.order[:0]
	for name := range h.fields {
		h.order = append(h.order, strings.Clone(name)) // it is a part of a head, which would be kept with it
	}
	slices.Sort(h.order)
	b, _ = w.appendInOrder(b)
	return b
}

// appendInOrder reports whether the header has all the names that the order has.
func (w *response) appendInOrder(b []byte) (all []byte, same bool) {
	dated := w.dated
	for _, name := range w.header.order {
		values, ok := w.header.fields[name]
		if !ok {
			return b, false
		}
		switch name {
		case "Content-Length":
			n, err := strconv.ParseUint(strings.Join(values, ","), 10, 63)
			if err != nil || w.bodyless {
				continue
			}
			w.declared = int64(n)
		case "Connection":
			if w.saysClose = slices.Contains(values, "close"); !w.saysClose {
				continue
			}
			w.last = true
		case "Transfer-Encoding":
			continue
		case "Content-Type":
			if w.status == http.StatusNotModified { // net/http has it so
				continue
			}
		case "Date":
			dated = true
		}
		if !wire.IsToken(name) || strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	if !dated {
		b = append(time.Now().UTC().AppendFormat(append(b, "Date: "...), http.TimeFormat), "\r\n"...)
	}
	return b, true
}

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	value = textproto.TrimString(value)
	if strings.IndexByte(value, '\r') >= 0 || strings.IndexByte(value, '\n') >= 0 {
		value = textproto.TrimString(strings.NewReplacer("\r", " ", "\n", " ").Replace(value))
	}
	return append(append(b, value...), "\r\n"...)
}

// Write implements io.Writer.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case w.bodyless:
		return 0, http.ErrBodyNotAllowed
	case w.declared >= 0 && w.written+int64(len(p)) > w.declared:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	switch {
	case w.req.Method == http.MethodHead:
		if w.written > shortBody {
			w.settle(false)
		}
	case w.open && len(w.pending)+len(p) <= shortBody:
		w.pending = append(w.pending, p...)
	default:
		w.settle(false)
		w.send(p)
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// settle says in the head how long the body is, or that it comes in chunks.
func (w *response) settle(over bool) {
	if !w.open {
		return
	}
	w.open = false
	b, toHead := *w.out, w.req.Method == http.MethodHead
	switch {
	case toHead && (!over || w.written == 0 || w.announcesTrailer()):
	case over && !w.announcesTrailer():
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), w.written, 10), "\r\n"...)
	default:
		w.chunked = true
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	*w.out = w.endHead(b)
	w.send(w.pending)
	w.pending = w.pending[:0]
}

func (w *response) announcesTrailer() bool { return len(w.header.fields["Trailer"]) > 0 }

// send writes a piece of the body.
func (w *response) send(p []byte) {
	if len(p) == 0 {
		return
	}
	if w.chunked {
		w.put(append(strconv.AppendInt(nil, int64(len(p)), 16), "\r\n"...))
	}
	w.put(p)
	if w.chunked {
		w.put([]byte("\r\n"))
	}
}

// leastRoom is how much room there is at least for a piece of a body, where so much is still to come.
const leastRoom = 8 << 10

// AvailableBuffer is bufio.Writer's: an empty slice with room, for whoever reads a piece of the body into it and writes that at once, which then copies
// nothing. One without room says that what has been gathered has to be flushed first; nil, that a piece is not written as it is.
func (w *response) AvailableBuffer() []byte {
	if w.out == nil || w.open || w.chunked || w.bodyless || w.req.Method == http.MethodHead {
		return nil
	}
	rest := w.declared - w.written
	if cap(*w.out) < bulkSize && rest > int64(cap(*w.out)-len(*w.out)) {
		bulk := bulks.Get().(*[]byte)
		*bulk = append((*bulk)[:0], *w.out...)
		recycle(w.out)
		w.out = bulk
	}
	b := *w.out
	if free := cap(b) - len(b); free > 0 && int64(free) >= min(rest, leastRoom) {
		return b[len(b):]
	}
	return b[len(b):len(b):len(b)]
}

// isBehind reports whether p lies where more of b would.
func isBehind(b, p []byte) bool {
	return len(p) > 0 && len(p) <= cap(b)-len(b) && &p[0] == &b[:len(b)+1][len(b)]
}

// put gathers bytes, and writes what is too much to gather.
func (w *response) put(p []byte) {
	if w.err != nil {
		return
	}
	b := *w.out
	if isBehind(b, p) {
		*w.out = b[:len(b)+len(p)]
		return
	}
	most := outSize
	if cap(b) >= bulkSize {
		most = bulkSize
	}
	if len(b)+len(p) > most {
		n := max(0, most-len(b))
		b = append(b, p[:n]...)
		p = p[n:]
		if *w.out = b; !w.flushEarly() {
			return
		}
		if len(p) >= outSize/2 {
			_, w.err = w.conn.gone.half.write(w.conn.net, p)
			return
		}
		b = *w.out
	}
	b = append(b, p...)
	*w.out = b
}

// flushEarly is flush while the request is served, when somebody may ask the client whether it is there.
func (w *response) flushEarly() bool {
	if len(*w.out) > 0 && w.err == nil {
		w.begun = true
		_, w.err = w.conn.gone.half.write(w.conn.net, *w.out)
	}
	*w.out = (*w.out)[:0]
	return w.err == nil
}

func (w *response) flush() bool {
	if len(*w.out) > 0 && w.err == nil {
		w.begun = true
		_, w.err = w.conn.net.Write(*w.out)
	}
	*w.out = (*w.out)[:0]
	return w.err == nil
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is for http.ResponseController.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.settle(false)
	w.flushEarly()
	return w.err
}

// finish ends the answer. It reports whether it was written, and another may follow.
func (w *response) finish(completed bool) bool {
	if completed {
		if w.status == 0 {
			w.WriteHeader(http.StatusOK)
		}
		w.settle(true)
		if w.chunked {
			w.put([]byte("0\r\n"))
			w.putTrailer()
			w.put([]byte("\r\n"))
		}
	}
	if completed || w.begun || w.written > shortBody { // a client is not given half a head, and net/http keeps as much
		w.flush()
	}
	short := w.declared >= 0 && w.written < w.declared && w.req.Method != http.MethodHead && !w.bodyless
	if w.out != nil {
		recycle(w.out)
	}
	ok := w.err == nil && !w.last && !short
	if completed {
		clear(w.header.fields)
	} else {
		w.header = nil // whoever gave up may have left it to others
	}
	w.out, w.req, w.passed = nil, nil, nil
	return ok
}

// end is the end of its connection.
func (w *response) end() {
	if w.header != nil {
		headers.Put(w.header)
		w.header = nil
	}
}

// putTrailer writes the fields behind the body: those that were announced, and those of http.TrailerPrefix.
func (w *response) putTrailer() {
	var b []byte
	for _, list := range w.header.fields["Trailer"] {
		for name := range strings.SplitSeq(list, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			for _, v := range w.header.fields[name] {
				b = appendField(b, name, v)
			}
		}
	}
	for name, values := range w.header.fields {
		if key, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && wire.IsToken(key) {
			for _, v := range values {
				b = appendField(b, key, v)
			}
		}
	}
	w.put(b)
}

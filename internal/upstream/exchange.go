package upstream

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"evergate/internal/clock"
	"evergate/internal/socket"
	"evergate/internal/wire"
)

// Most requests are carried here rather than by net/http, whose Transport hands each of them from goroutine to goroutine three times:
// the caller writes the request, waits for the answer and reads it itself. What is out of the ordinary is left to net/http: a request
// whose body is not in memory, or that has fields about the connection, beforehand; an answer that can be read in two ways, with every
// byte that has come.

const (
	// largestBuffered is how long a body may be that is written before the answer is looked for: what a peer's kernel takes even if
	// the peer reads nothing, so that its early answer is never waited for in vain.
	largestBuffered = 64 << 10
	// likelyRead is how long a body may be that a peer has read when it answers, because it came in one piece with the head.
	likelyRead = 8 << 10
	// mostInformational is how many answers of 1xx may come before the one that counts.
	mostInformational = 5
)

// exchange is one request and its answer on a connection. It belongs to one goroutine at a time, and is used again for others.
type exchange struct {
	lane   *lane
	pooled bool // see lane.pools
	conn   *conn
	given  watchable   // the request's context, if it is such a one
	stop   func() bool // ends the watch over any other; nil: there is none

	first [1]byte
	*writing
	*reading
	r, w int // what of in is not used up
}

// An exchange that waits has neither of these two as a rule, which are many times as much memory as all else that waits with it; and what is used by turns is
// still in the processor's caches.
type (
	// writing is until the request is written.
	writing struct {
		out []byte // the request as it is written
	}
	// reading is from the first byte of an answer on, or from when it is waited for where there is no TLS: its head, and what is known of those before.
	reading struct {
		in   [wire.MaxHead]byte
		head wire.Response
	}
)

var (
	exchanges = sync.Pool{New: func() any { return new(exchange) }}
	writings  = sync.Pool{New: func() any { return new(writing) }}
	readings  = sync.Pool{New: func() any { return new(reading) }}
)

// free gives the exchange to others. Nothing may refer to it. It returns what pooled was.
func (x *exchange) free() (pooled bool) {
	x.written()
	if x.reading != nil {
		readings.Put(x.reading)
		x.reading = nil
	}
	pooled = x.pooled
	x.lane, x.pooled, x.conn, x.given, x.stop, x.r, x.w = nil, false, nil, nil, nil, 0, 0
	exchanges.Put(x)
	return pooled
}

// written is when the request has been written, or is not.
func (x *exchange) written() {
	if x.writing == nil {
		return
	}
	if cap(x.out) > largestBuffered {
		x.out = nil
	}
	writings.Put(x.writing)
	x.writing = nil
}

// isOrdinary reports whether a request is one for an exchange.
func isOrdinary(r *http.Request) bool {
	if r.Close || r.Trailer != nil || r.TransferEncoding != nil || r.Host == "" || r.URL == nil || r.URL.Host == "" {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return false
	}
	if r.Body != nil && r.Body != http.NoBody && (r.GetBody == nil || r.ContentLength <= 0 || r.ContentLength > largestBuffered) ||
		(r.Body == nil || r.Body == http.NoBody) && r.ContentLength != 0 {
		return false
	}
	return true
}

// prepare puts the request's head into x.out. It reports false for one that net/http may refuse, would write in another way, or has fields about the
// connection.
func (x *exchange) prepare(r *http.Request) bool {
	path := r.URL.Opaque
	if path == "" {
		path = r.URL.EscapedPath()
		if path == "" {
			path = "/"
		}
	}
	if path[0] != '/' || strings.HasPrefix(path, "//") || !isVisible(path) || !isVisible(r.URL.RawQuery) || !isVisible(r.Host) || strings.ContainsAny(r.Host, "%/@") {
		return false
	}
	if x.writing == nil {
		x.writing = writings.Get().(*writing)
	}
	b := x.out[:0]
	b = append(append(append(b, r.Method...), ' '), path...)
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		b = append(append(b, '?'), r.URL.RawQuery...)
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), r.Host...)
	var ok bool
	if b, ok = prepared(r).appendTo(b, r.Header); !ok {
		return false
	}
	switch {
	case r.ContentLength > 0:
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), r.ContentLength, 10)
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		b = append(b, "\r\nContent-Length: 0"...)
	}
	b = append(b, "\r\n\r\n"...)
	x.out = b
	return true
}

// Prepared is what a header comes to that several requests have, one after the other, all the same but for one field.
type Prepared struct {
	// Apart is the name of the field whose values may change.
	Apart string

	made  bool
	ok    bool // it is a header that an exchange writes
	lines []byte
}

// prepared is what the request's maker has prepared of its header; nil: nothing.
func prepared(r *http.Request) *Prepared {
	if c, ok := r.Context().(*Context); ok {
		return c.Prepared
	}
	return nil
}

// appendTo appends the fields, each after a line's end. It reports false for a header that net/http may refuse, would write in another way, or that has
// fields about the connection.
func (p *Prepared) appendTo(b []byte, header http.Header) (with []byte, ok bool) {
	if p == nil {
		return appendHeader(b, header, "")
	}
	if !p.made {
		p.made = true
		p.lines, p.ok = appendHeader(nil, header, p.Apart)
	}
	if !p.ok {
		return nil, false
	}
	return appendField(append(b, p.lines...), p.Apart, header[p.Apart])
}

// appendHeader appends all fields but one; none is called "". Where it reports false there is nothing.
func appendHeader(b []byte, header http.Header, but string) (with []byte, ok bool) {
	if _, has := header["User-Agent"]; !has {
		b = append(b, "\r\nUser-Agent: Go-http-client/1.1"...)
	}
	for name, values := range header {
		switch name {
		case "Content-Length", "Host":
			continue // the request says both itself
		case "Connection", "Expect", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			return nil, false
		}
		if name == but && but != "" {
			continue
		}
		if b, ok = appendField(b, name, values); !ok {
			return nil, false
		}
	}
	return b, true
}

func appendField(b []byte, name string, values []string) (with []byte, ok bool) {
	if !wire.IsToken(name) {
		return nil, false
	}
	for _, v := range values {
		b = append(append(append(append(b, "\r\n"...), name...), ": "...), v...)
		if !isPlain(b[len(b)-len(v):]) {
			return nil, false
		}
	}
	return b, true
}

func isVisible(s string) bool {
	for i := range len(s) {
		if s[i]-0x21 > 0x7e-0x21 {
			return false
		}
	}
	return true
}

// isPlain reports whether a field's value goes out as it is.
func isPlain(v []byte) bool {
	return wire.IsText(v) && (len(v) == 0 || v[0] > ' ' && v[len(v)-1] > ' ')
}

var errUnasked = errors.New("the server spoke first")

var errLongBody = errors.New("the request's body is longer than its Content-Length")

// takeBody puts the request's body behind its head.
func (x *exchange) takeBody(r *http.Request) error {
	if r.Body == nil {
		return nil
	}
	defer r.Body.Close()
	at := len(x.out)
	x.out = slices.Grow(x.out, int(r.ContentLength))[:at+int(r.ContentLength)]
	if _, err := io.ReadFull(r.Body, x.out[at:]); err != nil {
		return err
	}
	if n, _ := r.Body.Read(x.first[:]); n > 0 {
		return errLongBody
	}
	return nil
}

// prepareAgain puts a request into x.out that has been there before.
func (x *exchange) prepareAgain(r *http.Request) bool {
	r, ok := again(r)
	return ok && x.prepare(r) && x.takeBody(r) == nil
}

// notCarriedOut says that an upstream has certainly not carried a request out, or not been asked by one that changes anything, and
// that it may be sent on another connection.
type notCarriedOut struct{ err error }

func (e *notCarriedOut) Error() string { return e.err.Error() }
func (e *notCarriedOut) Unwrap() error { return e.err }

// run sends the request on a connection and reads the answer's head. reused says that the connection may have ended while it was at rest.
// When it fails, the connection is closed, and the exchange is ready for another try.
func (x *exchange) run(ctx context.Context, r *http.Request, c *conn, reused bool) (*http.Response, error) {
	x.conn, x.r, x.w = c, 0, 0
	x.watch(ctx)
	resp, err := x.roundTrip(r, reused)
	if err == nil {
		return resp, nil
	}
	x.unwatch()
	_ = c.Close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, err
}

// watchable is a context that calls one function when it ends, and allocates nothing for that. See request.Context.
type watchable interface {
	Watch(f func()) bool
	Unwatch() bool
}

// watch has the connection closed when the request is given up.
func (x *exchange) watch(ctx context.Context) {
	x.given, x.stop = nil, nil
	if given, ok := ctx.(watchable); ok && given.Watch(x.conn.abort) {
		x.given = given
	} else if ctx.Done() != nil {
		x.stop = context.AfterFunc(ctx, x.conn.abort)
	}
}

// unwatch ends that. It reports whether the connection has not been closed and will not be.
func (x *exchange) unwatch() bool {
	switch {
	case x.given != nil:
		return x.given.Unwatch()
	case x.stop != nil:
		return x.stop()
	}
	return true
}

// asker is the connection where a request of so many bytes can go out when its answer is waited for; nil: it cannot. Only of a connection on
// which an exchange has ended is it known that a layer of TLS has read nothing ahead, and so asks for something when the answer is read.
func (c *conn) asker(size int) socket.Asker {
	if !c.used || size > mostAsked {
		return nil
	}
	return c.probe.asker
}

// mostAsked leaves room for what TLS adds.
const mostAsked = socket.MostAsked * 3 / 4

// hasAsked ends a question that cannot be put. It reports whether any of it has gone out.
func hasAsked(a socket.Asker) bool {
	if a == nil {
		return false
	}
	sent, _ := a.Asked()
	return sent
}

func (x *exchange) roundTrip(r *http.Request, reused bool) (*http.Response, error) {
	c, safe := x.conn, r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	c.watch.begins.Store(true)
	asker := c.asker(len(x.out))
	if asker != nil {
		asker.Ask()
	}
	now := clock.Mono()
	n, writeErr := c.writeAt(x.out, now)
	x.written() // an asker has what it has not sent yet
	if writeErr != nil && n == 0 && reused && !hasAsked(asker) {
		return nil, &notCarriedOut{writeErr}
	}
	if asker == nil && c.writeTimeout > 0 {
		now = clock.Mono() // the write may have taken long
	}
	if err := c.boundAnswer(now); err != nil {
		return nil, err
	}
	for informational := 0; ; {
		n, err := x.readHead()
		if asker != nil {
			sent, cut := asker.Asked()
			if !sent {
				return nil, &notCarriedOut{cmp.Or(err, errUnasked)}
			}
			asker, writeErr = nil, cmp.Or(writeErr, cut)
		}
		x.w += n
		if n > 0 {
			verdict := x.head.Parse(x.in[:x.w], r.Method == http.MethodHead)
			for verdict == wire.Understood && x.head.Status < 200 && informational < mostInformational {
				informational++
				x.w = copy(x.in[:], x.in[x.head.Size():x.w])
				verdict = wire.Incomplete
				if x.w > 0 {
					verdict = x.head.Parse(x.in[:x.w], r.Method == http.MethodHead)
				}
			}
			if verdict == wire.Foreign || verdict == wire.Understood && x.head.Status < 200 || x.w == len(x.in) && verdict == wire.Incomplete {
				return x.leave(r)
			}
			if verdict == wire.Understood {
				return x.answer(r, writeErr == nil)
			}
		}
		switch {
		case err == nil:
			_ = c.boundAnswer(now) // another connection may have taken the place of the one that had the deadline
		case x.w == 0 && safe && reused && !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, &notCarriedOut{err}
		case writeErr != nil && x.w == 0:
			return nil, writeErr // it says more
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// readHead reads what has come of the answer's head: of TLS, one byte as long as nothing has, which takes no other call of the kernel.
func (x *exchange) readHead() (int, error) {
	if x.reading == nil {
		if _, secured := x.conn.way().(*tls.Conn); secured {
			n, err := x.conn.Read(x.first[:])
			if n > 0 {
				x.reading = readings.Get().(*reading)
				x.in[x.w] = x.first[0]
			}
			return n, err
		}
		x.reading = readings.Get().(*reading)
	}
	return x.conn.Read(x.in[x.w:])
}

// answer makes the Response of the head that has been read. whole says that the request was sent to its end.
func (x *exchange) answer(r *http.Request, whole bool) (*http.Response, error) {
	h := &x.head
	given, _ := r.Context().(*Context)
	a := newAnswer(h, given.sort())
	a.Response = http.Response{
		Status: statusText(h), StatusCode: h.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.fields.Header, ContentLength: h.Length, Close: h.Close, Request: r, Body: http.NoBody,
	}
	if given != nil {
		given.answer = a
	}
	x.r = h.Size()
	switch {
	case r.Method == http.MethodHead:
		a.ContentLength = h.Declared
	case h.Chunked:
		a.encoding[0] = "chunked"
		a.TransferEncoding = a.encoding[:]
	}
	// Who refuses a long body may not have read it, and end the connection for that.
	keep := whole && !h.Close && (h.Status < 400 || r.ContentLength <= likelyRead)
	if h.Length == 0 {
		x.end(keep)
		return &a.Response, nil
	}
	x.conn.bound = false // nothing bounds the body
	a.body = answerBody{x: x, resp: &a.Response, left: h.Length, keep: keep, chunked: h.Chunked}
	if h.Chunked {
		a.body.left = 0
	}
	a.Body = &a.body
	return &a.Response, nil
}

// leave has net/http read the answer, from its first byte on. The connection ends with it.
func (x *exchange) leave(r *http.Request) (*http.Response, error) {
	c := x.conn
	head := &io.LimitedReader{R: io.MultiReader(bytes.NewReader(bytes.Clone(x.in[x.r:x.w])), c), N: maxResponseHeader}
	buffered := bufio.NewReader(head)
	resp, err := http.ReadResponse(buffered, r)
	for range mostInformational {
		if err != nil || resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			break
		}
		resp, err = http.ReadResponse(buffered, r)
	}
	if err != nil {
		return nil, err
	}
	head.N = math.MaxInt64
	_ = c.SetReadDeadline(time.Time{})
	if resp.Body == http.NoBody {
		x.end(false)
		return resp, nil
	}
	resp.Body = &lastBody{resp.Body, x}
	return resp, nil
}

// lastBody is the body of the last answer on a connection.
type lastBody struct {
	io.ReadCloser
	x *exchange // nil: it is over
}

// Read implements io.Reader.
func (l *lastBody) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if err != nil {
		l.end()
	}
	return n, err
}

// Close implements io.Closer.
func (l *lastBody) Close() error {
	l.end() // first: net/http would read on
	return nil
}

func (l *lastBody) end() {
	if l.x != nil {
		l.x.end(false)
		l.x = nil
	}
}

// end is the end of the exchange: the connection rests, if it can be used again.
func (x *exchange) end(keep bool) {
	c, l := x.conn, x.lane
	if !x.unwatch() {
		keep = false // the request was given up, and the connection ended with it
	}
	keep = keep && x.r == x.w && c.holdsNothing(x.in[:1])
	pooled := x.free()
	c.used = true
	if !keep || !l.rest(c) {
		_ = c.Close()
	}
	l.left(pooled) // not before the connection counts as one that rests
}

// holdsNothing reports whether everything has been read that came, where a layer of TLS reads ahead, which nobody who looks at the socket sees.
// What is left is no answer to anything, or the end of the connection.
func (c *conn) holdsNothing(b []byte) bool {
	way := c.way()
	secured, ok := way.(*tls.Conn)
	if !ok {
		return true
	}
	if below, ok := secured.NetConn().(socket.Husher); ok {
		below.Hush(true)
		n, err := way.Read(b)
		below.Hush(false)
		return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
	}
	_ = c.SetReadDeadline(time.Unix(1, 0)) // nothing is asked of the kernel
	n, err := way.Read(b)
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}

// readCome is Read for what has come already. It returns nothing, and no error, where nothing has, or where that cannot be told.
func (c *conn) readCome(p []byte) (int, error) {
	briefly, ok := socket.Innermost(c.way()).(socket.Brief) // also of TLS within TLS, as behind a proxy
	if !ok {
		return 0, nil
	}
	briefly.Brief(true)
	c.bound = true // what has come has no deadline to outlive
	n, err := c.Read(p)
	c.bound = false
	briefly.Brief(false)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}

// statusText is the status line as net/http has it.
func statusText(h *wire.Response) string {
	if h.Status == http.StatusOK && string(h.Reason()) == "OK" {
		return "200 OK"
	}
	return strconv.Itoa(h.Status) + " " + string(h.Reason())
}

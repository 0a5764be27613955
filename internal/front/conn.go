package front

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
	"evergate/internal/request"
	"evergate/internal/wire"
)

const (
	// longestBody is how long a body may be. A longer one takes its time, and is net/http's.
	longestBody = 1 << 20
	// lingers is how long a connection is kept open on which a body was left unread, so that no reset overtakes the answer.
	lingers = 500 * time.Millisecond
)

// The states of a connection.
const (
	waits  int32 = iota // for a request
	serves              // a byte of one has come
	parted              // it was told to end
)

// conn is a client's connection. What is not atomic or under mu belongs to its goroutine.
type conn struct {
	server *Server
	hand   *handover
	net    net.Conn
	tls    *tls.ConnectionState // nil: the connection is none of TLS
	state  atomic.Int32
	lost   bool // somebody has it for good
	known  bool // it has asked for something
	untold bool // that it says something again

	in      []byte // of usualHead or wire.MaxHead bytes; nil while it is silent, and while a connection of TLS waits
	r, w    int    // what of in is not used up
	first   [1]byte
	limited bool          // the head has its deadline
	blanks  int           // how many bytes of empty lines may come before it
	head    *wire.Request // nil while it is silent
	next    *incoming
	spare   *incoming // what the last request was made of, to be used again
	own     *lasting  // likewise; nil: somebody may still look at it
	resp    response

	until    int64 // its next request may begin, of clock.Mono; 0: for ever
	silentBy int64 // the deadline of its reads that pause has set, of clock.Mono; 0: another one is in force, or none
	failed   error // why no more of a head has come

	served int64 // requests
	same   http.Header
	said   int64 // what its Content-Length says
	again  bool  // the request under way has that header
	made   any   // see Made

	// What is known of a head that is not ordinary.
	scan wire.Scan
	long []byte // what has come of it

	remote    string
	host, uri string          // of the last request
	ctx       context.Context //nolint:containedctx // of the connection, as net/http has one

	// gone watches whether the client goes away.
	gone watch
}

// usualHead is as long as a read that finds nearly every head whole, and most bodies with it. A connection has a buffer of it for a moment after
// each answer as well.
const usualHead = 4 << 10

var (
	usual = sync.Pool{New: func() any { return new([usualHead]byte) }}
	large = sync.Pool{New: func() any { return new([wire.MaxHead]byte) }}
)

// part ends a connection that waits.
func (c *conn) part() {
	if c.state.CompareAndSwap(waits, parted) {
		_ = c.net.Close()
	}
}

func (c *conn) tell(state http.ConnState) { c.server.tell(c.net, state) }

// run serves the connection.
func (c *conn) run(base context.Context) {
	c.remote = c.net.RemoteAddr().String()
	c.ctx = context.WithValue(base, http.LocalAddrContextKey, c.net.LocalAddr())
	if secured, ok := c.net.(*tls.Conn); ok {
		if !c.shake(secured) {
			c.end()
			return
		}
		if c.tls.NegotiatedProtocol != "" && c.tls.NegotiatedProtocol != "http/1.1" {
			c.giveAway()
			return
		}
	}
	if hook := c.server.connContext; hook != nil {
		c.ctx = hook(c.ctx, c.net)
	}
	if d := c.server.http.ReadHeaderTimeout; d > 0 {
		_ = c.setReadDeadline(time.Now().Add(d))
	}
	c.wait()
}

// wait has nothing but a socket and a small stack until something comes of a request. Then it serves, until the connection ends or is silent.
func (c *conn) wait() {
	keep := c.hear()
	for keep {
		switch c.read() {
		case wire.Understood:
			keep = c.serve()
		case wire.Foreign:
			keep = c.judge() && c.lend()
		default:
			if c.isSilent() {
				c.shed()
				c.resp = response{}
				_ = c.setReadDeadline(clock.Deadline(c.until))
				go c.wait() // the stack of this goroutine has grown
				return
			}
			keep = false
		}
	}
	c.end()
}

// end is the end of the connection, unless somebody has it for good.
func (c *conn) end() {
	c.shed()
	if !c.lost {
		_ = c.net.Close()
		c.tell(http.StateClosed)
	}
	c.server.forget(c)
}

const (
	// silence is how long a connection waits for its next request at most, and three quarters of that at least, before it lets go of what it serves with. To have it all again takes some
	// microseconds, so that who calls a few times in a second is spared it (docs/adr/0034-a-silent-connection-lets-go.md).
	silence = 250 * time.Millisecond
	// silenceOfMany is silence where there are more connections than few: what they hold is some 20 KiB for each.
	silenceOfMany = 20 * time.Millisecond
	few           = 256
)

// isSilent reports whether nothing has come for so long, and may still come.
func (c *conn) isSilent() bool {
	return c.state.Load() == waits && errors.Is(c.failed, os.ErrDeadlineExceeded) && (c.until == 0 || clock.Mono() < c.until)
}

// shed lets go of everything that only serves requests.
func (c *conn) shed() {
	c.letGo()
	c.resp.end()
	c.gone.end()
	if c.head != nil {
		*c.head = wire.Request{} // what it keeps is the client's
		heads.Put(c.head)
	}
	c.head, c.next, c.spare, c.own, c.same, c.made, c.failed = nil, nil, nil, nil, nil, nil, nil
}

// hears is how much the first read of a connection asks for: most heads are shorter. One that has asked before is known to be silent for long, and
// pays for a further read.
const hears = 1 << 10

var heads = sync.Pool{New: func() any { return new(wire.Request) }}

// hear waits for the first bytes of a request. It reports false when none come.
func (c *conn) hear() bool {
	b := c.first[:]
	if !c.known && c.tls == nil {
		b = make([]byte, hears)
	}
	n, err := c.net.Read(b)
	if n == 0 && err != nil || !c.rouse() {
		return false
	}
	c.untold = c.known
	c.head = heads.Get().(*wire.Request) //nolint:forcetypeassert // there is nothing else in it
	c.take(usualHead)
	c.w = copy(c.in, b[:n])
	return true
}

// rouse makes the client one who is served. It reports false when it was told to end before.
func (c *conn) rouse() bool {
	return c.state.CompareAndSwap(waits, serves) || c.state.Load() == serves
}

// read reads the head of a request. Incomplete says that there will be none.
func (c *conn) read() wire.Verdict {
	c.limited = false
	for {
		if c.skipBlanks(); c.w > 0 {
			if c.untold { // whoever measures how long it has waited begins anew
				c.untold = false
				c.tell(http.StateNew)
			}
			switch v := c.head.Parse(c.in[:c.w]); v {
			case wire.Foreign:
				return v
			case wire.Understood:
				if c.head.Length > longestBody || !enabled {
					return wire.Foreign
				}
				return c.target()
			default:
			}
		}
		n, err := c.more()
		c.w += n
		switch {
		case n > 0:
		case c.w > 0 && errors.Is(err, io.EOF):
			return wire.Foreign // net/http says what is wrong with half a request
		default:
			c.failed = err
			return wire.Incomplete
		}
	}
}

// more reads more of a head. With the first byte the client is one who is served.
func (c *conn) more() (n int, err error) {
	switch {
	case c.w > 0:
		c.limit()
		if c.w == len(c.in) {
			c.take(wire.MaxHead)
		}
		return c.net.Read(c.in[c.w:])
	case c.tls != nil: // what is decrypted lies there, and a further read costs nothing
		c.letGo()
		n, err = c.net.Read(c.first[:])
		c.take(usualHead)
		c.in[0] = c.first[0]
	default:
		c.take(usualHead)
		n, err = c.net.Read(c.in)
	}
	if n > 0 && !c.rouse() {
		return 0, net.ErrClosed
	}
	return n, err
}

// mostBlanks is how many bytes of empty lines may come behind a POST, as net/http has it: old clients send one behind the body.
const mostBlanks = 4

func (c *conn) skipBlanks() {
	n := 0
	for ; n < c.w && c.blanks > 0 && (c.in[n] == '\r' || c.in[n] == '\n'); n++ {
		c.blanks--
	}
	if n > 0 {
		if c.w = copy(c.in, c.in[n:c.w]); c.w == 0 {
			c.pause(clock.Mono()) // that was nothing of a request
		}
	}
	if c.w > 0 {
		c.blanks = 0
	}
}

// limit bounds how long the rest of a head may take.
func (c *conn) limit() {
	if c.limited {
		return
	}
	c.limited = true
	var by time.Time
	if d := c.server.http.ReadHeaderTimeout; d > 0 {
		by = time.Now().Add(d)
	}
	_ = c.setReadDeadline(by)
}

// take has in hold so many bytes at least.
func (c *conn) take(n int) {
	if len(c.in) >= n {
		return
	}
	var in []byte
	if n <= usualHead {
		in = usual.Get().(*[usualHead]byte)[:]
	} else {
		in = large.Get().(*[wire.MaxHead]byte)[:]
	}
	copy(in, c.in[:c.w])
	c.letGo()
	c.in = in
}

func (c *conn) letGo() {
	switch len(c.in) {
	case usualHead:
		usual.Put((*[usualHead]byte)(c.in))
	case wire.MaxHead:
		large.Put((*[wire.MaxHead]byte)(c.in))
	}
	c.in = nil
}

// incoming is a request with what is made for it.
type incoming struct {
	http.Request
	url url.URL
}

// lasting is what of a request others may look at when it is over.
type lasting struct {
	ctx  request.Context
	body body
}

// serve serves one request. It reports whether there may be another.
func (c *conn) serve() bool {
	c.tell(http.StateActive)
	in, h := c.next, c.head
	c.next = nil
	own := c.lasting()
	defer own.ctx.End()
	in.Request = *in.Request.WithContext(&own.ctx)
	r := &in.Request
	r.Method, r.Proto, r.ProtoMajor, r.ProtoMinor = h.Method(), "HTTP/1.1", 1, 1
	r.URL, r.Host, r.RemoteAddr, r.ContentLength, r.Close = &in.url, same(&c.host, h.Host()), c.remote, h.Length, h.Close
	r.Header, r.Body, r.TLS = c.header(), http.NoBody, c.tls
	c.r = h.Size()
	own.body.start(c, h.Length)
	if h.Length > 0 {
		r.Body = &own.body
		if int64(c.w-c.r) < h.Length {
			_ = c.setReadDeadline(time.Time{}) // that was for the head; what limit.Conn sets for a body, it sets when more of one is read
		}
	}
	c.resp.begin(c, r)
	c.gone.begin(c, &own.body, &own.ctx)
	completed := c.call(r)
	ahead, ok := c.gone.stop()
	whole := own.body.end()
	method := r.Method
	keep := c.resp.finish(completed) && completed && ok && whole
	if completed && c.server.onlyReads {
		*in = incoming{}
		c.spare = in
		if c.resp.unused && whole {
			c.own = own
		}
	}
	if own.body.lent && !(completed && c.resp.unused) {
		c.in = slices.Clone(c.in) // whoever has the other one keeps it
	}
	if !keep {
		if !whole && completed {
			c.linger()
		}
		return false
	}
	c.w = copy(c.in, c.in[c.r:c.w])
	if ahead >= 0 {
		c.in[c.w] = byte(ahead)
		c.w++
	}
	return c.rest(method)
}

// lasting makes what others may look at for long, or takes that of the last request if none can any more.
func (c *conn) lasting() *lasting {
	own := c.own
	if c.own = nil; own != nil && own.ctx.Again() {
		return own
	}
	own = new(lasting)
	own.ctx.Begin(c.ctx)
	return own
}

// header is that of the request whose head has been read. Where a client says the same as the last time it is the same map; it is kept from its second
// request on, because most that ask more often ask in a row.
func (c *conn) header() http.Header {
	h := c.head
	c.served++
	c.again = h.Same
	if h.Same {
		if h.Length != c.said {
			c.same["Content-Length"], c.said = []string{strconv.FormatInt(h.Length, 10)}, h.Length
		}
		return c.same
	}
	keeps := c.server.onlyReads && c.served > 1 && h.Keep()
	header := http.Header(h.Header())
	if keeps {
		c.same, c.said, c.again, c.made = header, h.Length, true, nil
	}
	return header
}

// linger ends the answer, and keeps the connection open for whoever reads it only when everything is sent.
func (c *conn) linger() {
	if closeWrite(c.net) == nil {
		time.Sleep(lingers)
	}
}

// rest is what there is between a request of that method and the next, of which something may have come already. It reports whether there may be one.
func (c *conn) rest(method string) bool {
	c.r, c.blanks, c.known = 0, 0, true
	if method == http.MethodPost {
		c.blanks = mostBlanks
	}
	now := clock.Mono()
	if d := c.server.http.IdleTimeout; d > 0 {
		c.until = now + int64(d)
	}
	c.tell(http.StateIdle)
	if c.w > 0 {
		return true
	}
	if len(c.in) > usualHead {
		c.letGo()
	}
	return c.pause(now)
}

// pause begins to wait for the next request. It reports false when there will be none.
func (c *conn) pause(now int64) bool {
	c.state.Store(waits)
	if c.server.ended.Load() {
		c.part()
		return false
	}
	silence := int64(c.server.silence())
	by := now + silence
	if c.until != 0 && c.until < by {
		by = c.until
	}
	if by-c.silentBy > silence/4 || by < c.silentBy { // else the one of the last request will do, and setting it is not free
		_ = c.net.SetReadDeadline(clock.Deadline(by))
		c.silentBy = by
	}
	return true
}

// setReadDeadline sets the deadline of the connection's reads for anything else.
func (c *conn) setReadDeadline(t time.Time) error {
	c.silentBy = 0
	return c.net.SetReadDeadline(t)
}

// target reads the target, and makes the request that serve completes. What is Foreign about it net/http is to judge.
func (c *conn) target() wire.Verdict {
	in := c.spare
	if c.spare = nil; in == nil {
		in = &incoming{}
	}
	in.RequestURI = same(&c.uri, c.head.Target())
	path, query, asked := strings.Cut(in.RequestURI, "?")
	switch {
	case strings.HasPrefix(path, "//"): // a host, to some
		return wire.Foreign
	case strings.Contains(path, "%"):
		u, err := url.ParseRequestURI(in.RequestURI)
		if err != nil {
			return wire.Foreign
		}
		in.url = *u
	default:
		in.url.Path, in.url.RawQuery, in.url.ForceQuery = path, query, asked && query == ""
	}
	c.next = in
	return wire.Understood
}

// longestSame is how long a text may be that is kept for the next request: most are shorter, and a connection that waits is to cost little.
const longestSame = 128

// same returns b as a string: the last one, where a client says the same again.
func same(last *string, b []byte) string {
	if *last == string(b) {
		return *last
	}
	s := string(b)
	if len(s) <= longestSame {
		*last = s
	}
	return s
}

// call has the request handled. It reports false when the handler gave up.
func (c *conn) call(r *http.Request) (completed bool) {
	defer func() {
		if completed {
			return
		}
		if err := recover(); err != nil && err != http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this
			c.logf("http: panic serving %v: %v\n%s", c.remote, err, debug.Stack())
		}
	}()
	c.server.handler.ServeHTTP(&c.resp, r)
	return true
}

func (c *conn) logf(format string, args ...any) {
	if l := c.server.http.ErrorLog; l != nil {
		l.Printf(format, args...)
	}
}

// body is a request's body.
type body struct {
	conn *conn
	left int64
	done atomic.Bool // it has been read to its end

	mu     sync.Mutex // keeps who reads on, though the request is answered, from the next request's bytes
	begun  bool       // it has been read from
	lent   bool       // somebody reads it where it lies
	closed bool       // the request is answered
}

// start makes it the body of a request, of so many bytes.
func (b *body) start(c *conn, length int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn, b.left, b.begun, b.lent, b.closed = c, length, false, false, false
	b.done.Store(length == 0)
}

// Read implements io.Reader. The last bytes come with io.EOF.
func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.done.Load():
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := b.take(p)
	if n == 0 && err == nil { // whoever is here when the request is answered has the connection end
		n, err = b.conn.net.Read(p[:min(int64(len(p)), b.left)])
	}
	if b.left -= int64(n); b.left == 0 {
		b.done.Store(true)
		return n, io.EOF
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// take returns what has come with the head.
func (b *body) take(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	b.begun = true
	c := b.conn
	n := copy(p[:min(int64(len(p)), b.left)], c.in[c.r:c.w])
	c.r += n
	return n, nil
}

// Here takes all that has not been read, if it has come with the head, and saves whoever wants it in one piece a copy. It is not changed before the
// request is answered, nor after that unless the handler has said Unused.
func (b *body) Here() (whole []byte, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.conn
	if b.closed || b.done.Load() || int64(c.w-c.r) < b.left {
		return nil, false
	}
	from := c.r
	c.r += int(b.left)
	b.left, b.begun, b.lent = 0, true, true
	b.done.Store(true)
	return c.in[from:c.r:c.r], true
}

// end has nobody read any more. It reports whether the connection has nothing more of the body to come.
func (b *body) end() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if c := b.conn; !b.done.Load() && !b.begun && int64(c.w-c.r) >= b.left { // nobody wanted it, and it is here
		c.r += int(b.left)
		return true
	}
	return b.done.Load()
}

// Close implements io.Closer.
func (b *body) Close() error { return nil }

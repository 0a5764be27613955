package front

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves listeners of tools. Its methods are safe for concurrent use.
type Server struct {
	// http serves what is not ordinary. Its time-outs hold for both.
	http  *http.Server
	ended atomic.Bool

	// What the http.Server was given, and holds for both as well.
	handler     http.Handler
	connState   func(net.Conn, http.ConnState)
	connContext func(context.Context, net.Conn) context.Context
	refusals    Refusals
	onlyReads   bool

	mu    sync.Mutex // taken when a client comes or goes, not for a request
	conns map[*conn]struct{}
	count atomic.Int64   // how many they are
	open  sync.WaitGroup // conns
}

// Refusals answer requests that are not served. The connection ends with that.
type Refusals interface {
	// Ambiguous answers one that can be read in two ways; doubt says what it has.
	Ambiguous(w http.ResponseWriter, doubt string)
	// Stopping answers one whose head was complete only when the server had shut down.
	Stopping(w http.ResponseWriter)
}

// New returns a Server before h, which must have a Handler, and of whose fields nobody changes anything any more.
func New(h *http.Server, refusals Refusals) *Server {
	s := &Server{http: h, handler: h.Handler, connState: h.ConnState, connContext: h.ConnContext, refusals: refusals, conns: map[*conn]struct{}{}}
	h.Handler, h.ConnState, h.ConnContext = http.HandlerFunc(s.serveGiven), s.hook, s.context
	return s
}

// HandlerOnlyReads says that the Handler changes nothing of a request's header, and that nobody looks at the request when it is over, but at its context and
// its body, see Unused. A client that says the same again is then given to it with the same header, and the next request has the place of the last one. It is called
// before Serve.
func (s *Server) HandlerOnlyReads() { s.onlyReads = true }

func (s *Server) tell(c net.Conn, state http.ConnState) {
	if s.connState != nil {
		s.connState(c, state)
	}
}

// Inner is the listener that a BaseContext is to look at: the one that Serve was given.
func Inner(l net.Listener) net.Listener {
	if h, ok := l.(*handover); ok {
		return h.Listener
	}
	return l
}

// Serve serves a listener, whose connections may speak TLS, until that is closed, and returns its error. Those who came before are served on.
func (s *Server) Serve(l net.Listener) error {
	hand := &handover{Listener: l, http: s.http, conns: make(chan net.Conn), closed: make(chan struct{})}
	base := context.Background()
	if s.http.BaseContext != nil {
		base = s.http.BaseContext(l)
	}
	base = context.WithValue(base, http.ServerContextKey, s.http)
	var pause time.Duration
	for {
		c, err := l.Accept()
		if err != nil {
			if !isTemporary(err) {
				go func() { hand.used.Wait(); _ = hand.Close() }()
				return err
			}
			pause = min(max(2*pause, acceptMin), acceptMax)
			time.Sleep(pause)
			continue
		}
		pause = 0
		s.begin(&conn{server: s, hand: hand, net: c}, base)
	}
}

// acceptMin and acceptMax bound the pause after an error that may pass: there may be no descriptors at the moment.
const acceptMin, acceptMax = 5 * time.Millisecond, time.Second

func isTemporary(err error) bool {
	var passing interface{ Temporary() bool }
	return errors.As(err, &passing) && passing.Temporary()
}

func (s *Server) begin(c *conn, base context.Context) {
	s.mu.Lock()
	if s.ended.Load() {
		s.mu.Unlock()
		_ = c.net.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.count.Store(int64(len(s.conns)))
	s.open.Add(1)
	c.hand.used.Add(1)
	s.mu.Unlock()
	c.tell(http.StateNew) // before Serve returns, as net/http has it: whoever ends the server then knows all who came
	go c.run(base)
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.count.Store(int64(len(s.conns)))
	s.mu.Unlock()
	c.hand.used.Done()
	s.open.Done()
}

func (s *Server) silence() time.Duration {
	if s.count.Load() > few {
		return silenceOfMany
	}
	return silence
}

// Shutdown closes the connections that wait and lets the requests under way end, until ctx ends; then its error is ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.ended.Store(true)
	for c := range s.conns {
		c.part()
	}
	s.mu.Unlock()
	err := s.http.Shutdown(ctx)
	done := make(chan struct{})
	go func() { s.open.Wait(); close(done) }()
	select {
	case <-done:
		return err
	case <-ctx.Done():
	}
	if s.serves() {
		return ctx.Err()
	}
	return err
}

// serves reports whether a request is under way. Connections that were told to end may take a moment to.
func (s *Server) serves() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.state.Load() == serves {
			return true
		}
	}
	return false
}

// Close ends everything at once.
func (s *Server) Close() error {
	s.mu.Lock()
	s.ended.Store(true)
	for c := range s.conns {
		_ = c.net.Close()
	}
	s.mu.Unlock()
	return s.http.Close()
}

// handover is the listener by which connections get to the http.Server.
type handover struct {
	net.Listener
	http   *http.Server
	begun  sync.Once // http serves it: from the first connection on that it gets, until Shutdown, or until all who came have gone
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	used   sync.WaitGroup // connections that may still be handed over
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The one before it is closed by whoever opened it.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// give hands a connection over. It reports false when nobody takes it any more.
func (h *handover) give(c net.Conn) bool {
	h.begun.Do(func() { go func() { _ = h.http.Serve(h) }() }) // which closes h when it returns, also at once
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

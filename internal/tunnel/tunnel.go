// Package tunnel serves CONNECT: a client that takes us for a forward proxy asks for a way to a host and gets one.
//
// A tunnel to the shop ends here. What comes through it is TLS with a certificate of the local authority, and the requests
// inside are served like any others, by the server that accepts from Listener. A tunnel to another host, where such are
// allowed, is copied byte for byte.
//
// Invariants:
//   - Whatever follows a CONNECT on its connection belongs to the tunnel, or to nobody: it is never read as a request.
//   - After a refusal, a failure or its end the connection is closed.
//   - No tunnel leads to this machine or its network, whatever a name resolves to; that is looked at after the look-up, of the
//     address that is dialled.
//   - Nothing of ours goes into a tunnel to another host.
package tunnel

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"evergate/internal/denial"
	"evergate/internal/guard"
	"evergate/internal/limit"
	"evergate/internal/request"
)

// answerTimeout is how long a client may take for the few bytes that open a tunnel.
const answerTimeout = 10 * time.Second

// established opens a tunnel. It has no body and, by RFC 9110, 9.3.6, nothing that speaks of one.
const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// Options configures New. Admission, InTunnel and TLS are required.
type Options struct {
	Admission *guard.Admission
	// InTunnel makes of what follows a request on its connection one whose requests are its sender's.
	InTunnel func(net.Conn, *request.Request) net.Conn
	// TLS is what a tunnel to the shop speaks.
	TLS *tls.Config
	// Dial connects to a host outside, host:port, and to nobody on this machine or its network. Nil: no tunnel leads there.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Memory is what may be held for all clients; nil: there is no bound.
	Memory *limit.Budget
}

// Server serves CONNECT. It is safe for concurrent use.
type Server struct {
	opt    Options
	inside *inside
	pieces sync.Pool // of *[piece]byte

	mu    sync.Mutex // taken when a tunnel to another host begins or ends
	pipes map[*pipe]struct{}
	ended bool
	all   sync.WaitGroup
}

// New returns a Server.
func New(o Options) *Server {
	return &Server{opt: o, inside: newInside(), pieces: sync.Pool{New: func() any { return new([piece]byte) }}, pipes: map[*pipe]struct{}{}}
}

// Listener accepts the connections inside of tunnels to the shop. They speak TLS. Once it is closed, no more tunnels are opened.
func (s *Server) Listener() net.Listener { return s.inside }

// Connect serves a CONNECT. An error is a *denial.Error, and then nothing has been written; otherwise the connection is no
// longer w's.
func (s *Server) Connect(w http.ResponseWriter, r *http.Request, view *request.Request) (guard.Tunnel, error) {
	t, err := s.opt.Admission.AdmitTunnel(view)
	if err != nil {
		return t, err
	}
	if r.ProtoMajor != 1 {
		return t, denial.New(http.StatusForbidden, denial.CodeDeniedConnect, "A tunnel is opened with HTTP/1.1. Send the CONNECT on a connection without HTTP/2.")
	}
	if s.inside.isClosed() {
		return t, denial.New(http.StatusServiceUnavailable, denial.CodeStopping, "Evergate is shutting down and opens no more tunnels. Nothing was sent: connect again.")
	}
	if !t.Ours {
		return t, s.connectOther(w, r, t.Host)
	}
	conn, err := hijack(w)
	if err != nil {
		return t, err
	}
	s.inside.hand(tls.Server(s.opt.InTunnel(conn, view), s.opt.TLS))
	return t, nil
}

// hijack takes the connection over and says that the tunnel is open.
func hijack(w http.ResponseWriter) (net.Conn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, denial.New(http.StatusForbidden, denial.CodeDeniedConnect, "A tunnel cannot be opened on this connection. Open another one.")
	}
	limit.ConnOf(conn).BeginTunnel()
	var ahead []byte
	if n := buffered.Reader.Buffered(); n > 0 { // a client that did not wait
		ahead, _ = buffered.Reader.Peek(n)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(answerTimeout))
	_, err = conn.Write([]byte(established))
	_ = conn.SetWriteDeadline(time.Time{})
	if err != nil {
		_ = conn.Close()
	} // whoever reads from it learns that
	if len(ahead) == 0 {
		return conn, nil
	}
	return &prefixedConn{Conn: conn, ahead: ahead}, nil
}

// prefixedConn is a connection of which a beginning has been read already.
type prefixedConn struct {
	net.Conn
	ahead []byte
}

// Read implements io.Reader.
func (c *prefixedConn) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.ahead)
	if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
		c.ahead = nil // and with it the server's buffer
	}
	return n, nil
}

// NetConn returns the connection itself.
func (c *prefixedConn) NetConn() net.Conn { return c.Conn }

// inside is a listener whose connections come out of tunnels.
type inside struct {
	arrivals chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newInside() *inside {
	return &inside{arrivals: make(chan net.Conn), closed: make(chan struct{})}
}

// hand has c served, or closes it when nothing is served any more.
func (l *inside) hand(c net.Conn) {
	select {
	case l.arrivals <- c:
	case <-l.closed:
		_ = c.Close()
	}
}

func (l *inside) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// Accept implements net.Listener.
func (l *inside) Accept() (net.Conn, error) {
	select {
	case c := <-l.arrivals:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *inside) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *inside) Addr() net.Addr { return insideAddr{} }

// insideAddr stands for the address of a tunnel's inside, which has none.
type insideAddr struct{}

// Network implements net.Addr.
func (insideAddr) Network() string { return "tunnel" }

// String implements net.Addr.
func (insideAddr) String() string { return "tunnel" }

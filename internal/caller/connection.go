package caller

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"

	"evergate/internal/denial"
	"evergate/internal/request"
	"evergate/internal/socket"
	"evergate/internal/token"
)

// connection is what is known of a connection before its first request.
type connection struct {
	// authenticate says that no request may pass without saying who sends it.
	authenticate bool
	caller       Caller
	// denied is the answer to a peer that is on no list; nil: it may go on.
	denied error
	// pin is the listener's; nil: the requests say which shop they are for.
	pin *pin
	// owner says that the peer is the user that this process runs as, or root.
	owner bool

	certificate atomic.Pointer[certified]
	// tunnelled says that the connection runs in a tunnel that was opened on another.
	tunnelled bool
	// chain is the certificate of who opened the tunnel that this connection runs in, as the client sent it.
	chain []*x509.Certificate
	// digest is that of the key that was shown when the tunnel was opened; nil: none was.
	digest *[sha256.Size]byte
}

// inTunnel is a connection inside a tunnel that a request on another connection has opened.
type inTunnel struct {
	net.Conn
	opener *connection
}

// NetConn returns the connection that it runs on.
func (c *inTunnel) NetConn() net.Conn { return c.Conn }

// InTunnel makes of c, what follows r on its connection, a connection whose requests are those of who sent r. The
// key with which the tunnel was opened ends there, too, when its line is deleted.
func (g *Registry) InTunnel(c net.Conn, r *request.Request) net.Conn {
	outer, _ := r.Connection.(*connection)
	if outer == nil {
		outer = &connection{caller: Caller{Name: Anonymous}, authenticate: true}
	}
	opener := &connection{tunnelled: true, pin: outer.pin, authenticate: outer.authenticate, caller: outer.caller, denied: outer.denied, owner: outer.owner, chain: outer.chain, digest: outer.digest}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		opener.chain = r.TLS.PeerCertificates
	}
	if g.HasKeys() {
		if key, err := presentedKey(r.Fields); err == nil && len(key) == keyLength {
			digest := sha256.Sum256([]byte(key))
			opener.digest = &digest
		}
	}
	return &inTunnel{Conn: c, opener: opener}
}

// InsideTunnel reports whether r came through a tunnel that InTunnel was told of.
func InsideTunnel(r *request.Request) bool {
	conn, _ := r.Connection.(*connection)
	return conn != nil && conn.tunnelled
}

// openerOf is what is known of who opened the tunnel in which c runs; nil: it runs in none.
func openerOf(c net.Conn) *connection {
	for layer := c; layer != nil; layer = socket.Below(layer) {
		if t, ok := layer.(*inTunnel); ok {
			return t.opener
		}
	}
	return nil
}

type listenerKey struct{}

// listener remembers what a configured address asks of those who connect to it.
type listener struct {
	net.Listener
	authenticate bool
	pin          *pin // nil: it is for no shop alone
}

// pin is the shop that a listener is for.
type pin struct{ shop atomic.Pointer[token.Shop] }

// Listener marks l as an address of ours. authenticate says that other hosts can reach it, so
// that no request may pass there without saying who sends it; shop is the one that it is for, zero: the requests say.
func Listener(l net.Listener, authenticate bool, shop token.Shop) net.Listener {
	own := &listener{Listener: l, authenticate: authenticate}
	if !shop.IsZero() {
		own.pin = &pin{}
		own.pin.shop.Store(&shop)
	}
	return own
}

// Repin makes a Listener that is for a shop one for another, with the connections that came in there already: it is the address
// that says which shop their next requests are for.
func Repin(l net.Listener, shop token.Shop) {
	if own, ok := l.(*listener); ok && own.pin != nil {
		own.pin.shop.Store(&shop)
	}
}

// ListenerShop is the shop that the listener is for where r came in; zero: r says.
func ListenerShop(r *request.Request) token.Shop {
	if conn, _ := r.Connection.(*connection); conn != nil && conn.pin != nil {
		return *conn.pin.shop.Load()
	}
	return token.Shop{}
}

// BaseContext is for http.Server: it tells ConnContext where a connection came in.
func (g *Registry) BaseContext(l net.Listener) context.Context {
	return context.WithValue(context.Background(), listenerKey{}, l)
}

// ConnContext is for http.Server: it looks at who has connected, once for each connection.
// Of a connection that came in by something else than a Listener, nothing is taken for
// granted.
func (g *Registry) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if opener := openerOf(c); opener != nil {
		return request.WithConnection(ctx, opener)
	}
	conn := &connection{caller: Caller{Name: Anonymous}, authenticate: true}
	conn.caller.Key = socket.Innermost(c)
	if l, ok := ctx.Value(listenerKey{}).(*listener); ok {
		conn.authenticate, conn.pin = l.authenticate, l.pin
	}
	if addr := c.LocalAddr(); addr != nil && addr.Network() == "unix" {
		g.lookUpPeer(socket.Innermost(c), conn)
	}
	return request.WithConnection(ctx, conn)
}

// IsOwner reports whether a request came through a Unix socket from the user that this process
// runs as, or from root.
func IsOwner(r *request.Request) bool {
	conn, _ := r.Connection.(*connection)
	if conn == nil {
		return false
	}
	return conn.owner
}

var errNoPeer = errors.New("the connection does not tell who is at its other end")

// lookUpPeer looks at who is at the other end of a Unix socket. Where it matters, one of whom
// nothing can be learnt does not pass.
func (g *Registry) lookUpPeer(c net.Conn, conn *connection) {
	p, err := peer{}, errNoPeer
	if unix, ok := c.(*net.UnixConn); ok {
		p, err = peerOf(unix)
	}
	if err == nil {
		conn.caller.Key = userID(p.uid)
		conn.owner = p.uid == 0 || p.uid == uint32(os.Geteuid())
	}
	if len(g.peers) == 0 {
		return
	}
	for _, rule := range g.peers {
		if err != nil || !rule.fits(p) {
			continue
		}
		if rule.name != "" {
			conn.caller = Caller{Name: rule.name, Key: rule.name, Known: true}
		}
		return
	}
	who := "you"
	if err == nil {
		who = "the user with the uid " + strconv.FormatUint(uint64(p.uid), 10)
	}
	conn.denied = denial.New(http.StatusForbidden, denial.CodeDeniedPeer,
		"This socket is not for "+who+". Run as one of the users or groups that EVERGATE_SOCKET_PEERS lists, or have yours added.")
}

package guard

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"

	"evergate/internal/denial"
	"evergate/internal/token"
)

// The names of callers that the configuration has no name for. They are values of a metric's
// label like the configured ones.
const (
	// Anonymous has not said who it is.
	Anonymous = "anonymous"
	// Other has shown a certificate of the right authority with a name that is nowhere configured.
	Other = "other"
)

// Caller is who sent a request.
type Caller struct {
	// Name is from the configuration, or Anonymous or Other: a closed list, fit for a label.
	Name string
	// Key is equal for the requests that should share one fair share: of an authenticated
	// caller, else of a process at a Unix socket, else of a connection. It can be compared
	// and be a map's key; nil when http.Server did not make the request with ConnContext.
	Key any

	key *clientKey // that it has shown; nil: none
}

// mayUse reports whether the caller may call this shop.
func (c Caller) mayUse(shop token.Shop) bool {
	return c.key == nil || c.key.shops == nil || slices.Contains(c.key.shops, shop)
}

// connection is what is known of a connection before its first request.
type connection struct {
	// authenticate says that no request may pass without saying who sends it.
	authenticate bool
	// known says that the caller has a name already.
	known  bool
	caller Caller
	// denied is the answer to a peer that is on no list.
	denied error

	certificate atomic.Pointer[certified]
}

type (
	connectionKey struct{}
	listenerKey   struct{}
)

// listener remembers what a configured address asks of those who connect to it.
type listener struct {
	net.Listener
	authenticate bool
}

// BaseContext is for http.Server: it tells ConnContext where a connection came in.
func (a *Access) BaseContext(l net.Listener) context.Context {
	return context.WithValue(context.Background(), listenerKey{}, l)
}

// ConnContext is for http.Server: it looks at who has connected, once for each connection.
// Of a connection that came in by a listener that is not from Listen, nothing is taken for
// granted.
func (a *Access) ConnContext(ctx context.Context, c net.Conn) context.Context {
	conn := &connection{caller: Caller{Name: Anonymous}, authenticate: true}
	conn.caller.Key = innermost(c) // also when it is served a second time; see package idle
	if l, ok := ctx.Value(listenerKey{}).(*listener); ok {
		conn.authenticate = l.authenticate
	}
	if addr := c.LocalAddr(); addr != nil && addr.Network() == "unix" {
		a.meet(innermost(c), conn)
	}
	return context.WithValue(ctx, connectionKey{}, conn)
}

// innermost is the connection itself, whatever it has been wrapped into.
func innermost(c net.Conn) net.Conn {
	for {
		w, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = w.NetConn()
	}
}

var errNoPeer = errors.New("the connection does not tell who is at its other end")

// meet looks at who is at the other end of a Unix socket. Where it matters, one of whom
// nothing can be learnt does not pass.
func (a *Access) meet(c net.Conn, conn *connection) {
	p, err := peer{}, errNoPeer
	if unix, ok := c.(*net.UnixConn); ok {
		p, err = peerOf(unix)
	}
	if err == nil {
		conn.caller.Key = process{p.uid, p.pid}
	}
	if len(a.peers) == 0 {
		return
	}
	for _, rule := range a.peers {
		if err != nil || !rule.fits(p) {
			continue
		}
		if rule.name != "" {
			conn.known, conn.caller = true, Caller{Name: rule.name, Key: rule.name}
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

func connectionOf(r *http.Request) *connection {
	conn, _ := r.Context().Value(connectionKey{}).(*connection)
	return conn
}

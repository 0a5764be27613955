package sidecar

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
)

// pendingWait is how long a shutdown waits for the first request on a connection that was
// accepted just before. A client that only connects holds it up for no longer.
const pendingWait = time.Second

// pending are the connections whose first request has not been read yet.
//
// http.Server drops a request that it reads after Shutdown has begun, without an answer. For
// a connection that was accepted a moment before, the caller would be told that the server is
// broken, where a millisecond earlier he would have been refused, or, on a socket that
// outlives us, would have waited for the next process. So Shutdown begins when nobody new
// can come and everybody who came has been heard.
type pending struct {
	conns sync.Map // of net.Conn; a look at one that is not there takes no lock
	count atomic.Int64
}

// state is the server's ConnState.
func (n *pending) state(c net.Conn, state http.ConnState) {
	if state == http.StateNew { // it may be said twice of one that goes from one server to another
		if _, was := n.conns.LoadOrStore(c, nil); !was {
			n.count.Add(1)
		}
		return
	}
	if n.count.Load() == 0 { // as nearly always, and a connection's own states are told one after the other
		return
	}
	if _, was := n.conns.Load(c); was {
		n.conns.Delete(c)
		n.count.Add(-1)
	}
}

// abandon closes those that are left once http.Server has begun to shut down, which would have kept them for five seconds more.
// What they might still send is dropped anyway. One that speaks HTTP/2 is told the end by its own server.
func (n *pending) abandon() {
	ended, stop := context.WithCancel(context.Background())
	stop()
	n.conns.Range(func(key, _ any) bool {
		go func() { // TLS takes its leave first
			secured, ok := key.(*tls.Conn)
			if ok && secured.HandshakeContext(ended) == nil && secured.ConnectionState().NegotiatedProtocol == "h2" {
				return
			}
			_ = key.(net.Conn).Close() //nolint:forcetypeassert // there is nothing else in it
		}()
		return true
	})
}

// heard waits until there are none. No connection may be accepted any more.
func (n *pending) heard(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, pendingWait)
	defer stop()
	some := false
	for n.count.Load() > 0 && clock.Sleep(ctx, 2*time.Millisecond) == nil {
		some = true
	}
	if some {
		// The server reports that it has read something a moment before it looks whether it is
		// shutting down.
		_ = clock.Sleep(ctx, 10*time.Millisecond)
	}
}

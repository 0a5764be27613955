//go:build unix

package caller

import (
	"context"
	"net"
	"net/http"
	"testing"

	"evergate/internal/request"
)

// pipeConn is a connection of a kind that nobody knows, with addresses of the given network.
type pipeConn struct {
	net.Conn
	network string
}

func (c pipeConn) LocalAddr() net.Addr { return pipeAddr(c.network) }

type pipeAddr string

func (a pipeAddr) Network() string { return string(a) }
func (pipeAddr) String() string    { return "somewhere" }

// A wrapper that hides what is inside must not let anybody pass.
func TestAConnectionOfAnUnknownKindIsTakenForAStranger(t *testing.T) {
	t.Parallel()
	g, err := New(Options{Peers: "uid:1000"})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	of := func(network string) *connection {
		ctx := g.ConnContext(context.Background(), pipeConn{ours, network})
		r := request.Of((&http.Request{}).WithContext(ctx))
		conn, _ := r.Connection.(*connection)
		return conn
	}
	if c := of("unix"); c == nil || c.denied == nil || !c.authenticate {
		t.Errorf("on a socket with a list of peers: %+v", c)
	}
	if c := of("tcp"); c == nil || !c.authenticate {
		t.Errorf("by a listener that is not from Listen: %+v", c)
	}
}

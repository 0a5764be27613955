package upstream

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConnectionEndsWhenNothingIsAcknowledged(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	conn, err := New(Options{Base: parse(t, server.URL)}).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn() //nolint:forcetypeassert // it is one of TCP
	if err != nil {
		t.Fatal(err)
	}
	var got int
	if err := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) }); err != nil || got != int(unacknowledged.Milliseconds()) {
		t.Errorf("%d ms, %v", got, err)
	}
}

// dying is a connection of which the kernel says, once it is told to, that nothing was acknowledged.
type dying struct {
	net.Conn
	dead *atomic.Bool
}

func (d dying) Read(p []byte) (int, error) {
	n, err := d.Conn.Read(p)
	if d.dead.Load() {
		return 0, &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
	}
	return n, err
}

// After the network has changed every connection of the pool is dead, and each would cost as long.
func TestPoolIsGivenUpWhenOneConnectionProvesDead(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	tr := New(Options{Base: parse(t, server.URL), HeaderTimeout: testTimeout})
	var dead atomic.Bool
	c, err := tr.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	closed := &watched{Conn: c}
	tr.warm.ready = append(tr.warm.ready, &warmConn{conn: closed})
	dead.Store(true)
	_, _ = (&conn{Conn: dying{ended{c}, &dead}, hedges: &tr.hedges, ended: make(chan struct{})}).Read(make([]byte, 1))
	if !closed.closed.Load() || tr.warm.count() != 0 {
		t.Error("the other connections were kept")
	}
}

type watched struct {
	net.Conn
	closed atomic.Bool
}

func (w *watched) Close() error { w.closed.Store(true); return w.Conn.Close() }

// ended reads nothing.
type ended struct{ net.Conn }

func (ended) Read([]byte) (int, error) { return 0, nil }

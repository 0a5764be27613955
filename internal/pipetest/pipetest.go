// Package pipetest has connections for tests: a listener whose connections are net.Pipes, so that the time of a synctest bubble rules them, and
// pairs of the kernel's own.
package pipetest

import (
	"net"
	"sync"
	"testing"
)

// Listener is a net.Listener. It is safe for concurrent use.
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen returns a Listener.
func Listen() *Listener { return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Hand has a connection accepted. It waits until it is.
func (l *Listener) Hand(c net.Conn) { l.conns <- c }

// Dial returns the client's side of a connection that has been accepted.
func (l *Listener) Dial() net.Conn {
	here, there := net.Pipe()
	l.Hand(there)
	return here
}

// Accept implements net.Listener. After Close its error is net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return &net.TCPAddr{} }

// Sockets returns both ends of a connection that goes through the kernel. They are closed at the end of the test.
func Sockets(t testing.TB, network, address string) (client, served net.Conn) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = new(net.Dialer).DialContext(t.Context(), network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if served, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = served.Close() })
	return client, served
}

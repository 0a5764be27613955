// Package pipetest has a listener for tests whose connections are net.Pipes, so that the time of a synctest bubble rules them.
package pipetest

import (
	"net"
	"sync"
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

package race

import (
	"io"
	"net"
	"sync"
	"testing"
)

// way is a replica's own way to the store, which can be closed.
type way struct {
	address, to string

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
}

func newWay(t testing.TB, to string) *way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{address: l.Addr().String(), to: to, conns: map[net.Conn]struct{}{}}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); w.close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { w.pass(c) })
		}
	})
	return w
}

// pass carries bytes until one side ends or the way is closed.
func (w *way) pass(client net.Conn) {
	defer client.Close()
	if !w.enter(client) {
		return
	}
	defer w.leave(client)
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer client.Close()
		_, _ = io.Copy(client, server)
	}()
	_, _ = io.Copy(server, client)
	_ = server.Close()
	<-done
}

func (w *way) enter(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.conns[c] = struct{}{}
	}
	return !w.closed
}

func (w *way) leave(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

func (w *way) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *way) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = false
}

package process

import (
	"net"
	"testing"
)

// Accept has serve take each connection to a listener, in a goroutine of its own, until the test ends. Whoever serves closes it.
func Accept(t testing.TB, l net.Listener, serve func(net.Conn)) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
}

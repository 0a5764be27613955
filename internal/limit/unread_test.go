//go:build unix

package limit

import (
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"evergate/internal/clock"
)

// TestWhatHasArrivedAndIsNotReadKeepsThePlace has clients that have sent their requests to a server that has had no time yet.
func TestWhatHasArrivedAndIsNotReadKeepsThePlace(t *testing.T) {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		t.Run(network, func(t *testing.T) {
			l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			set := NewConnections(3, nil, stall)
			conns := make([]*Conn, 3)
			for i := range conns {
				client, err := new(net.Dialer).DialContext(t.Context(), network, l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				served, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer served.Close()
				c := &Conn{Conn: served, set: set}
				if !set.admit(c) {
					t.Fatal("there is no room")
				}
				c.since.Store(clock.Mono() + int64(-time.Duration(10-i)*time.Second))
				conns[i] = c
				if i < 2 {
					if _, err := io.WriteString(client, get); err != nil {
						t.Fatal(err)
					}
					for !c.unread() {
					}
				}
			}
			conns[1].asked.Store(true) // and waits for its next one
			pick := func() *Conn {
				set.mu.Lock()
				defer set.mu.Unlock()
				return set.pickForNewcomer(func(*Conn) bool { return true })
			}
			if c := pick(); c != conns[2] {
				t.Error("the one that is silent is not closed first")
			}
			conns[2].serving.Store(true)
			if c := pick(); c != nil {
				t.Error("one is closed whose request has arrived")
			}
			conns[0].many.Store(true)
			if c := pick(); c != conns[0] {
				t.Error("one that carries another's bytes keeps its place by not taking them")
			}
			conns[0].serving.Store(true)
			if _, err := io.CopyN(io.Discard, conns[1], int64(len(get))); err != nil {
				t.Fatal(err)
			}
			if conns[1].unread() {
				t.Error("what has been read is not read")
			}
			if c := pick(); c != conns[1] {
				t.Error("one keeps its place whose bytes have been read")
			}
		})
	}
}

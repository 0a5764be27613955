package socket

import (
	"net"
	"testing"
)

type wrapped struct{ net.Conn }

// NetConn returns the connection itself.
func (w wrapped) NetConn() net.Conn { return w.Conn }

func TestAConnectionIsUnwrappedToItsLast(t *testing.T) {
	t.Parallel()
	bare, _ := net.Pipe()
	once := wrapped{bare}
	twice := wrapped{once}
	if Below(twice) != once || Below(once) != bare || Below(bare) != nil {
		t.Error("another one is below")
	}
	if Innermost(twice) != bare || Innermost(bare) != bare {
		t.Error("another one is the innermost")
	}
}

package socket

import (
	"net"
	"slices"
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
	if got := slices.Collect(Layers(twice)); !slices.Equal(got, []net.Conn{twice, once, bare}) {
		t.Errorf("%v", got)
	}
	if Innermost(twice) != bare || Innermost(bare) != bare {
		t.Error("another one is the innermost")
	}
	for layer := range Layers(twice) {
		if layer == once {
			break
		}
	}
}

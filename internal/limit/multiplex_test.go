package limit

import (
	"net"
	"testing"
)

func TestPlacesForConnectionsWithManyRequests(t *testing.T) {
	t.Parallel()
	set := NewConnections(100, NewBudget(4*multiplexCost), 0)
	open := func() *Conn {
		here, there := net.Pipe()
		t.Cleanup(func() { _ = there.Close() })
		c := &Conn{Conn: here, set: set}
		set.add(c)
		return c
	}
	var conns []*Conn
	for range 4 {
		c := open()
		conns = append(conns, c)
		for range 2 {
			if !c.MayMultiplex() {
				t.Fatal("one has no place, or loses it when asked again")
			}
		}
	}
	late := open()
	if late.MayMultiplex() {
		t.Error("there are more places than the budget bears")
	}
	_ = conns[0].Close()
	_ = conns[0].Close()
	if !late.MayMultiplex() || open().MayMultiplex() {
		t.Error("a place is not given back, or twice")
	}
	if _ = conns[0].Close(); conns[0].MayMultiplex() && set.multiplexed.Load() != 4 {
		t.Error("a connection that is closed keeps a place")
	}
	var none *Conn
	if !none.MayMultiplex() || !(&Conn{set: NewConnections(1, NewBudget(1), 0)}).MayMultiplex() {
		t.Error("a connection that nobody counts, or the first one of a small machine, may not")
	}
}

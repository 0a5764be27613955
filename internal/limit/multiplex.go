package limit

const (
	// multiplexCost is what a connection of HTTP/2 can make net/http hold at once, before anybody can refuse it: the headers of a
	// hundred requests that are read together, in bytes.
	multiplexCost = 6 << 20
	// leastMultiplexed is how many such connections there may be in any case.
	leastMultiplexed = 2
)

// mostMultiplexed is how many connections may carry many requests at a time: what they could make net/http hold stays
// within what may be held for clients.
func (s *Connections) mostMultiplexed() int64 {
	if s.budget == nil {
		return int64(s.limit)
	}
	return max(leastMultiplexed, s.budget.Most()/multiplexCost)
}

// MayMultiplex reports whether a connection may carry many requests at a time, and keeps a place for it until it ends if so.
// One that may not still carries one after the other. A nil Conn may.
func (c *Conn) MayMultiplex() bool {
	if c == nil {
		return true
	}
	if c.set.multiplexed.Add(1) > c.set.mostMultiplexed() || !c.multiplexed.CompareAndSwap(false, true) {
		c.set.multiplexed.Add(-1)
		return c.multiplexed.Load()
	}
	if c.gone.Load() && c.multiplexed.CompareAndSwap(true, false) { // it was closed meanwhile
		c.set.multiplexed.Add(-1)
	}
	return true
}

// endMultiplex gives a place back.
func (c *Conn) endMultiplex() {
	if c.multiplexed.CompareAndSwap(true, false) {
		c.set.multiplexed.Add(-1)
	}
}

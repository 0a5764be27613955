package limit

import (
	"sync/atomic"

	"evergate/internal/clock"
)

// streams are the requests that a connection carries at a time. All of them may wait for their client at once, and then it is
// stuck like one that carries a single request.
type streams struct {
	under   atomic.Int32 // requests under way
	waiting atomic.Int32 // those of them that wait for their client
	since   atomic.Int64 // when there was none any more that did not; 0: not since the connection was last idle
}

// BeginStream says that a request is under way beside others, and reports whether it may be. The first of a connection is what a
// connection counts for; each further one counts like another connection, because it needs as much, and one to Shopify. A nil Conn
// does nothing.
func (c *Conn) BeginStream() bool {
	if c == nil || c.streams.under.Add(1) == 1 || c.set.moreStreams(c) {
		return true
	}
	c.streams.under.Add(-1)
	return false
}

// EndStream says that a request is over that BeginStream let begin. A nil Conn does nothing.
func (c *Conn) EndStream() {
	if c == nil {
		return
	}
	if c.streams.under.Add(-1) > 0 {
		c.set.streams.Add(-1)
		c.set.hint()
	}
	c.streams.since.Store(clock.Mono())
}

// moreStreams takes in another request of c's, if need be in the place of another connection. At most half of the room is theirs.
func (s *Connections) moreStreams(c *Conn) bool {
	if n := s.streams.Add(1); n > int64(s.limit/2) || n+s.opened.Load() > int64(s.limit) && !s.closeForStream(c) {
		s.streams.Add(-1)
		return false
	}
	return true
}

// closeForStream closes the connection that would be closed for a newcomer.
func (s *Connections) closeForStream(newcomer *Conn) bool {
	return s.closeOne(s.pickForNewcomer, func(c *Conn) bool { return c != newcomer })
}

// BeginWait says that a request under way waits for its client: for a part of its body, or to be rid of a part of its answer. A
// nil Conn does nothing.
func (c *Conn) BeginWait() {
	if c != nil {
		c.streams.waiting.Add(1)
		c.streams.since.Store(clock.Mono())
	}
}

// EndWait says that it has got on. A nil Conn does nothing.
func (c *Conn) EndWait() {
	if c != nil {
		c.streams.waiting.Add(-1)
	}
}

// stuckSince is since when all requests have waited for the client; 0: some do not.
func (s *streams) stuckSince() int64 {
	if s.waiting.Load() < s.under.Load() {
		return 0
	}
	return s.since.Load()
}

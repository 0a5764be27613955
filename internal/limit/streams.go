package limit

import (
	"sync/atomic"
	"time"
)

// streams are the requests that a connection carries at a time. All of them may wait for their client at once, and then it is
// stuck like one that carries a single request.
type streams struct {
	under   atomic.Int32 // requests under way
	waiting atomic.Int32 // those of them that wait for their client
	since   atomic.Int64 // when there was none any more that did not; 0: not since the connection was last idle
}

// BeginStream says that a request is under way beside others. A nil Conn does nothing.
func (c *Conn) BeginStream() {
	if c != nil {
		c.streams.under.Add(1)
	}
}

// EndStream says that it is answered, as far as that is known before its client has taken the answer. A nil Conn does nothing.
func (c *Conn) EndStream() {
	if c != nil {
		c.streams.under.Add(-1)
		c.streams.since.Store(time.Now().UnixNano())
	}
}

// BeginWait says that a request under way waits for its client: for a part of its body, or to be rid of a part of its answer. A
// nil Conn does nothing.
func (c *Conn) BeginWait() {
	if c != nil {
		c.streams.waiting.Add(1)
		c.streams.since.Store(time.Now().UnixNano())
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

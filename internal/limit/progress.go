package limit

import (
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
)

const (
	// slowestServed is how many bytes have to move each second, in either direction, for a connection that is in the middle of a
	// body or an answer to keep its place while others wait for one. A GPRS link manages that.
	slowestServed = 4 << 10
	// crawlWindow is over how long that is measured, at least; at most over twice as long.
	crawlWindow = 3 * time.Second
)

// progress is how fast a connection moves. What moves is counted with an atomic addition; the rest is touched
// every few seconds, and when somebody looks.
type progress struct {
	moved     atomic.Int64
	under     atomic.Int32 // bodies and answers under way
	rolled    atomic.Int64 // when the window began that is not full yet
	mu        sync.Mutex
	from      int64 // when the window before it began, and what had moved then
	fromMoved int64
	atMoved   int64 // what had moved when the one that is not full began
}

// begin says that a body or an answer is under way from now on. What went on before says nothing of it.
func (p *progress) begin() {
	if p.under.Add(1) > 1 {
		return // it has to move beside others, whose time goes on
	}
	now := clock.Mono()
	p.mu.Lock()
	p.from, p.fromMoved, p.atMoved = now, p.moved.Load(), p.moved.Load()
	p.rolled.Store(now)
	p.mu.Unlock()
}

func (p *progress) end() { p.under.Add(-1) }

// add counts n bytes that have moved by now.
func (p *progress) add(n int, now int64) {
	moved := p.moved.Add(int64(n))
	if now-p.rolled.Load() < int64(crawlWindow) {
		return
	}
	p.mu.Lock()
	p.from, p.fromMoved = p.rolled.Load(), p.atMoved
	p.atMoved = moved
	p.rolled.Store(now)
	p.mu.Unlock()
}

// crawls reports whether what is under way is too slow to keep others waiting, and since when it was measured. A connection of which
// a part waits for something else, such as Shopify's answer, is not.
func (p *progress) crawls(requests int32, now int64) (since int64, slow bool) {
	if n := p.under.Load(); n == 0 || n < requests {
		return 0, false
	}
	since, rate, measured := p.rate(now, crawlWindow)
	return since, measured && rate < slowestServed
}

// rate is how many bytes have moved each second since when, if that is at least so long ago.
func (p *progress) rate(now int64, least time.Duration) (since, perSecond int64, measured bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	passed := time.Duration(now - p.from)
	if passed < least {
		return p.from, 0, false
	}
	return p.from, (p.moved.Load() - p.fromMoved) * 1000 / passed.Milliseconds(), true
}

// BeginAnswer says that an answer is on its way to the client from now on, until EndAnswer. One that hardly moves loses its
// place to a newcomer when there is no other. A nil Conn does nothing.
func (c *Conn) BeginAnswer() {
	if c != nil {
		c.progress.begin()
	}
}

// EndAnswer says that it has been passed on. A nil Conn does nothing.
func (c *Conn) EndAnswer() {
	if c != nil {
		c.progress.end()
	}
}

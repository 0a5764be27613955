package front

import (
	"errors"
	"net/http"
	"os"
	"slices"

	"evergate/internal/wire"
)

// headSlack is how much more than MaxHeaderBytes net/http reads of a head.
const headSlack = 4 << 10

// judge reads a head that is not ordinary to its end, and answers it if it can be read in two ways. It reports whether net/http may have it.
func (c *conn) judge() bool {
	c.scan, c.long = wire.Scan{}, append([]byte(nil), c.in[:c.w]...)
	c.letGo()
	most := c.server.http.MaxHeaderBytes
	if most <= 0 {
		most = http.DefaultMaxHeaderBytes
	}
	for {
		doubt, v := c.scan.Look(c.long)
		switch {
		case doubt != "":
			c.turnAway(func(w http.ResponseWriter) { c.server.refusals.Ambiguous(w, string(doubt)) })
			return false
		case v != wire.Incomplete || len(c.long) >= most+headSlack: // net/http says what is wrong with it
			return true
		}
		c.limit()
		c.long = slices.Grow(c.long, len(c.long))
		n, err := c.net.Read(c.long[len(c.long):min(cap(c.long), len(c.long)+usualHead)]) // little more than the head
		c.long = c.long[:len(c.long)+n]
		if n == 0 && err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

// turnAway answers a request that is not served.
func (c *conn) turnAway(answer func(http.ResponseWriter)) {
	c.tell(http.StateActive)
	c.resp.begin(c, &http.Request{Method: http.MethodPost, Close: true})
	answer(&c.resp)
	c.resp.finish(true)
	c.linger()
}

// lend has the http.Server serve one request. It reports whether the connection is back, for another.
func (c *conn) lend() bool {
	g := newGiven(c)
	c.long, c.w = nil, 0
	if !c.hand.give(g) {
		c.turnAway(c.server.refusals.Stopping)
		return false
	}
	switch <-g.back {
	case kept:
		c.lost = true
		return false
	case dropped:
		c.turnAway(c.server.refusals.Stopping)
		return false
	case ended:
		return false
	}
	c.silentBy = 0 // the server has set others
	come := g.rest()
	if len(come) >= wire.MaxHead { // nobody reads so far ahead
		c.linger()
		return false
	}
	if len(come) > 0 {
		c.take(len(come) + 1)
		c.w = copy(c.in, come)
	}
	return c.rest(g.method)
}

// giveAway has the http.Server serve the connection for good.
func (c *conn) giveAway() {
	c.lost = c.hand.give(c.net)
	c.end()
}

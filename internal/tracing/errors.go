package tracing

import (
	"log/slog"
	"time"
)

// quiet is how long one complaint about the collector stands for all.
const quiet = time.Minute

// complaints logs an error now and then: a collector that is away for a day is one fact. It belongs to one goroutine.
type complaints struct {
	log  *slog.Logger
	last time.Time // zero: never
	lost int       // spans since then
}

func (c *complaints) tell(err error, lost int) {
	c.lost += lost
	if now := time.Now(); c.last.IsZero() || now.Sub(c.last) >= quiet {
		c.log.Warn("spans could not be sent; requests are not affected", "err", err, "spans", c.lost)
		c.last, c.lost = now, 0
	}
}

package sidecar

import (
	"context"
	"time"

	"evergate/internal/clock"
	"evergate/internal/footprint"
)

// settleAfter is when a start is over: there is a token by then, connections have been dialled ahead, and probes have asked.
const settleAfter = 2 * time.Second

// settle gives back what only the start needed.
func (s *Sidecar) settle(ctx context.Context) {
	if clock.Sleep(ctx, settleAfter) != nil {
		return
	}
	if err := footprint.Release(); err != nil {
		s.log.Debug("memory that only the start needed is kept", "err", err)
		return
	}
	s.log.Debug("memory that only the start needed is given back")
}

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
	if clock.Sleep(ctx, settleAfter) == nil {
		s.sayReleased(footprint.Release())
	}
}

// refreshTime is how long it is waited for that warm connections have been renewed.
const refreshTime = 5 * time.Second

// rest gives back what is not needed while nobody calls. A handshake touches a third as much as is there at rest, so those that are due soon are made
// before. What the background touches otherwise is little and comes back each time, so the garbage collector is not run for it.
func (s *Sidecar) rest(ctx context.Context, minutes int) {
	limited, stop := context.WithTimeout(ctx, refreshTime)
	s.app.Transport.Refresh(limited, time.Minute)
	stop()
	if minutes == 1 {
		s.sayReleased(footprint.Release())
	} else {
		s.sayReleased(footprint.ReleaseFile())
	}
}

func (s *Sidecar) sayReleased(err error) {
	if err != nil {
		s.log.Debug("memory that is not needed at rest is kept", "err", err)
		return
	}
	s.log.Debug("memory that is not needed at rest is given back")
}

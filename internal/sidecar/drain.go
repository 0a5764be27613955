package sidecar

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"evergate/internal/clock"
)

const (
	adminDrain = time.Second // scrapes and probes are short
	// othersLinger is how long an end waits for operators and merchants who send what nobody wants.
	othersLinger = 5 * time.Second
)

// errForced says that the end did not wait for the requests under way.
var errForced = errors.New("ended before every request was answered")

// drain goes on accepting for ShutdownDelay, or until someone says by POST /-/quit that
// nobody will call any more, and then lets the requests under way end.
func (s *Sidecar) drain(force <-chan struct{}) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-force:
			cancel()
		case <-ctx.Done():
		}
	}()
	delay, endDelay := context.WithCancel(ctx)
	defer endDelay()
	go func() {
		select {
		case <-s.quit:
			endDelay()
		case <-delay.Done():
		}
	}()
	if clock.Sleep(delay, s.cfg.ShutdownDelay) != nil && ctx.Err() != nil {
		return errForced
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.ShutdownTimeout)
	defer stop()
	s.closeListeners()
	waitFor(&s.accepting, limited.Done())
	s.pending.heard(limited)
	// Those who came have opened their tunnels, and what is inside has not been heard yet.
	_ = s.tunnels.Listener().Close()
	waitFor(&s.acceptingInside, limited.Done())
	s.pending.heard(limited)
	var tunnels sync.WaitGroup
	tunnels.Go(func() { s.tunnels.Shutdown(limited) })
	defer tunnels.Wait()
	if err := s.tools.Shutdown(limited); err != nil {
		_ = s.tools.Close()
		stop() // the tunnels end as well
		return errForced
	}
	s.limits.tools.AwaitLingering(limited)
	return nil
}

// close ends what is left. The last answers of the other listeners reach clients that are still sending, unless force
// ends that.
func (s *Sidecar) close(force <-chan struct{}) {
	_ = s.tools.Close()
	ctx, cancel := context.WithTimeout(context.Background(), adminDrain)
	defer cancel()
	for _, server := range []*http.Server{s.merchants, s.admin} {
		if server != nil && server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	}
	lingering, stop := context.WithTimeout(context.Background(), othersLinger)
	defer stop()
	go func() {
		select {
		case <-force:
			stop()
		case <-lingering.Done():
		}
	}()
	s.limits.operators.AwaitLingering(lingering)
	s.limits.merchants.AwaitLingering(lingering)
	s.app.Transport.CloseIdleConnections()
	if err := s.tracer.Close(); err != nil {
		s.log.Warn("the last spans could not be sent", "err", err)
	}
}

// waitFor reports false if force came first.
func waitFor(group *sync.WaitGroup, force <-chan struct{}) bool {
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-force:
		return false
	}
}

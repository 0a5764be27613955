package sidecar

import (
	"context"
	"fmt"
	"sync"

	"evergate/internal/access"
)

func (s *Sidecar) beginQuit() { s.quitOnce.Do(func() { close(s.quit) }) }

// Serve runs until begin, POST /-/quit or a failure, and then shuts down cleanly; force
// ends that at once. Listen must have succeeded.
func (s *Sidecar) Serve(begin, force <-chan struct{}) error {
	work, stopWork := context.WithCancel(context.Background())
	defer stopWork()
	var background sync.WaitGroup
	background.Go(func() { s.served.run(work) })
	background.Go(func() { s.app.Transport.KeepWarm(work) })
	background.Go(func() { s.history.Run(work) })
	background.Go(func() { s.access.Watch(work, s.log.Logger, s.reread) })
	background.Go(func() { s.notifyManager(work) })
	background.Go(func() { s.settle(work) })

	failed := make(chan error, 1+len(s.listeners)+len(s.adminOn)+len(s.merchantsOn))
	for _, l := range s.listeners {
		s.accepting.Go(func() { failed <- s.tools.Serve(l.Listener) })
	}
	s.serveOwn(func(err error) {
		select {
		case failed <- err:
		default: // one is enough
		}
	})
	s.acceptingInside.Go(func() { failed <- s.tools.Serve(s.tunnels.Listener()) })
	for _, l := range s.adminOn {
		go func() { failed <- s.admin.Serve(access.ForOperators(s.limits.operators.Wrap(l.Listener))) }()
	}
	for _, l := range s.merchantsOn {
		go func() { failed <- s.merchants.Serve(s.limits.merchants.Wrap(l.Listener)) }()
	}

	var err error
	select {
	case <-begin:
	case <-s.quit:
	case err = <-failed:
		err = fmt.Errorf("a listener failed: %w", err)
	}
	s.stopping.Store(true)
	s.logFailure(s.manager.notify.Stopping())
	if err == nil {
		s.log.Info("shutting down", "delay", s.cfg.ShutdownDelay.String(), "timeout", s.cfg.ShutdownTimeout.String())
		err = s.drain(force)
	}
	stopWork()
	// A token that Shopify has handed out is not thrown away for impatience: only force ends this wait.
	if !waitFor(&background, force) {
		err = errForced
	}
	s.close(force)
	return err
}

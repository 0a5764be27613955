package refresh

import (
	"context"
	"strconv"
	"time"
)

const (
	// deadAfter is how many refusals in a row make a token suspect. One can be an accident
	// of Shopify's, and a path that answers 401 whatever the token is says nothing about the token.
	deadAfter = 2
	// proofHold is the least time between two questions of ours whether a token is alive. While
	// it is dead, up to as much again is added, so that many replicas do not ask at once.
	proofHold = 30 * time.Second
)

// suspect is told that a 401 stands. A token that was refused several times in a row is called
// dead, but where Shopify can be asked, only once it has said so itself.
func (s *Source) suspect(e *entry) {
	switch {
	case e.refusals.Add(1) < deadAfter:
	case s.opt.Alive == nil:
		s.declareDead(e)
	case e.suspect.CompareAndSwap(false, true):
		s.wake()
	}
}

func (s *Source) declareDead(e *entry) {
	if e.dead.CompareAndSwap(false, true) {
		s.opt.Log.Error("Shopify refuses the token, and there is no other: it was revoked, or the app was uninstalled",
			"shop", s.opt.Shop.Domain(), "grant", s.name)
	}
}

// clear takes every suspicion from a token and reports whether it was called dead.
func (e *entry) clear() bool {
	e.refusals.Store(0)
	e.suspect.Store(false)
	return e.dead.Swap(false)
}

// untilProof is the time until Shopify is to be asked about the current token.
func (s *Source) untilProof() time.Duration {
	if e := s.current.Load(); e == nil || !e.suspect.Load() {
		return lookAgain
	}
	return s.now().until(s.look().proofAt)
}

// prove asks Shopify about a token that is suspect. While it is dead another one is tried for, too, by
// the rules of a 401: a pod that was taken out of its Service gets no calls that would do so.
func (s *Source) prove(ctx context.Context) {
	e := s.current.Load()
	if e == nil {
		return
	}
	wasDead := e.dead.Load()
	alive, err := s.opt.Alive(ctx, e.token.Access)
	hold := scale(proofHold, e.token.Life)
	if !alive {
		hold += time.Duration(s.draw() * float64(hold))
	}
	s.mu.Lock()
	s.health.proofAt = s.now().add(hold)
	s.mu.Unlock()
	switch {
	case err != nil: // asked again
	case !alive && wasDead:
		_, _ = s.do(ctx, replacement+strconv.FormatUint(e.number, 10), func() error { return s.grantInsteadOf(e.token) })
	case !alive:
		s.declareDead(e)
	case e.clear():
		s.opt.Log.Info("Shopify accepts the token again", "shop", s.opt.Shop.Domain(), "grant", s.name)
	case e.cleared.CompareAndSwap(false, true):
		s.opt.Log.Warn("calls are answered with 401 though Shopify accepts the token: see what is called, and what the app may do there",
			"shop", s.opt.Shop.Domain(), "grant", s.name)
	}
}

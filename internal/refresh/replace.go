package refresh

import (
	"context"
	"errors"
	"strconv"
	"time"

	"evergate/internal/clock"
	"evergate/internal/token"
)

// ErrRefused says that Shopify refused the current token and that there is no other: its
// 401 stands.
var ErrRefused = errors.New("the refused token is the current one, and no other could be had")

// Replace is told that Shopify refused a token with 401. If the refused token is not the
// current one, it returns the current one. Else it obtains a new one, together with every
// other caller in the same place, and then holds further refreshes of this kind for 30
// seconds. If the token ended on its way, or ends before another can be had, the refusal says nothing
// about it and the caller is told what one of Token is. The error is ErrRefused, a *token.UnavailableError, which also says
// that the pair is too young to be replaced, or that it is being replaced for longer than callers wait, or ctx's cause if ctx ended first.
func (s *Source) Replace(caller context.Context, refused token.Token) (token.Token, error) {
	ctx, cancel := context.WithTimeoutCause(caller, s.opt.Wait, errWaited)
	defer cancel()
	deadline, _ := ctx.Deadline()
	underWay := false
	for {
		if t, ok := s.usable(); ok && !t.Access.Equal(refused.Access) {
			return t, nil
		}
		e := s.current.Load()
		if e == nil {
			break
		}
		if e.plan.state(s.now()) == expired {
			return s.wait(caller)
		}
		err, ended := s.do(ctx, replacement+strconv.FormatUint(e.number, 10), func() error { return s.grantInsteadOf(refused) })
		if ended != nil && caller.Err() != nil {
			return token.Token{}, context.Cause(caller)
		}
		if t, ok := s.usable(); ok && !t.Access.Equal(refused.Access) {
			return t, nil
		}
		h := s.lookAndWait()
		due := s.now().until(h.notBefore)
		underWay = ended != nil
		if ended != nil || !errors.Is(err, token.ErrTransient) || due > time.Until(deadline) || h.closed {
			break
		}
		// A failure that passes by itself must not become a 401: again, as the back-off allows.
		if _, err := clock.SleepOrWake(ctx, due, h.publishing); err != nil {
			break
		}
	}
	if t, ok := s.usable(); ok && !t.Access.Equal(refused.Access) {
		return t, nil
	}
	if e := s.current.Load(); e != nil && e.plan.state(s.now()) == expired {
		return token.Token{}, s.unavailable() // it has ended in the meantime, which explains the refusal as well
	}
	s.noteRefusal(refused)
	if s.isResting() || underWay && !s.isCleared() {
		return token.Token{}, s.unavailable()
	}
	return token.Token{}, ErrRefused
}

// isResting reports whether there is no other token only because the pair was written moments ago. A client that gets a 401
// gives up, and one that is told when to come again does. But where Shopify has said that the token is good, the 401 is about the call.
func (s *Source) isResting() bool {
	return isResting(s.look().err) && !s.isCleared()
}

// isCleared reports whether Shopify has said that the token is good which it refuses.
func (s *Source) isCleared() bool {
	e := s.current.Load()
	return e == nil || e.cleared.Load()
}

// noteRefusal counts a 401 that stands.
func (s *Source) noteRefusal(refused token.Token) {
	if e := s.current.Load(); e != nil && e.token.Access.Equal(refused.Access) {
		s.suspect(e)
	}
}

// Accepted is told that Shopify took a token. It costs an atomic load.
func (s *Source) Accepted(t token.Token) {
	e := s.current.Load()
	if e != nil && e.refusals.Load() != 0 && e.token.Access.Equal(t.Access) {
		e.clear()
	}
}

package refresh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"evergate/internal/token"
)

// The functions of this file run inside a flight, see Source.do, so no two of them run at
// once.

// grantIfDue makes an attempt unless the token is fresh or the back-off is not over: a
// waiter who comes late must not start a second one.
func (s *Source) grantIfDue() error {
	now := s.now()
	if e := s.current.Load(); e != nil && e.plan.state(now) == fresh {
		return nil
	}
	if h := s.look(); now.until(h.notBefore) > 0 {
		return h.err
	}
	return s.grant(s.requestNow())
}

// requestNow describes the current token, which is not good enough.
func (s *Source) requestNow() request {
	req := request{heed: s.heeds()}
	if e := s.current.Load(); e != nil {
		req.current, req.left = e.token.Access, e.plan.left(s.now())
	}
	return req
}

// heeds reports whether a verdict that is stored will do. Once it has been taken over the back-off says when to probe.
func (s *Source) heeds() bool {
	return s.opt.Remade && !errors.Is(s.look().err, token.ErrReauthorize)
}

// poll lets the grant check what it keeps, and takes over a token that came by itself.
func (s *Source) poll() error {
	if s.look().closed {
		return nil
	}
	t, ok := s.obtainer.poll(context.Background())
	s.mu.Lock()
	s.health.nextPoll = s.now().add(pollEvery)
	s.mu.Unlock()
	if !ok {
		return nil
	}
	if t.Access.Empty() {
		s.liftBackOff()
		return nil
	}
	if e := s.current.Load(); e != nil && e.token.Access.Equal(t.Access) {
		return nil
	}
	err := s.publish(t)
	if err == nil {
		s.opt.Log.Info("took over a token that was put there by someone else", "shop", s.opt.Shop.Domain(), "grant", s.name)
	}
	return err
}

// liftBackOff lets the next attempt be made at once: what failed is not what is there now.
func (s *Source) liftBackOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.notBefore, s.health.heldUntil = s.now(), instant{}
}

// grantInsteadOf makes an attempt because Shopify refused the current token, unless that
// was done a moment ago or the back-off is not over. It returns why the last attempt
// failed, if that is why there is no other token.
func (s *Source) grantInsteadOf(refused token.Token) error {
	e := s.current.Load()
	if e == nil || !e.token.Access.Equal(refused.Access) {
		return nil
	}
	now := s.now()
	switch h := s.look(); {
	case now.until(h.notBefore) > 0:
		return h.err
	case now.until(h.heldUntil) > 0:
		return nil
	}
	s.opt.Log.Warn("Shopify refused the current token; looking for another one", "shop", s.opt.Shop.Domain())
	err := s.grant(request{current: refused.Access, heed: s.heeds()}) // with nothing left: a refused token is as good as ended
	if s.current.Load() == e {
		return err // the back-off says when to try again
	}
	s.mu.Lock()
	s.health.heldUntil = s.now().add(scale(rejectionHold, e.plan.life))
	s.mu.Unlock()
	return nil
}

// grant makes one attempt, records its outcome and returns why it failed. After Stop it
// makes none, and says what the last one came to.
func (s *Source) grant(req request) error {
	if h := s.look(); h.closed {
		return h.err
	}
	if before := s.before.Swap(nil); before != nil && !req.force {
		if goesOn, err := s.resume(before); goesOn {
			return err
		}
	}
	began := time.Now()
	s.opt.Log.Debug("asking for a token", s.beforeAttempt()...)
	// The lifetime of the work is its own: no caller's deadline ends it, and Run waits
	// for it when the process stops.
	t, err := s.obtainer.obtain(context.Background(), req)
	if err == nil {
		err = s.publish(t)
	}
	if req.force && isResting(err) {
		return err // nothing has failed, and nothing was tried
	}
	if err != nil {
		s.failed(err)
	}
	took := time.Since(began)
	s.opt.Log.Debug("asked for a token", "shop", s.opt.Shop.Domain(), "grant", s.name, "result", resultOf(err), "seconds", took.Seconds())
	if s.opt.Observer != nil {
		s.opt.Observer.Refreshed(s.opt.Shop.Domain(), s.name, resultOf(err), took)
	}
	return err
}

// beforeAttempt is what a log says of the token at hand before another one is asked for.
func (s *Source) beforeAttempt() []any {
	st := s.Status()
	attrs := []any{"shop", st.Shop, "grant", st.Grant, "current", st.State}
	if !st.Issued.IsZero() {
		attrs = append(attrs, "age", st.Age.Round(time.Second).String())
	}
	if !st.Expires.IsZero() {
		attrs = append(attrs, "left", st.Left.Round(time.Second).String())
	}
	return attrs
}

// publish makes t the current token.
func (s *Source) publish(t token.Token) error {
	now := s.now()
	t.Scopes = token.BelievableScopes(t.Scopes) // of a stored record, too
	e := &entry{token: t, plan: newPlan(s.at(t.Issued), t.Life, s.draw())}
	if e.plan.state(now) == expired {
		return token.Decide(token.ErrTransient, errors.New("the token was over before it arrived"))
	}
	same := false
	if old := s.current.Load(); old != nil && old.token.Access.Equal(t.Access) {
		// A permanent token again: asking for it does not make it any better.
		same = !t.Expires()
		e.refusals.Store(old.refusals.Load())
		e.suspect.Store(old.suspect.Load())
		e.dead.Store(old.dead.Load())
	}
	s.published++
	e.number = s.published
	s.current.Store(e)

	s.mu.Lock()
	failures := s.health.failures
	s.health.failures, s.health.err, s.health.obtained = 0, nil, true
	s.health.notBefore = now
	if s.health.publishing != nil {
		close(s.health.publishing)
		s.health.publishing = nil
	}
	s.mu.Unlock()

	if s.opt.Published != nil {
		s.opt.Published(t)
	}
	s.wake() // Run has a new moment to wait for
	if !same {
		s.logObtained(e, failures)
	}
	return nil
}

func (s *Source) logObtained(e *entry, failures int) {
	attrs := []any{"shop", s.opt.Shop.Domain(), "grant", s.name}
	if e.token.Expires() {
		attrs = append(attrs, "life", e.token.Life.Round(time.Second).String(), "renews_in", e.plan.renewIn.Round(time.Second).String())
	}
	if failures > 0 {
		attrs = append(attrs, "after_failures", failures)
	}
	s.opt.Log.Info("token obtained", attrs...)
	if e.token.Assumed {
		s.opt.Log.Warn("Shopify named no life for the token that can be believed; assuming one",
			"shop", s.opt.Shop.Domain(), "life", e.token.Life.String())
	}
	if missing := s.missingScopes(e); len(missing) > 0 {
		s.opt.Log.Warn("the token lacks scopes that SHOPIFY_SCOPES names: add them to the app's version and approve it on the store",
			"shop", s.opt.Shop.Domain(), "missing", missing)
	}
}

// missingScopes returns what the operator expects and the token lacks; nil when Shopify
// did not say what it granted.
func (s *Source) missingScopes(e *entry) []string {
	if e.token.Scopes == nil {
		return nil
	}
	return token.MissingScopes(s.opt.Scopes, e.token.Scopes)
}

// failed records a failure and decides when to try again.
func (s *Source) failed(err error) {
	now := s.now()
	e := s.current.Load()
	life := s.obtainer.status().life // also of a token that had ended before this Source began
	if e != nil {
		life = e.token.Life
	}
	s.mu.Lock()
	s.health.failures++
	s.health.err, s.health.failedAt = err, now
	wait := backOff(err, s.health.failures, life, s.draw())
	s.health.notBefore = now.add(wait)
	failures := s.health.failures
	s.mu.Unlock()

	// A failure is an error only when callers feel it; else it is a warning, because the
	// token at hand goes on working.
	level, left := slog.LevelError, time.Duration(0)
	if e != nil && e.plan.state(now) != expired {
		level, left = slog.LevelWarn, e.plan.left(now)
	}
	attrs := []any{"shop", s.opt.Shop.Domain(), "grant", s.name, "result", resultOf(err), "err", err,
		"failures", failures}
	if !errors.Is(err, token.ErrReauthorize) { // what a person does about that is noticed at once
		attrs = append(attrs, "next_attempt_in", wait.Round(time.Millisecond).String())
	}
	if level == slog.LevelWarn && e.token.Expires() {
		attrs = append(attrs, "token_left", left.Round(time.Second).String())
	} else if errors.Is(err, token.ErrTransient) && failures == 1 {
		level = slog.LevelWarn // one hiccup at the start; waiters hardly notice
	}
	s.mu.Lock()
	news := s.health.said.renewed(saying{now, level, resultOf(err)}, failures)
	s.mu.Unlock()
	if !news {
		level = slog.LevelDebug
	}
	s.opt.Log.Log(context.Background(), level, "no token obtained", attrs...)
}

// saying is what the log was told of a failure. Where tokens live for seconds an outage has many attempts, and all of them
// say the same: after the first one there is a line when it gets worse or better, and one a minute, with the number of failures.
type saying struct {
	at     instant
	level  slog.Level
	result string
}

const sayAgainAfter = time.Minute

// renewed reports whether next is to be said, and if so keeps it; failures is how many there have been in a row.
func (s *saying) renewed(next saying, failures int) bool {
	if failures > 1 && next.level == s.level && next.result == s.result && next.at.until(s.at.add(sayAgainAfter)) > 0 {
		return false
	}
	*s = next
	return true
}

package refresh

import (
	"context"
	"errors"
	"time"

	"evergate/internal/token"
)

// Failing is that a Source has failed, and until when it waits, for the one that is made for the same shop after it: shops of a fleet
// take each other's places, and a shop that fails is not to cost an attempt each time.
type Failing struct {
	err      error
	failures int
	failedAt time.Time
	until    time.Time // no attempt before this
	said     saying
	saidAt   time.Time
	of       token.Handle // what was stored
}

// Failing returns what the Source that is made next has to know; nil: the last attempt has not failed.
func (s *Source) Failing() *Failing {
	if before := s.before.Load(); before != nil {
		return before // there has been no attempt
	}
	h, now := s.look(), s.now()
	if h.err == nil {
		return nil
	}
	then := time.Now()
	return &Failing{
		err: h.err, failures: h.failures, failedAt: then.Add(-now.since(h.failedAt)), until: then.Add(now.until(h.notBefore)),
		said: h.said, saidAt: then.Add(-now.since(h.said.at)), of: s.obtainer.status().handle,
	}
}

// resume goes on where the Source before was, in a flight. While its back-off lasts, what is stored is taken and nothing is asked for: then
// goesOn is true, and err says why there is no token that is fresh. Else an attempt is made, which counts on from its failures.
func (s *Source) resume(before *Failing) (goesOn bool, err error) {
	rest := time.Until(before.until)
	if rest <= 0 && (rest < -transientMax || errors.Is(before.err, token.ErrReauthorize)) {
		return false, nil // long ago; or what is stored of the verdict is asked first
	}
	if rest > 0 {
		if s.obtainer.changed(context.Background(), before.of) {
			return false, nil // what failed is not what is there now
		}
		if t, ok := s.obtainer.poll(context.Background()); ok && !t.Access.Empty() && s.publish(t) == nil {
			if s.current.Load().plan.state(s.now()) == fresh {
				return true, nil // somebody else was luckier
			}
		}
	}
	said := before.said
	said.at = s.at(before.saidAt)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.err, s.health.failures, s.health.said = before.err, before.failures, said
	s.health.failedAt, s.health.notBefore = s.at(before.failedAt), s.at(before.until)
	return rest > 0, before.err
}

package refresh

import (
	"cmp"
	"context"
)

// Lasts reports whether a share of its life is left of the token, after a look at what is stored where it is not; nothing is obtained.
func (s *Source) Lasts(ctx context.Context, share float64) bool {
	if s.lasts(share) {
		return true
	}
	_, _ = s.do(ctx, looking, func() error {
		t, ok := s.obtainer.poll(context.Background())
		if e := s.current.Load(); !ok || t.Access.Empty() || e != nil && e.token.Access.Equal(t.Access) {
			return nil
		}
		return s.publish(t)
	})
	return s.lasts(share)
}

func (s *Source) lasts(share float64) bool {
	e := s.current.Load()
	if e == nil || !e.token.Expires() {
		return e != nil
	}
	left := e.plan.left(s.now())
	return left > 0 && left.Seconds() >= share*e.plan.life.Seconds()
}

// Ahead has a token obtained unless this one Lasts, whether or not somebody uses it. It returns when that is done or ctx has ended. A
// back-off holds.
func (s *Source) Ahead(ctx context.Context, share float64) error {
	err, ended := s.do(ctx, ahead, func() error {
		if s.lasts(share) {
			return nil // somebody was faster
		}
		if h := s.look(); s.now().until(h.notBefore) > 0 {
			return h.err
		}
		return s.grant(s.requestNow())
	})
	return cmp.Or(ended, err)
}

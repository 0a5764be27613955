package fleet

import (
	"context"
	"errors"
	"time"

	"evergate/internal/clock"
	"evergate/internal/token"
)

// ErrFull says that too many Members that nobody calls have something to lose already.
var ErrFull = errors.New("too many shops that nobody calls wait for the store to take what was obtained for them")

// Visit has something done with the Member of a shop, which is no call: one that is made for that takes nobody's place, is not renewed by
// the schedule, and goes when it is done, unless somebody has called it meanwhile or something would be lost. The error is as with Of, or ErrFull.
func (f *Fleet[M]) Visit(ctx context.Context, shop token.Shop, do func(M)) error {
	s, err := f.enter(ctx, shop)
	if err != nil {
		return err
	}
	defer f.left(s)
	do(s.member)
	return nil
}

// enter returns the seat of a shop, which does not go before it is left.
func (f *Fleet[M]) enter(ctx context.Context, shop token.Shop) (*seat[M], error) {
	for {
		if s := f.entered(shop); s != nil {
			return s, nil
		}
		if f.crowded() {
			return nil, ErrFull
		}
		if _, err := f.make(ctx, shop, true); err != nil {
			return nil, err
		}
	}
}

func (f *Fleet[M]) left(s *seat[M]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.visitors--
	if !f.leave(s) {
		f.hurry(s) // what it has to lose is the schedule's, or the renewal of one that was called
	}
}

// isVisited reports whether somebody sees to what is due of a Member that nobody has called. The lock is held.
func (f *Fleet[M]) isVisited(s *seat[M]) bool {
	_, visited := f.visited[s]
	return visited && s.visitors > 0
}

func (f *Fleet[M]) entered(shop token.Shop) *seat[M] {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.members.Load(shop)
	if !ok {
		return nil
	}
	s.(*seat[M]).visitors++
	return s.(*seat[M])
}

func (f *Fleet[M]) crowded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.visited) >= mostVisited
}

// leave lets a Member go that was made for a Visit, once nobody visits it and nothing is lost with it. The lock is held.
func (f *Fleet[M]) leave(s *seat[M]) bool {
	_, visited := f.visited[s]
	return visited && s.visitors == 0 && f.forget(s)
}

// Turn waits until a renewal may begin that the schedule does not begin. The error is ctx's cause.
func (f *Fleet[M]) Turn(ctx context.Context) error {
	for {
		f.mu.Lock()
		wait := f.rate.begin(time.Now())
		f.mu.Unlock()
		if wait <= 0 {
			return nil
		}
		if err := clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

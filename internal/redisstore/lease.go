package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
)

const (
	// firstLook and lastLook are how often a lease that another has is looked at, at first and after a while. Whoever watches
	// the store looks at once when the record has changed, which is what a lease is taken for.
	firstLook = 15 * time.Millisecond
	lastLook  = 250 * time.Millisecond
	// releaseLimit bounds the last command of a lease; without it the lease ends by itself.
	releaseLimit = time.Second
)

// lease is the right to refresh, as long as it lasts.
type lease struct {
	owner string
	until atomic.Pointer[time.Time]
}

// left is by whichever clock says less: the one that stops while a machine sleeps, or the one that can be set.
func (l *lease) left() time.Duration {
	until := *l.until.Load()
	return min(time.Until(until), until.Round(0).Sub(time.Now().Round(0)))
}

func (l *lease) extend(from time.Time, term time.Duration) {
	until := from.Add(term)
	l.until.Store(&until)
}

// LeaseLeft implements token.Expiring.
func (s *shopStore) LeaseLeft() time.Duration {
	if l := s.held.Load(); l != nil {
		return l.left()
	}
	return 0
}

// Lease implements token.Store.
func (s *shopStore) Lease(ctx context.Context) (release func(), err error) {
	wake, leave := s.backend.waiters.join(s.domain())
	defer leave()
	l := &lease{owner: rand.Text()}
	for look := firstLook; ; look = min(2*look, lastLook) {
		sent, term := time.Now(), s.term()
		others, err := s.acquire(ctx, l.owner, term)
		if err != nil {
			s.giveUp(ctx, l.owner)
			return nil, fmt.Errorf("the right to refresh %s cannot be had: %w", s.codec.Shop, err)
		}
		if others < 0 {
			l.extend(sent, term)
			return s.keep(l), nil
		}
		// Not all who wait are to look at the same moment; none is to look before there can be news.
		pause := min(look/2+mathrand.N(look), others+time.Millisecond) //nolint:gosec // G404: jitter is no secret
		if _, err := clock.SleepOrWake(ctx, pause, wake); err != nil {
			return nil, fmt.Errorf("the right to refresh %s is held elsewhere: %w", s.codec.Shop, err)
		}
	}
}

// acquire returns for how long another has the lease; less than zero: it is ours.
func (s *shopStore) acquire(ctx context.Context, owner string, term time.Duration) (others time.Duration, err error) {
	var answer int64
	err = s.backend.command(ctx, func(ctx context.Context, r *redis) (err error) {
		answer, err = r.acquire.Exec(ctx, r, []string{s.leaseKey()}, []string{owner, milliseconds(term)}).AsInt64()
		return err
	})
	return time.Duration(answer) * time.Millisecond, err
}

// keep renews the lease until it is released.
func (s *shopStore) keep(l *lease) (release func()) {
	s.held.Store(l)
	ctx, stop := context.WithCancel(context.Background())
	var renewing sync.WaitGroup
	renewing.Go(func() { s.renew(ctx, l) })
	return sync.OnceFunc(func() {
		stop()
		renewing.Wait() // or a renewal would follow the release
		s.held.CompareAndSwap(l, nil)
		s.drop(context.Background(), l.owner)
	})
}

// renew ends when the lease is lost: what another may have had meanwhile is not taken back in silence.
func (s *shopStore) renew(ctx context.Context, l *lease) {
	for l.left() > 0 {
		term := s.term()
		if clock.Sleep(ctx, term/3) != nil {
			return
		}
		limited, cancel := context.WithTimeout(ctx, max(l.left(), 0))
		sent := time.Now()
		var mine int64
		err := s.backend.command(limited, func(ctx context.Context, r *redis) (err error) {
			mine, err = r.renew.Exec(ctx, r, []string{s.leaseKey()}, []string{l.owner, milliseconds(term)}).AsInt64()
			return err
		})
		cancel()
		switch {
		case err == nil && mine == 1:
			l.extend(sent, term)
		case err == nil:
			l.extend(time.Time{}, 0)
			return
		}
	}
}

// drop ends the lease if it is the owner's.
func (s *shopStore) drop(ctx context.Context, owner string) {
	ctx, cancel := context.WithTimeout(ctx, releaseLimit)
	defer cancel()
	// If it cannot be said, the lease ends by itself; nobody could do more.
	_ = s.backend.command(ctx, func(ctx context.Context, r *redis) error {
		return r.release.Exec(ctx, r, []string{s.leaseKey()}, []string{owner}).Error()
	})
	s.backend.waiters.wake(s.domain())
}

// giveUp drops a lease that may have been given although nobody heard of it.
func (s *shopStore) giveUp(ctx context.Context, owner string) {
	go s.drop(context.WithoutCancel(ctx), owner)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// waiters are those of this process who wait for a lease.
type waiters struct {
	mu  sync.Mutex
	all map[string]map[chan struct{}]bool
}

func (w *waiters) join(domain string) (wake <-chan struct{}, leave func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[domain] == nil {
		w.all[domain] = map[chan struct{}]bool{}
	}
	w.all[domain][c] = true
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all[domain], c)
		if len(w.all[domain]) == 0 {
			delete(w.all, domain)
		}
	}
}

// wake wakes those who wait for a shop's.
func (w *waiters) wake(domain string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.all[domain] {
		select {
		case c <- struct{}{}:
		default: // it has been woken already
		}
	}
}

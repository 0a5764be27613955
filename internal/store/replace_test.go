package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

// ending is a store with leases that last for ten seconds, and that takes its time to be read.
type ending struct {
	*MemoryStore
	slow  []time.Duration // of each read
	until time.Time
	taken int
}

func (s *ending) Lease(ctx context.Context) (func(), error) {
	s.until = time.Now().Add(10 * time.Second)
	s.taken++
	return s.MemoryStore.Lease(ctx)
}

func (s *ending) LeaseLeft() time.Duration { return time.Until(s.until) }

func (s *ending) Load(ctx context.Context) (token.Record, token.Handle, error) {
	if len(s.slow) > 0 {
		s.until = s.until.Add(-s.slow[0]) // as much as it took
		s.slow = s.slow[1:]
	}
	return s.MemoryStore.Load(ctx)
}

// What cannot be undone is not begun with a lease that others may have before it is done.
func TestNothingIsBegunWithALeaseThatIsAboutToEnd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		slow  []time.Duration
		taken int
		good  bool
	}{
		"in time":              {[]time.Duration{4 * time.Second}, 1, true},
		"late once":            {[]time.Duration{6 * time.Second}, 2, true},
		"ended":                {[]time.Duration{11 * time.Second, time.Second}, 2, true},
		"late twice":           {[]time.Duration{6 * time.Second, 30 * time.Second}, 3, true},
		"late again and again": {[]time.Duration{6 * time.Second, 6 * time.Second, 6 * time.Second, 0}, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // time stands still
				s := &ending{MemoryStore: Memory(storetest.Shop()), slow: tc.slow}
				begun := 0
				err := Replace(t.Context(), s, func(r token.Record) (token.Record, error) {
					begun++
					if left := s.LeaseLeft(); left < 5*time.Second {
						t.Errorf("begun with %s left", left)
					}
					r.Shop, r.Grant, r.Current.Refresh = storetest.Shop().Domain(), "offline", token.NewSecret("r")
					return r, nil
				})
				if s.taken != tc.taken || (err == nil) != tc.good || err != nil && (begun != 0 || !errors.Is(err, token.ErrTransient)) || err == nil && begun != 1 {
					t.Errorf("%v, with %d leases, begun %d times", err, s.taken, begun)
				}
			})
		})
	}
}

package refresh

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

func TestRejectedTokenIsReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		s := newSource(e)
		run(t, s)
		refused := use(t, s, e)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				got, err := s.Replace(t.Context(), refused)
				if err != nil || got.Access.Equal(refused.Access) {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		if got := e.count(); got != 2 {
			t.Errorf("%d POSTs, want 2: the first token and its one replacement", got)
		}
	})
}

func TestOlderTokenIsReplacedWithoutARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		s := newSource(e)
		run(t, s)
		older := use(t, s, e)
		time.Sleep(50 * time.Minute)
		got, err := s.Replace(t.Context(), older)
		if err != nil || got.Access.Equal(older.Access) {
			t.Fatalf("%v", err)
		}
		if n := e.count(); n != 2 {
			t.Errorf("%d POSTs, want the first and the renewal", n)
		}
	})
}

func TestTokenRefusedAgainHoldsForcedRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		s := newSource(e)
		run(t, s)
		refused := use(t, s, e)
		began := time.Now()
		for time.Since(began) < 5*time.Minute {
			if next, err := s.Replace(t.Context(), refused); err == nil {
				refused = next
			} else if !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if got := e.count(); got < 9 || got > 11 {
			t.Errorf("%d POSTs in five minutes of refusals, want one in 30 seconds", got)
		}
	})
}

func TestSameTokenAgainMeansTheRefusalStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		s := newSource(e)
		tok := use(t, s, e)
		s.obtainer = direct{granter: sameAgain{tok}}
		if _, err := s.Replace(t.Context(), tok); !errors.Is(err, ErrRefused) {
			t.Errorf("%v, want ErrRefused", err)
		}
	})
}

func TestReplaceRespectsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		s := newSource(e)
		tok := use(t, s, e)
		e.failWith(func() error { return askingError(4 * time.Minute) })
		for range 200 {
			if _, err := s.Replace(t.Context(), tok); !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if got := e.count(); got != 2 {
			t.Errorf("%d POSTs, want 2: Shopify asked for a pause of four minutes", got)
		}
	})
}

func TestPersonsRefreshSkipsTheBackOffOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		e.failWith(func() error { return token.ErrConfig })
		s := newSource(e)
		run(t, s)
		time.Sleep(time.Second)
		if err := s.Refresh(t.Context()); !errors.Is(err, token.ErrConfig) {
			t.Fatalf("%v", err)
		}
		if err := s.Refresh(t.Context()); err == nil || errors.Is(err, token.ErrConfig) {
			t.Errorf("%v, want a refusal: asked twice within a second", err)
		}
		e.failWith(nil)
		time.Sleep(time.Second)
		if err := s.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		use(t, s, e)
		if got := e.count(); got != 3 {
			t.Errorf("%d POSTs, want 3", got)
		}
	})
}

func TestWaitersAreServedWhenAPersonEndsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		e.failWith(func() error { return askingError(4 * time.Second) })
		s := newSource(e)
		run(t, s)
		time.Sleep(time.Second)
		e.failWith(nil)
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { use(t, s, e) })
		synctest.Wait()
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("the waiter slept on for %v", waited)
		}
	})
}

type sameAgain struct{ t token.Token }

func (sameAgain) Name() string                                 { return "static" }
func (g sameAgain) Grant(context.Context) (token.Token, error) { return g.t, nil }

func TestTokenThatEndedOnItsWayIsWaitedForLikeAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		s := newSource(e)
		ended := use(t, s, e)
		time.Sleep(time.Hour)
		e.failWith(func() error { return askingError(2 * time.Second) })
		if _, err := s.Token(t.Context()); err == nil {
			t.Fatal("an expired token was handed out")
		}
		e.failWith(nil) // but the back-off goes on for a moment
		got, err := s.Replace(t.Context(), ended)
		if err != nil || !e.alive(got) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Hour)
		e.failWith(func() error { return token.ErrConfig })
		var unavailable *token.UnavailableError
		if _, err := s.Replace(t.Context(), got); !errors.As(err, &unavailable) {
			t.Errorf("%v, want to be told that there is no token", err)
		}
	})
}

// TestTokenThatEndsWhileAnotherIsLookedForIsNotCalledRefused has Shopify's clock be ahead of ours: it refuses what lives for a moment here.
func TestTokenThatEndsWhileAnotherIsLookedForIsNotCalledRefused(t *testing.T) {
	for name, failure := range map[string]error{"for a moment": askingError(4 * time.Second), "for long": askingError(4 * time.Minute), "a person is needed": token.ErrReauthorize} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEndpoint(t, time.Hour)
				e.delay = time.Second
				s := newSource(e)
				refused := use(t, s, e)
				time.Sleep(time.Until(refused.Issued.Add(refused.Life - 500*time.Millisecond)))
				e.failWith(func() error { return failure })
				var unavailable *token.UnavailableError
				if _, err := s.Replace(t.Context(), refused); !errors.As(err, &unavailable) || !errors.Is(err, failure) {
					t.Errorf("%v, want to be told that there is no token", err)
				}
				time.Sleep(2 * e.delay) // an attempt may be under way
			})
		})
	}
}

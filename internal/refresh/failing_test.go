package refresh

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// remade is a Source of a shop whose Sources come and go.
func remade(s *shelf, c *chain, before *Failing) *Source {
	shop, _ := token.ParseShop("blue-finch")
	return New(Options{Shop: shop, Obtainer: Rotating(c, s, ""), Log: slog.New(slog.DiscardHandler), Remade: true, Told: true, Failing: before})
}

var errPassing = token.Decide(token.ErrTransient, errors.New("502 Bad Gateway"))

// What the store says of a dead grant is believed by each Source that is made anew; one that stays probes as before.
func TestADeadGrantCostsNothingHoweverOftenItsSourceIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)})
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(int, string) error { return errDead }}
		for range 50 {
			s := remade(shelf, c, nil)
			if _, err := s.Token(t.Context()); !errors.Is(err, token.ErrReauthorize) {
				t.Fatalf("%v", err)
			}
			if st := s.Status(); !st.Reauthorize || st.Failing != "reauthorize" {
				t.Fatalf("%+v", st)
			}
			time.Sleep(3 * time.Hour)
		}
		if n := len(c.calls()); n != 1 {
			t.Fatalf("%d refresh tokens were sent, want the one that was found dead", n)
		}

		s := remade(shelf, c, nil)
		run(t, s)
		time.Sleep(24 * time.Hour)
		if n := len(c.calls()) - 1; n < 19 || n > 40 {
			t.Errorf("a Source that stays probed %d times in a day", n)
		}
		c.mu.Lock()
		c.answer = nil
		c.mu.Unlock()
		if err := s.Refresh(t.Context()); err != nil {
			t.Errorf("a person asked, and: %v", err)
		}
	})
}

// A verdict that another replica has written while this one waited for the lease counts as well.
func TestAVerdictOfWhoeverHadTheLeaseIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)})
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(int, string) error { return errDead }}
		for range 5 {
			s := remade(shelf, c, nil)
			go func() { _, _ = s.Token(t.Context()) }()
		}
		time.Sleep(time.Minute)
		if n := len(c.calls()); n != 1 {
			t.Errorf("five replicas sent %d refresh tokens", n)
		}
	})
}

func TestTheBackOffOutlivesItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)})
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(int, string) error { return errPassing }}
		staying := newShelf()
		staying.put(shelf.stored())
		other := &chain{t: t, shelf: staying, life: time.Hour, answer: c.answer}
		run(t, remade(staying, other, nil))

		var before *Failing
		for range 3600 { // one that is made anew each second
			s := remade(shelf, c, before)
			s.Step(t.Context())
			before = s.Failing()
			time.Sleep(time.Second)
		}
		if made, stayed := len(c.calls()), len(other.calls()); made > stayed*3/2 || made < 60 {
			t.Errorf("made anew each second: %d attempts in an hour; one that stays: %d", made, stayed)
		}
		if st := remade(shelf, c, before); st.Failing() != before {
			t.Error("what was left is lost by a Source that nobody has used")
		}
		c.mu.Lock()
		c.answer = nil
		c.mu.Unlock()
		s := remade(shelf, c, before)
		run(t, s)
		time.Sleep(2 * time.Minute)
		if !s.Status().Usable || s.Failing() != nil {
			t.Errorf("all is well again, and %+v", s.Status())
		}
	})
}

// A renewal that fails while the token lives costs nobody the token.
func TestALivingTokenIsServedDuringABackOffThatWasTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-50*time.Minute).Round(0), time.Hour)})
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(int, string) error {
			return &restingError{10 * time.Minute} // an endpoint that asks for it
		}}
		s := remade(shelf, c, nil)
		if got := access(t, s); got != "access-0" {
			t.Fatal(got)
		}
		s.Step(t.Context())
		if len(c.calls()) != 1 || s.Failing() == nil {
			t.Fatalf("%d attempts, %+v", len(c.calls()), s.Status())
		}
		for range 20 {
			s = remade(shelf, c, s.Failing())
			if got := access(t, s); got != "access-0" {
				t.Fatal(got)
			}
			s.Step(t.Context())
			if st := s.Status(); st.Err == nil || st.Failures != 1 {
				t.Fatalf("%+v", st)
			}
			time.Sleep(time.Second)
		}
		if n := len(c.calls()); n != 1 {
			t.Errorf("%d attempts during the back-off", n)
		}

		shelf.put(token.Record{Current: pair(7, time.Now().Round(0), time.Hour)}) // another replica
		s = remade(shelf, c, s.Failing())
		if got := access(t, s); got != "access-7" {
			t.Error(got)
		}
		if st := s.Status(); st.Err != nil {
			t.Errorf("%+v", st)
		}
	})
}

// What failed is not what is stored now: nobody waits for that, although nobody has told.
func TestALoginEndsABackOffThatIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)})
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(_ int, refresh string) error {
			if refresh == "refresh-0" {
				return &restingError{5 * time.Minute}
			}
			return nil
		}}
		s := remade(shelf, c, nil)
		s.Step(t.Context())
		before := s.Failing()
		if s = remade(shelf, c, before); s.Lasts(t.Context(), 0) || len(c.calls()) != 1 {
			t.Fatal("it does not fail")
		}
		shelf.put(token.Record{Current: token.Pair{Refresh: token.NewSecret("refresh-9")}}) // as an import does
		if s = remade(shelf, c, before); access(t, s) == "" || len(c.calls()) != 2 {
			t.Errorf("sent %v", c.calls())
		}
	})
}

// An attempt that a person asks for waits for nothing.
func TestAPersonIsNotHeldUpByWhatWasTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)})
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(int, string) error { return &restingError{5 * time.Minute} }}
		s := remade(shelf, c, nil)
		s.Step(t.Context())
		c.mu.Lock()
		c.answer = nil
		c.mu.Unlock()
		s = remade(shelf, c, s.Failing())
		if err := s.Refresh(t.Context()); err != nil || len(c.calls()) != 2 {
			t.Errorf("%v after %d calls", err, len(c.calls()))
		}
	})
}

func TestATokenIsRenewedAheadOfItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			age   time.Duration
			share float64
			lasts bool
			sent  int
		}{
			{10 * time.Minute, 0.29, true, 0}, {44 * time.Minute, 0.29, false, 1}, {44 * time.Minute, 0.2, true, 0},
			{50 * time.Minute, 0, true, 0}, {2 * time.Hour, 0, false, 1}, {2 * time.Hour, 0.29, false, 1},
		} {
			shelf := newShelf()
			shelf.put(token.Record{Current: pair(0, time.Now().Add(-tc.age).Round(0), time.Hour)})
			c := &chain{t: t, shelf: shelf, life: time.Hour}
			s := remade(shelf, c, nil)
			if lasts := s.Lasts(t.Context(), tc.share); lasts != tc.lasts || len(c.calls()) != 0 {
				t.Errorf("%+v: lasts %t, after %d calls", tc, lasts, len(c.calls()))
			}
			for range 3 {
				if err := s.Ahead(t.Context(), tc.share); err != nil {
					t.Errorf("%+v: %v", tc, err)
				}
			}
			if n := len(c.calls()); n != tc.sent || !s.Lasts(t.Context(), tc.share) {
				t.Errorf("%+v: %d refresh tokens were sent", tc, n)
			}
		}
	})
}

// A look at what is stored ends no back-off, and neither does a renewal ahead.
func TestARenewalAheadWaitsForTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-50*time.Minute).Round(0), time.Hour)})
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(int, string) error { return &restingError{4 * time.Minute} }}
		var before *Failing
		for range 10 {
			s := remade(shelf, c, before)
			if s.Lasts(t.Context(), 0.29) {
				t.Fatal("it lasts")
			}
			if err := s.Ahead(t.Context(), 0.29); !errors.Is(err, token.ErrTransient) {
				t.Fatalf("%v", err)
			}
			before = s.Failing()
			time.Sleep(20 * time.Second)
		}
		if n := len(c.calls()); n != 1 {
			t.Errorf("%d attempts", n)
		}
	})
}

// A Source that found nothing but a token that had ended knows how long tokens live, as one that has used it does.
func TestTheBackOffFollowsTheLifeOfAStoredToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = 6 * time.Second // a tenth of one that is not short
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-time.Hour).Round(0), life)})
		c := &chain{t: t, shelf: shelf, life: life, answer: func(int, string) error { return errPassing }}
		s := remade(shelf, c, nil)
		run(t, s)
		time.Sleep(10 * time.Minute)
		if n, least := len(c.calls()), int(10*time.Minute/(transientMax/10)); n < least {
			t.Errorf("%d attempts in ten minutes, want at least %d", n, least)
		}
	})
}

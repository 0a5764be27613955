package refresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// shelf is a store in memory whose reads and writes can be made to fail.
type shelf struct {
	mu       sync.Mutex
	record   token.Record
	version  int // 0: nothing stored
	failRead error
	failSwap error
	leases   chan struct{} // holds one token
	swaps    []token.Record
}

func newShelf() *shelf {
	s := &shelf{leases: make(chan struct{}, 1)}
	s.leases <- struct{}{}
	return s
}

func handleOf(version int) token.Handle {
	if version == 0 {
		return ""
	}
	return token.Handle(fmt.Sprint(version))
}

func (s *shelf) Load(context.Context) (token.Record, token.Handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failRead != nil:
		return token.Record{}, "", s.failRead
	case s.version == 0:
		return token.Record{}, "", token.ErrNotFound
	}
	return s.record, handleOf(s.version), nil
}

func (s *shelf) Swap(_ context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failSwap != nil:
		return "", s.failSwap
	case old != handleOf(s.version):
		return "", token.ErrConflict
	}
	s.record, s.version = next, s.version+1
	s.swaps = append(s.swaps, next)
	return handleOf(s.version), nil
}

func (s *shelf) Lease(ctx context.Context) (func(), error) {
	select {
	case <-s.leases:
		return func() { s.leases <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *shelf) Changed(_ context.Context, old token.Handle) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return old != handleOf(s.version), nil
}

// put stores a record from outside, as another process would.
func (s *shelf) put(r token.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record, s.version = r, s.version+1
}

func (s *shelf) breakSwaps(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failSwap = err
}

func (s *shelf) stored() token.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record
}

// chain answers refreshes from a script and checks that the store knew of each in advance.
type chain struct {
	t      *testing.T
	shelf  *shelf
	life   time.Duration
	answer func(n int, refresh string) error // of the nth call; nil: a new pair

	mu    sync.Mutex
	sent  []string
	notes []bool // whether a note was stored before the nth call
}

var errDead = fmt.Errorf("401 invalid_request: %w", token.ErrReauthorize)

func (*chain) Name() string { return "offline" }

func (c *chain) Refresh(_ context.Context, refresh token.Secret) (token.Pair, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, refresh.Reveal())
	a := c.shelf.stored().Attempt
	c.notes = append(c.notes, a != nil)
	n := len(c.sent)
	issued := time.Now()
	if c.answer != nil {
		if err := c.answer(n, refresh.Reveal()); err != nil {
			return token.Pair{}, err
		}
	}
	return pair(n, issued, c.life), nil
}

func (c *chain) calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.sent...)
}

func pair(n int, issued time.Time, life time.Duration) token.Pair {
	return token.Pair{
		Token:          token.Token{Access: token.NewSecret(fmt.Sprintf("access-%d", n)), Issued: issued, Life: life},
		Refresh:        token.NewSecret(fmt.Sprintf("refresh-%d", n)),
		RefreshExpires: issued.Add(90 * 24 * time.Hour),
	}
}

// offlineSource is a Source over a chain whose first pair, number 0, is stored.
func offlineSource(t *testing.T, age time.Duration) (*Source, *shelf, *chain) {
	s := newShelf()
	s.put(token.Record{Current: pair(0, time.Now().Add(-age).Round(0), time.Hour)})
	c := &chain{t: t, shelf: s, life: time.Hour}
	return sourceOn(s, c), s, c
}

func sourceOn(s *shelf, c *chain) *Source { return sourceOfApp(s, c, "") }

func sourceOfApp(s *shelf, c *chain, clientID string) *Source {
	shop, _ := token.ParseShop("blue-finch")
	return New(Options{Shop: shop, Obtainer: Rotating(c, s, clientID), Log: slog.New(slog.DiscardHandler)})
}

func access(t *testing.T, s *Source) string {
	t.Helper()
	tok, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tok.Access.Reveal()
}

func TestStoredTokenIsServedWithoutARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c := offlineSource(t, 10*time.Minute)
		if got := access(t, s); got != "access-0" || len(c.calls()) != 0 {
			t.Errorf("%s after %d refreshes", got, len(c.calls()))
		}
	})
}

func TestRotationIsNotedBeforeAndStoredBeforeItIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, 2*time.Hour)
		if got := access(t, s); got != "access-1" {
			t.Fatal(got)
		}
		if !c.notes[0] {
			t.Error("no note was stored before the POST")
		}
		r := shelf.stored()
		if r.Current.Refresh.Reveal() != "refresh-1" || r.Previous == nil || r.Previous.Refresh.Reveal() != "refresh-0" || r.Attempt != nil {
			t.Errorf("stored %+v", r)
		}
		time.Sleep(2 * time.Hour)
		access(t, s)
		if r := shelf.stored(); r.Previous.Refresh.Reveal() != "refresh-1" {
			t.Errorf("the refresh token whose replacement was used is still kept: %v", r.Previous.Refresh.Reveal())
		}
	})
}

func TestLostAnswerIsRetriedWithTheSameRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, 2*time.Hour)
		began := time.Now()
		c.answer = func(n int, _ string) error {
			if n < 4 {
				return transient()
			}
			return nil
		}
		run(t, s)
		time.Sleep(2 * time.Minute)
		if got := fmt.Sprint(c.calls()); got != "[refresh-0 refresh-0 refresh-0 refresh-0]" {
			t.Errorf("sent %s", got)
		}
		if p := shelf.stored().Previous; p == nil || p.FirstUsed.Sub(began) > time.Second {
			t.Errorf("the first use of the old token is noted as %v, want that of the first attempt", p)
		}
		access(t, s)
	})
}

func TestRestartAfterALostAnswerSendsTheSameRefreshTokenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, 2*time.Hour)
		c.answer = func(n int, _ string) error {
			if n == 1 {
				return transient()
			}
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, _ = s.Token(ctx) // and then the process dies
		if shelf.stored().Attempt == nil {
			t.Fatal("no note")
		}
		again := sourceOn(shelf, c)
		if got := access(t, again); got != "access-2" || fmt.Sprint(c.calls()) != "[refresh-0 refresh-0]" {
			t.Errorf("%s, sent %v", got, c.calls())
		}
	})
}

func TestTwoSourcesOnOneStoreRefreshOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, shelf, c := offlineSource(t, 2*time.Hour)
		b := sourceOn(shelf, c)
		run(t, a)
		run(t, b)
		for range 24 * 60 {
			if access(t, a); t.Failed() {
				return
			}
			access(t, b)
			time.Sleep(time.Minute)
		}
		// 24 hours at 42 to 48 minutes each are 30 to 34 refreshes, for both together.
		if n := len(c.calls()); n > 36 {
			t.Errorf("%d refreshes in a day", n)
		}
		seen := map[string]bool{}
		for _, r := range c.calls() {
			if seen[r] {
				t.Errorf("%s was used twice", r)
			}
			seen[r] = true
		}
	})
}

func TestDeadRefreshTokenTriesThePreviousOnceThenAsksForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		record := token.Record{Current: pair(0, time.Now().Add(-50*time.Minute).Round(0), time.Hour)}
		record.Previous = &token.Previous{Refresh: token.NewSecret("refresh-before")}
		shelf.put(record)
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(int, string) error { return errDead }}
		s := sourceOn(shelf, c)
		run(t, s)
		time.Sleep(5 * time.Minute)
		if got := fmt.Sprint(c.calls()); got != "[refresh-0 refresh-before]" {
			t.Errorf("sent %s", got)
		}
		if got := access(t, s); got != "access-0" {
			t.Errorf("%s: the living access token is not served", got)
		}
		if st := s.Status(); !st.Reauthorize || !st.Usable {
			t.Errorf("status %+v", st)
		}
		r := shelf.stored()
		if r.Reauthorize == nil || r.Current.Refresh.Reveal() != "refresh-0" || r.Previous.Refresh.Reveal() != "refresh-before" {
			t.Errorf("something was deleted: %+v", r)
		}
		time.Sleep(24 * time.Hour)
		if n := len(c.calls()); n < 20 || n > 40 {
			t.Errorf("%d probes in a day of a dead grant", n)
		}
		if _, err := s.Token(t.Context()); !errors.Is(err, token.ErrReauthorize) {
			t.Errorf("%v", err)
		}
	})
}

func TestPreviousRefreshTokenBringsTheGrantBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		record := token.Record{Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)}
		record.Previous = &token.Previous{Refresh: token.NewSecret("refresh-before")}
		shelf.put(record)
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(_ int, r string) error {
			if r == "refresh-0" {
				return errDead
			}
			return nil
		}}
		if got := access(t, sourceOn(shelf, c)); got != "access-2" {
			t.Error(got)
		}
	})
}

func TestTransientAnswerForThePreviousTokenLeavesTheQuestionOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		record := token.Record{Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)}
		record.Previous = &token.Previous{Refresh: token.NewSecret("refresh-before")}
		shelf.put(record)
		c := &chain{t: t, shelf: shelf, life: time.Hour, answer: func(n int, r string) error {
			switch {
			case r == "refresh-0":
				return errDead
			case n == 2:
				return transient()
			}
			return nil
		}}
		if got := access(t, sourceOn(shelf, c)); got != "access-4" {
			t.Error(got)
		}
	})
}

func TestLoginElsewhereIsNoticedWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, 2*time.Hour)
		c.answer = func(int, string) error { return errDead }
		run(t, s)
		time.Sleep(10 * time.Minute)
		shelf.put(token.Record{Current: pair(100, time.Now(), time.Hour)})
		time.Sleep(pollEvery + time.Second)
		if st := s.Status(); st.Reauthorize || !st.Usable || st.Err != nil {
			t.Errorf("status %+v", st)
		}
		if got := access(t, s); got != "access-100" {
			t.Error(got)
		}
	})
}

func TestNothingStoredAsksForALoginAndPicksItUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		s := sourceOn(shelf, &chain{t: t, shelf: shelf, life: time.Hour})
		run(t, s)
		if _, err := s.Token(t.Context()); !errors.Is(err, token.ErrReauthorize) {
			t.Fatal(err)
		}
		shelf.put(token.Record{Current: pair(7, time.Now(), time.Hour)})
		time.Sleep(pollEvery + time.Second)
		if got := access(t, s); got != "access-7" {
			t.Error(got)
		}
	})
}

func TestPairThatCannotBeWrittenIsServedAndNotRenewedBeforeItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, 50*time.Minute)
		c.answer = func(int, string) error {
			shelf.breakSwaps(errors.New("disk full")) // between the note and the answer
			return nil
		}
		run(t, s)
		time.Sleep(time.Second)
		if got := access(t, s); got != "access-1" {
			t.Fatal(got)
		}
		if s.Status().Unsaved == nil {
			t.Error("nobody is told")
		}
		time.Sleep(3 * time.Hour)
		if n := len(c.calls()); n != 1 {
			t.Errorf("%d refreshes although the first could not be written", n)
		}
		if r := shelf.stored(); r.Current.Refresh.Reveal() != "refresh-0" {
			t.Errorf("stored %s", r.Current.Refresh.Reveal())
		}
		shelf.breakSwaps(nil)
		c.mu.Lock()
		c.answer = nil
		c.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if st := s.Status(); st.Unsaved != nil || !st.Usable {
			t.Errorf("status %+v", st)
		}
		if got := fmt.Sprint(c.calls()); got != "[refresh-0 refresh-1]" {
			t.Errorf("sent %s", got)
		}
	})
}

func TestNoteThatCannotBeWrittenDelaysTheRefreshOnlyWhileThereIsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, 50*time.Minute)
		shelf.breakSwaps(errors.New("read-only"))
		run(t, s)
		time.Sleep(9 * time.Minute)
		if n := len(c.calls()); n != 0 {
			t.Errorf("%d refreshes while there was time", n)
		}
		time.Sleep(2*time.Minute + 5*time.Second)
		if n := len(c.calls()); n != 1 {
			t.Errorf("%d refreshes after the token ended, want 1", n)
		}
		if got := access(t, s); got != "access-1" {
			t.Error(got)
		}
	})
}

func TestGrantOfAnotherAppIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{ClientID: "theirs", Current: pair(0, time.Now(), time.Hour)})
		shop, _ := token.ParseShop("blue-finch")
		s := New(Options{Shop: shop, Obtainer: Rotating(&chain{t: t, shelf: shelf}, shelf, "ours"), Log: slog.New(slog.DiscardHandler)})
		if _, err := s.Token(t.Context()); !errors.Is(err, token.ErrConfig) {
			t.Errorf("%v", err)
		}
	})
}

func TestTokenFromTheFutureIsNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c := offlineSource(t, -24*time.Hour)
		if got := access(t, s); got != "access-1" || len(c.calls()) != 1 {
			t.Errorf("%s: the age of a token from tomorrow is not known", got)
		}
	})
}

func TestKeptTokenSparesAMinuteByMinuteJobItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, shelf := newEndpoint(t, 24*time.Hour), newShelf()
		shop, _ := token.ParseShop("blue-finch")
		for range 60 {
			s := New(Options{Shop: shop, Obtainer: Cached(e, shelf, ""), Log: slog.New(slog.DiscardHandler)})
			use(t, s, e)
			time.Sleep(time.Minute)
		}
		if n := e.count(); n != 1 {
			t.Errorf("%d tokens for an hour of jobs, want 1", n)
		}
	})
}

func TestKeptTokenNeverDisplacesAnOfflineGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, shelf := newEndpoint(t, 24*time.Hour), newShelf()
		shelf.put(token.Record{Grant: "offline", Current: pair(0, time.Now(), time.Hour)})
		shop, _ := token.ParseShop("blue-finch")
		s := New(Options{Shop: shop, Obtainer: Cached(e, shelf, ""), Log: slog.New(slog.DiscardHandler)})
		use(t, s, e)
		if r := shelf.stored(); r.Grant != "offline" || r.Current.Refresh.Reveal() != "refresh-0" {
			t.Errorf("stored %+v", r)
		}
	})
}

func TestPermanentTokenThatIsRefusedStaysAndIsCalledUnusable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop, _ := token.ParseShop("blue-finch")
		file := &changing{value: "shpat_one"}
		s := New(Options{Shop: shop, Obtainer: Polled(file), Log: slog.New(slog.DiscardHandler)})
		run(t, s)
		for i := range 3 {
			tok, err := s.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Replace(t.Context(), tok); !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
			if usable := s.Status().Usable; usable != (i == 0) {
				t.Errorf("usable %v after %d refusals", usable, i+1)
			}
		}
		tok, _ := s.Token(t.Context())
		s.Accepted(tok)
		if !s.Status().Usable {
			t.Error("not usable although Shopify takes it again")
		}
		file.set("shpat_two")
		time.Sleep(pollEvery + time.Second)
		if got := access(t, s); got != "shpat_two" {
			t.Errorf("%s: the change of the file was not noticed", got)
		}
	})
}

func TestPermanentTokenIsCalledUnusableHoweverSeldomItIsUsed(t *testing.T) {
	for _, pause := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop, _ := token.ParseShop("blue-finch")
				s := New(Options{Shop: shop, Obtainer: Polled(&changing{value: "shpat_one"}), Log: slog.New(slog.DiscardHandler)})
				run(t, s)
				for i := range 30 {
					tok, err := s.Token(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					_, _ = s.Replace(t.Context(), tok)
					if usable := s.Status().Usable; usable != (i == 0) {
						t.Fatalf("usable %v after %d refusals", usable, i+1)
					}
					time.Sleep(pause)
				}
			})
		})
	}
}

func TestStoreThatHangsDoesNotEndRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, 10*time.Minute)
		s.obtainer.(rotating).persister.store = hanging{shelf}
		run(t, s)
		time.Sleep(5 * time.Hour)
		if n := len(c.calls()); n < 4 {
			t.Errorf("%d refreshes in five hours", n)
		}
		access(t, s)
	})
}

// hanging is a store that never says whether it has changed.
type hanging struct{ *shelf }

func (hanging) Changed(ctx context.Context, _ token.Handle) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// changing is a permanent token in a file.
type changing struct {
	mu    sync.Mutex
	value string
}

func (*changing) Name() string { return "static" }

func (c *changing) set(v string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = v
}

func (c *changing) Grant(context.Context) (token.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return token.Token{Access: token.NewSecret(c.value), Issued: time.Now()}, nil
}

// Ten requests in ten seconds rotate a chain once; without a chain nothing is retired.
func TestAPersonDoesNotRotateAChainAgainAndAgain(t *testing.T) {
	for life, pause := range map[time.Duration]time.Duration{time.Hour: 30 * time.Second, 10 * time.Minute: 30 * time.Second, time.Minute: 3 * time.Second, 8 * time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			shelf := newShelf()
			shelf.put(token.Record{Current: pair(0, time.Now().Round(0), life)})
			c := &chain{t: t, shelf: shelf, life: life}
			s := sourceOn(shelf, c)
			if err := s.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause - 1)
			if err := s.Refresh(t.Context()); !errors.Is(err, ErrTooSoon) || len(c.calls()) != 1 {
				t.Errorf("life %s, just before %s: %v, %d rotations", life, pause, err, len(c.calls()))
			}
			time.Sleep(time.Second + 1)
			if err := s.Refresh(t.Context()); err != nil || len(c.calls()) != 2 {
				t.Errorf("life %s, after %s: %v, %d rotations", life, pause, err, len(c.calls()))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s, _, c := offlineSource(t, 0)
		for range 10 {
			_ = s.Refresh(t.Context())
			time.Sleep(time.Second)
		}
		if n := len(c.calls()); n != 1 {
			t.Errorf("%d rotations in ten seconds", n)
		}
	})
}

// An attempt that failed has rotated nothing, so the next may follow at once.
func TestAPersonMayAskAgainAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c := offlineSource(t, 0)
		c.answer = func(n int, _ string) error {
			if n == 1 {
				return fmt.Errorf("502: %w", token.ErrTransient)
			}
			return nil
		}
		if err := s.Refresh(t.Context()); err == nil {
			t.Fatal("it did not fail")
		}
		time.Sleep(time.Second)
		if err := s.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

package refresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// endpoint is a token endpoint with teeth: it fails the test when two grants overlap.
type endpoint struct {
	t     *testing.T
	life  time.Duration
	delay time.Duration

	mu     sync.Mutex
	fail   func() error // nil: success
	active int
	calls  int
	minted map[string]time.Time // access token → expiry
}

func (*endpoint) Name() string { return "client_credentials" }

func (e *endpoint) Grant(context.Context) (token.Token, error) {
	e.enter()
	defer e.leave()
	issued := time.Now()
	time.Sleep(e.delay) // fake time: this is the answer's way
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		if err := e.fail(); err != nil {
			return token.Token{}, err
		}
	}
	access := fmt.Sprintf("token-%d", len(e.minted)+1)
	e.minted[access] = issued.Add(e.life)
	return token.Token{Access: token.NewSecret(access), Issued: issued, Life: e.life}, nil
}

func (e *endpoint) enter() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	if e.active++; e.active > 1 {
		e.t.Errorf("%d grants in flight at once", e.active)
	}
}

func (e *endpoint) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active--
}

// failWith sets how the next grants fail; nil for success.
func (e *endpoint) failWith(fail func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = fail
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

// busy reports whether it is being asked.
func (e *endpoint) busy() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.active > 0
}

// alive reports whether the endpoint would still accept the token.
func (e *endpoint) alive(tok token.Token) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Now().Before(e.minted[tok.Access.Reveal()])
}

func newEndpoint(t *testing.T, life time.Duration) *endpoint {
	return &endpoint{t: t, life: life, delay: 200 * time.Millisecond, minted: map[string]time.Time{}}
}

func newSource(e *endpoint) *Source {
	shop, _ := token.ParseShop("blue-finch")
	return New(Options{Shop: shop, Obtainer: Direct(e), Log: slog.New(slog.DiscardHandler)})
}

// run starts the background loop for the rest of the bubble.
func run(t *testing.T, s *Source) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// use asks for a token and fails the test unless it is one the endpoint would accept.
func use(t *testing.T, s *Source, e *endpoint) token.Token {
	t.Helper()
	tok, err := s.Token(t.Context())
	if err != nil {
		t.Fatalf("at %s: %v", time.Now().Format(time.DateTime), err)
	}
	if !e.alive(tok) {
		t.Fatalf("at %s: handed out an expired token", time.Now().Format(time.DateTime))
	}
	return tok
}

func transient() error { return fmt.Errorf("no route: %w", token.ErrTransient) }

func TestThousandCallersAtAColdStartMakeOnePost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, 24*time.Hour)
		s := newSource(e)
		run(t, s)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { use(t, s, e) })
		}
		wg.Wait()
		if got := e.count(); got != 1 {
			t.Errorf("%d POSTs, want 1", got)
		}
	})
}

func TestThirtyDaysOfDayTokensNeverMissABeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, 86399*time.Second)
		s := newSource(e)
		run(t, s)
		for range 30 * 24 * 6 {
			began := time.Now()
			use(t, s, e)
			if waited := time.Since(began); waited > 0 && e.count() > 1 {
				t.Fatalf("a caller waited %v for a renewal", waited)
			}
			time.Sleep(10 * time.Minute)
		}
		// 30 days at 70 to 80 % of a day each are 37.5 to 43 tokens.
		if got := e.count(); got < 37 || got > 44 {
			t.Errorf("%d tokens in 30 days", got)
		}
	})
}

func TestIdleSourceRenewsWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		s := newSource(e)
		run(t, s)
		time.Sleep(24 * time.Hour)
		if got := e.count(); got < 29 || got > 36 {
			t.Errorf("%d tokens of an hour in a day without a single request", got)
		}
	})
}

func TestOutageOfTheTokenEndpoint(t *testing.T) {
	for _, outage := range []time.Duration{time.Hour, 4 * time.Hour, 12 * time.Hour} {
		t.Run(outage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { outageOf(t, outage) })
		})
	}
}

// outageOf lets the endpoint fail from the moment of the first renewal on. A 24-hour
// token has at least 4.8 hours left then, so shorter outages must not be felt at all.
func outageOf(t *testing.T, outage time.Duration) {
	e := newEndpoint(t, 86399*time.Second)
	s := newSource(e)
	run(t, s)
	use(t, s, e)
	time.Sleep(time.Until(s.Status().Renews) - time.Second)
	e.failWith(transient)
	began, failed, before := time.Now(), 0, e.count()
	for time.Since(began) < outage {
		tok, err := s.Token(t.Context())
		var unavailable *token.UnavailableError
		switch {
		case err == nil && !e.alive(tok):
			t.Fatal("handed out an expired token")
		case err != nil && !errors.As(err, &unavailable):
			t.Fatalf("error %T %v", err, err)
		case err != nil:
			failed++
		}
		time.Sleep(time.Minute)
	}
	if outage <= 4*time.Hour && failed > 0 {
		t.Errorf("%d requests failed in an outage that the token outlives", failed)
	}
	if outage == 12*time.Hour && failed == 0 {
		t.Error("no request failed in an outage longer than the token's life: the test tests nothing")
	}
	if posts := e.count() - before; posts > int(outage/time.Second)/20 {
		t.Errorf("%d POSTs during an outage of %v: that is hammering", posts, outage)
	}
	e.failWith(nil)
	time.Sleep(61 * time.Second) // the longest back-off
	use(t, s, e)
}

func TestLaptopAsleepForThreeDaysRefreshesOnceCalmly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, 86399*time.Second)
		s := newSource(e)
		var step atomic.Int64
		s.ahead = func() time.Duration { return time.Duration(step.Load()) }
		run(t, s)
		use(t, s, e)
		step.Store(int64(72 * time.Hour)) // the wall clock went on, the monotonic one and all timers stood still
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { use(t, s, e) })
		}
		wg.Wait()
		time.Sleep(time.Hour)
		if got := e.count(); got != 2 {
			t.Errorf("%d POSTs, want the first and one after the sleep", got)
		}
	})
}

func TestSleepIsNoticedWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, 86399*time.Second)
		s := newSource(e)
		var step atomic.Int64
		s.ahead = func() time.Duration { return time.Duration(step.Load()) }
		run(t, s)
		use(t, s, e)
		step.Store(int64(72 * time.Hour))
		time.Sleep(lookAgain + time.Second)
		if got := e.count(); got != 2 {
			t.Errorf("%d POSTs a minute after waking up, want 2", got)
		}
	})
}

func TestWallClockStepsCostAtMostOneRefresh(t *testing.T) {
	for _, by := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEndpoint(t, 86399*time.Second)
				s := newSource(e)
				var step atomic.Int64
				s.ahead = func() time.Duration { return time.Duration(step.Load()) }
				run(t, s)
				use(t, s, e)
				time.Sleep(time.Hour)
				step.Store(int64(by))
				for range 10 * 60 {
					use(t, s, e)
					time.Sleep(time.Minute)
				}
				if got := e.count(); got > 2 {
					t.Errorf("%d POSTs in the ten hours after the step", got)
				}
				for range 48 * 60 { // and everything goes on
					use(t, s, e)
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

func TestCallersDeadlineBoundsItsWaitingNotTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		e.delay = 3 * time.Second
		s := newSource(e)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, want the caller's own deadline", err)
		}
		time.Sleep(3 * time.Second)
		use(t, s, e)
		if got := e.count(); got != 1 {
			t.Errorf("%d POSTs, want the one that the caller left behind", got)
		}
	})
}

func TestHiccupAtTheStartIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		failures := 0
		e.failWith(func() error {
			if failures++; failures == 1 {
				return transient()
			}
			return nil
		})
		s := newSource(e)
		use(t, s, e)
	})
}

func TestConfigurationErrorFailsAtOnceWithTheTimeOfTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		e.failWith(func() error { return fmt.Errorf("wrong secret: %w", token.ErrConfig) })
		s := newSource(e)
		run(t, s)
		for range 100 {
			began := time.Now()
			_, err := s.Token(t.Context())
			var unavailable *token.UnavailableError
			if !errors.As(err, &unavailable) || !errors.Is(err, token.ErrConfig) {
				t.Fatalf("%v", err)
			}
			if waited := time.Since(began); waited > time.Second {
				t.Fatalf("waited %v although nothing could change", waited)
			}
			if unavailable.RetryAfter <= 0 || unavailable.RetryAfter > configMax {
				t.Fatalf("RetryAfter %v", unavailable.RetryAfter)
			}
		}
		if got := e.count(); got != 1 {
			t.Errorf("%d POSTs while the back-off lasts, want 1", got)
		}
	})
}

func TestFailureNeverDisplacesAUsableToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		s := newSource(e)
		run(t, s)
		first := use(t, s, e)
		e.failWith(func() error { return fmt.Errorf("gone: %w", token.ErrReauthorize) })
		time.Sleep(59 * time.Minute)
		if got := use(t, s, e); !got.Access.Equal(first.Access) {
			t.Error("another token than the one that lives")
		}
		if st := s.Status(); st.Err == nil || st.State != "stale" || !st.Usable {
			t.Errorf("status %+v", st)
		}
	})
}

func TestTokenThatIsOverBeforeItArrivesDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Second)
		e.delay = 2 * time.Second
		s := newSource(e)
		run(t, s)
		time.Sleep(time.Minute)
		if got := e.count(); got > 25 {
			t.Errorf("%d POSTs in a minute", got)
		}
		if _, err := s.Token(t.Context()); err == nil {
			t.Error("an expired token was handed out")
		}
	})
}

func TestStopWaitsForTheGrantInFlightAndMakesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		e.delay = 10 * time.Second
		s := newSource(e)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		time.Sleep(time.Second)
		cancel()
		<-done
		if st := s.Status(); !st.Usable {
			t.Error("what the grant in flight brought was thrown away")
		}
		if err := s.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		if got := e.count(); got != 1 {
			t.Errorf("%d grants, want none after the stop", got)
		}
	})
}

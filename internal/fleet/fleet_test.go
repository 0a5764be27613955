package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// fake is a Member with a token that lives for an hour and is renewed at 70 to 80 % of that.
type fake struct {
	mu      sync.Mutex
	life    time.Duration
	issued  time.Time
	renewAt time.Time
	unsaved bool
	// looksOnly says that what is due is something else than a renewal.
	looksOnly bool

	looks, steps, stops atomic.Int32
	expired             func() // nil: it does not matter
	stepped             func()
}

func newFake(life time.Duration) *fake {
	m := &fake{life: life}
	m.obtain()
	return m
}

func (m *fake) obtain() {
	m.issued = time.Now()
	m.renewAt = m.issued.Add(time.Duration(float64(m.life) * (0.7 + 0.1*rand.Float64())))
}

func (m *fake) Due() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return min(time.Until(m.renewAt), time.Minute)
}

func (m *fake) Step(context.Context) {
	m.mu.Lock()
	if time.Since(m.issued) >= m.life && m.expired != nil {
		m.expired()
	}
	if m.unsaved {
		m.unsaved = false
	} else {
		m.obtain()
	}
	m.mu.Unlock()
	m.steps.Add(1)
	if m.stepped != nil {
		m.stepped()
	}
}

func (m *fake) Look(context.Context) { m.looks.Add(1) }
func (m *fake) Stop()                { m.stops.Add(1) }

func (m *fake) Rest() (left, life time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(0, m.life-time.Since(m.issued)), m.life
}

func (m *fake) Renews() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.looksOnly
}

func (m *fake) MayForget() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.unsaved
}

func shopNo(t testing.TB, n int) token.Shop {
	t.Helper()
	shop, err := token.ParseShop(fmt.Sprintf("shop-%d", n))
	if err != nil {
		t.Fatal(err)
	}
	return shop
}

// newFleet returns a running Fleet whose Members live for an hour each; end stops it.
func newFleet(o Options[*fake]) (f *Fleet[*fake], end func()) {
	if o.Make == nil {
		o.Make = func(context.Context, token.Shop, func()) (*fake, error) { return newFake(time.Hour), nil }
	}
	if o.Most == 0 {
		o.Most = 1 << 20
	}
	f = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { f.Run(ctx); close(done) }()
	return f, func() { cancel(); <-done }
}

func of(t testing.TB, f *Fleet[*fake], n int) *fake {
	t.Helper()
	m, err := f.Of(t.Context(), shopNo(t, n))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAShopIsMadeOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		f, end := newFleet(Options[*fake]{Make: func(context.Context, token.Shop, func()) (*fake, error) {
			time.Sleep(time.Second) // in the bubble: a store that takes its time
			made.Add(1)
			return newFake(time.Hour), nil
		}})
		defer end()
		members := make([]*fake, 100)
		var all sync.WaitGroup
		for i := range members {
			all.Go(func() { members[i] = of(t, f, 1) })
		}
		all.Wait()
		if made.Load() != 1 || slices.ContainsFunc(members, func(m *fake) bool { return m != members[0] }) {
			t.Errorf("made %d times", made.Load())
		}
	})
}

func TestWhoeverLeavesLeavesTheOthersTheirShop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, end := newFleet(Options[*fake]{Make: func(ctx context.Context, _ token.Shop, _ func()) (*fake, error) {
			select {
			case <-time.After(time.Second):
				return newFake(time.Hour), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}})
		defer end()
		impatient, cancel := context.WithCancelCause(t.Context())
		left := errors.New("left")
		go func() {
			time.Sleep(time.Millisecond)
			cancel(left)
		}()
		if _, err := f.Of(impatient, shopNo(t, 1)); !errors.Is(err, left) {
			t.Errorf("who left got %v", err)
		}
		of(t, f, 1)
	})
}

func TestTheShopThatWasNotCalledForLongestMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, end := newFleet(Options[*fake]{Most: 3})
		defer end()
		for n := range 3 {
			of(t, f, n)
			time.Sleep(2 * touchEvery)
		}
		of(t, f, 0) // so that 1 is the oldest
		time.Sleep(2 * touchEvery)
		unsaved := of(t, f, 1)
		unsaved.mu.Lock()
		unsaved.unsaved = true
		unsaved.mu.Unlock()
		time.Sleep(2 * touchEvery)
		of(t, f, 0)
		time.Sleep(2 * touchEvery)
		of(t, f, 3) // 2 goes
		if _, there := f.Peek(shopNo(t, 2)); there || f.Len() != 3 {
			t.Errorf("2 is there: %t, of %d", there, f.Len())
		}
		time.Sleep(2 * touchEvery)
		of(t, f, 4) // 1 would go, and has something to lose
		if _, there := f.Peek(shopNo(t, 1)); !there {
			t.Error("a shop with something unsaved was forgotten")
		}
	})
}

func TestAShopThatNobodyCallsIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept := newFake(time.Hour)
		f, end := newFleet(Options[*fake]{
			Make: func(_ context.Context, shop token.Shop, _ func()) (*fake, error) {
				if shop == shopNo(t, 2) {
					return kept, nil
				}
				return newFake(time.Hour), nil
			},
			Idle: func(m *fake) bool { return m != kept },
		})
		defer end()
		m := of(t, f, 1)
		of(t, f, 2)
		time.Sleep(30 * time.Minute)
		of(t, f, 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		if m.steps.Load() != 1 {
			t.Errorf("called, and renewed %d times", m.steps.Load())
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if m.steps.Load() != 1 {
			t.Errorf("not called for a day, and renewed %d times", m.steps.Load())
		}
		if n := kept.steps.Load(); n < 24 || n > 40 {
			t.Errorf("one that is to be kept was renewed %d times in a day", n)
		}
		of(t, f, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if m.steps.Load() != 2 {
			t.Errorf("called again, and renewed %d times", m.steps.Load())
		}
	})
}

// Shops that are first called in the same moment are renewed one after the other soon, and never too late.
func TestRenewalsAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const shops = 1000
		began := time.Now()
		perMinute := make([]int, 12*60)
		var mu sync.Mutex
		f, end := newFleet(Options[*fake]{Idle: func(*fake) bool { return false }, Make: func(context.Context, token.Shop, func()) (*fake, error) {
			m := newFake(time.Hour)
			m.expired = func() { t.Error("a token ended before it was renewed") }
			m.stepped = func() {
				mu.Lock()
				defer mu.Unlock()
				if minute := int(time.Since(began) / time.Minute); minute < len(perMinute) {
					perMinute[minute]++
				}
			}
			return m, nil
		}})
		for n := range shops {
			of(t, f, n)
		}
		time.Sleep(time.Duration(len(perMinute)) * time.Minute)
		end()
		for hour := 5; hour < 12; hour++ {
			sum, peak := 0, 0
			for five := range 12 {
				n := 0
				for minute := range 5 {
					n += perMinute[60*hour+5*five+minute]
				}
				sum, peak = sum+n, max(peak, n)
			}
			if mean := float64(sum) / 12; float64(peak) > 1.3*mean {
				t.Errorf("hour %d: %d renewals in five minutes, %.0f in the mean", hour, peak, mean)
			}
		}
	})
}

func TestNeverMoreRenewalsThanAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		perSecond := map[int64]int{}
		var mu sync.Mutex
		f, end := newFleet(Options[*fake]{PerSecond: 5, Make: func(context.Context, token.Shop, func()) (*fake, error) {
			m := newFake(time.Hour)
			m.renewAt, m.issued = time.Now(), time.Now().Add(-2*time.Hour) // it has ended: nothing is more urgent
			m.stepped = func() {
				mu.Lock()
				defer mu.Unlock()
				perSecond[time.Now().Unix()]++
			}
			return m, nil
		}})
		defer end()
		for n := range 100 {
			of(t, f, n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		total := 0
		for second, n := range perSecond {
			total += n
			if n > 10 {
				t.Errorf("%d in second %d", n, second)
			}
		}
		if total != 100 {
			t.Errorf("%d of 100 were renewed", total)
		}
	})
}

func TestAShopThatIsNoneIsNotLookedForAgainAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		var known atomic.Bool
		f, end := newFleet(Options[*fake]{Make: func(context.Context, token.Shop, func()) (*fake, error) {
			asked.Add(1)
			if !known.Load() {
				return nil, ErrUnknown
			}
			return newFake(time.Hour), nil
		}})
		defer end()
		for range 10 {
			if _, err := f.Of(t.Context(), shopNo(t, 1)); !errors.Is(err, ErrUnknown) {
				t.Fatal(err)
			}
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
		known.Store(true)
		f.Changed(shopNo(t, 1).Domain()) // a merchant has logged in
		of(t, f, 1)
	})
}

func TestWhatOthersHaveStoredIsLookedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, end := newFleet(Options[*fake]{})
		defer end()
		a, b := of(t, f, 1), of(t, f, 2)
		f.Changed(shopNo(t, 1).Domain())
		f.Changed("not a shop")
		f.Changed(shopNo(t, 3).Domain())
		synctest.Wait()
		if a.looks.Load() != 1 || b.looks.Load() != 0 {
			t.Errorf("looked %d and %d times", a.looks.Load(), b.looks.Load())
		}
		f.Changed("")
		time.Sleep(time.Second)
		if a.looks.Load() != 2 || b.looks.Load() != 1 {
			t.Errorf("looked %d and %d times", a.looks.Load(), b.looks.Load())
		}
	})
}

// What was forgotten with something unsaved is looked after until it is saved.
func TestWhatIsForgottenSavesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, end := newFleet(Options[*fake]{})
		a, b := of(t, f, 1), of(t, f, 2)
		a.mu.Lock()
		a.unsaved, a.renewAt = true, time.Now().Add(3*time.Second)
		a.mu.Unlock()
		f.Forget(func(m *fake) bool { return m == a })
		if again := of(t, f, 1); again == a {
			t.Error("it was not forgotten")
		}
		time.Sleep(10 * time.Second)
		if a.steps.Load() != 1 || !a.MayForget() {
			t.Errorf("%d steps, and saved: %t", a.steps.Load(), a.MayForget())
		}
		time.Sleep(24 * time.Hour)
		if a.steps.Load() != 1 {
			t.Errorf("it goes on: %d steps", a.steps.Load())
		}
		end()
		if a.stops.Load() != 0 || b.stops.Load() != 1 {
			t.Errorf("stopped %d and %d times", a.stops.Load(), b.stops.Load())
		}
	})
}

func TestACallForAShopThatIsHereAllocatesNothing(t *testing.T) {
	f, end := newFleet(Options[*fake]{})
	defer end()
	ctx, shop := t.Context(), shopNo(t, 1)
	of(t, f, 1)
	if n := testing.AllocsPerRun(1000, func() { _, _ = f.Of(ctx, shop) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// settings are what a Member is made of in the tests below, as a file that changes.
type settings struct {
	mu  sync.Mutex
	now string
	of  map[*fake]string
}

func (s *settings) set(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = text
}

func (s *settings) madeOf(m *fake) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[m]
}

func TestWhatChangesWhileAShopIsMadeIsInIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &settings{now: "old", of: map[*fake]string{}}
		f, end := newFleet(Options[*fake]{Make: func(context.Context, token.Shop, func()) (*fake, error) {
			s.mu.Lock()
			read := s.now
			s.mu.Unlock()
			time.Sleep(time.Second) // as a store may take
			m := newFake(time.Hour)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.of[m] = read
			return m, nil
		}})
		defer end()
		go func() {
			time.Sleep(500 * time.Millisecond)
			s.set("new")
			f.Forget(func(m *fake) bool { return s.madeOf(m) != "new" })
		}()
		if m := of(t, f, 1); s.madeOf(m) != "new" {
			t.Error("it is made of the old settings")
		}
	})
}

func TestALoginWhileAShopIsLookedForIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var known atomic.Bool
		f, end := newFleet(Options[*fake]{Make: func(context.Context, token.Shop, func()) (*fake, error) {
			found := known.Load()
			time.Sleep(time.Second)
			if !found {
				return nil, ErrUnknown
			}
			return newFake(time.Hour), nil
		}})
		defer end()
		go func() {
			time.Sleep(500 * time.Millisecond)
			known.Store(true)
			f.Changed(shopNo(t, 1).Domain())
		}()
		_, _ = f.Of(t.Context(), shopNo(t, 1)) // which was too early
		of(t, f, 1)
	})
}

// A request may hold a Member that has been forgotten, and obtain something with it.
func TestWhatARequestObtainsWithAForgottenShopIsSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var woke func()
		f, end := newFleet(Options[*fake]{Make: func(_ context.Context, _ token.Shop, w func()) (*fake, error) {
			woke = w
			return newFake(time.Hour), nil
		}})
		defer end()
		a := of(t, f, 1)
		f.Forget(func(*fake) bool { return true })
		a.mu.Lock()
		a.unsaved, a.renewAt = true, time.Now()
		a.mu.Unlock()
		woke()
		time.Sleep(time.Minute)
		if !a.MayForget() {
			t.Error("what was obtained is not saved")
		}
	})
}

func TestAForgottenShopIsNotRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, end := newFleet(Options[*fake]{Idle: func(*fake) bool { return false }})
		defer end()
		a := of(t, f, 1)
		a.mu.Lock()
		a.unsaved = true // as while a flight is under way
		a.mu.Unlock()
		f.Forget(func(*fake) bool { return true })
		time.Sleep(time.Second)
		a.mu.Lock()
		a.unsaved = false
		a.mu.Unlock()
		time.Sleep(24 * time.Hour)
		if n := a.steps.Load(); n > 0 {
			t.Errorf("it was renewed %d times", n)
		}
	})
}

// What is due and is no renewal takes no turn of those that are.
func TestOnlyRenewalsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, end := newFleet(Options[*fake]{PerSecond: 1, Idle: func(*fake) bool { return false }, Make: func(context.Context, token.Shop, func()) (*fake, error) {
			m := newFake(time.Hour)
			m.looksOnly, m.renewAt = true, time.Now()
			return m, nil
		}})
		defer end()
		for n := range 50 {
			of(t, f, n)
		}
		time.Sleep(time.Second)
		for _, m := range f.Active {
			if m.steps.Load() == 0 {
				t.Error("one has to wait")
			}
		}
	})
}

func TestWhatOthersStoreWhileAShopIsMadeIsLookedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, end := newFleet(Options[*fake]{Make: func(context.Context, token.Shop, func()) (*fake, error) {
			time.Sleep(time.Second) // after the store was read
			return newFake(time.Hour), nil
		}})
		defer end()
		for n, domain := range []string{shopNo(t, 0).Domain(), "", shopNo(t, 99).Domain()} {
			go func() {
				time.Sleep(500 * time.Millisecond)
				f.Changed(domain)
			}()
			m := of(t, f, n)
			time.Sleep(time.Second)
			want := int32(1)
			if n == 2 {
				want = 0 // it was another shop's
			}
			if m.looks.Load() != want {
				t.Errorf("%q: looked %d times", domain, m.looks.Load())
			}
		}
		if n := len(f.unborn); n > 0 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// What a Member that makes room knows is there before the next one is made; what is made anew because of a change begins afresh.
func TestWhoMakesRoomIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []token.Shop
		f := New(Options[*fake]{
			Most: 1, Evicted: func(shop token.Shop, _ *fake) { told = append(told, shop) },
			Make: func(context.Context, token.Shop, func()) (*fake, error) { return newFake(time.Hour), nil },
		})
		of(t, f, 0)
		of(t, f, 1)
		f.Forget(func(*fake) bool { return true })
		of(t, f, 2)
		if len(told) != 1 || told[0] != shopNo(t, 0) {
			t.Errorf("told of %v", told)
		}
	})
}

// TestWhoseMakingIsOvertakenIsTold has another shop be forgotten meanwhile, twice.
func TestWhoseMakingIsOvertakenIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f *Fleet[*fake]
		var made, told []*fake
		f, end := newFleet(Options[*fake]{
			Make: func(context.Context, token.Shop, func()) (*fake, error) {
				if len(told) < len(made) {
					t.Error("it is made anew before anybody is told")
				}
				if made = append(made, newFake(time.Hour)); len(made) < 3 {
					f.Forget(func(*fake) bool { return false })
				}
				return made[len(made)-1], nil
			},
			Evicted: func(_ token.Shop, m *fake) { told = append(told, m) },
		})
		defer end()
		if m := of(t, f, 1); len(made) != 3 || m != made[2] || !slices.Equal(told, made[:2]) {
			t.Errorf("%d made, told of %d", len(made), len(told))
		}
	})
}

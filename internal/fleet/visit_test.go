package fleet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// Renewals of what nobody calls take no place of those who are called, however many they are.
func TestAVisitTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var evicted, made atomic.Int32
		f, end := newFleet(Options[*fake]{
			Most: 3, Evicted: func(token.Shop, *fake) { evicted.Add(1) },
			Make: func(context.Context, token.Shop, func()) (*fake, error) { made.Add(1); return newFake(time.Hour), nil },
		})
		defer end()
		for n := range 3 {
			of(t, f, n)
		}
		before := made.Load()
		for n := range 200 {
			err := f.Visit(t.Context(), shopNo(t, n), func(m *fake) {
				time.Sleep(time.Second) // so that it is known who was called when
				m.Step(t.Context())
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for n := range 3 {
			if _, there := f.Peek(shopNo(t, n)); !there {
				t.Errorf("%d was called, and had to go", n)
			}
		}
		if f.Len() != 3 || made.Load()-before != 197 || len(f.visited) != 0 || len(f.due) > 3 {
			t.Errorf("%d are here, %d were made, %d visited, %d in the schedule", f.Len(), made.Load()-before, len(f.visited), len(f.due))
		}
		// A visit is no call: the one that was called first is still the one to go.
		_ = f.Visit(t.Context(), shopNo(t, 0), func(*fake) {})
		of(t, f, 7)
		if _, there := f.Peek(shopNo(t, 0)); there {
			t.Error("the visit counts as a call")
		}
	})
}

func TestWhoIsCalledDuringAVisitStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, end := newFleet(Options[*fake]{Most: 1})
		defer end()
		of(t, f, 1)
		var called, visited *fake
		if err := f.Visit(t.Context(), shopNo(t, 2), func(m *fake) { visited, called = m, of(t, f, 2) }); err != nil {
			t.Fatal(err)
		}
		if m, there := f.Peek(shopNo(t, 2)); !there || m != called || m != visited || f.Len() != 1 {
			t.Errorf("there: %t, the same: %t, of %d", there, called == visited, f.Len())
		}
		if _, there := f.Peek(shopNo(t, 1)); there {
			t.Error("there is one place, and two are here")
		}
		time.Sleep(time.Hour)
		if visited.steps.Load() == 0 {
			t.Error("it was called, and is not renewed")
		}
	})
}

// What a visit has obtained is kept until it is stored, and too much of that ends the visits.
func TestAVisitLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := New(Options[*fake]{Most: 1, Make: func(context.Context, token.Shop, func()) (*fake, error) { return newFake(time.Hour), nil }})
		var kept []*fake
		lose := func(m *fake) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.unsaved, m.renewAt = true, time.Now()
			kept = append(kept, m)
		}
		n := 0
		for ; n < 2*mostVisited; n++ {
			if err := f.Visit(t.Context(), shopNo(t, n), lose); errors.Is(err, ErrFull) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if n != mostVisited {
			t.Errorf("%d have something to lose", n)
		}
		if m := of(t, f, 5); m != kept[5] {
			t.Error("there are two of one shop, and one has what is not stored")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()
		time.Sleep(time.Minute)
		for i, m := range kept {
			if !m.MayForget() {
				t.Fatalf("%d is not saved", i)
			}
		}
		if len(f.visited) != 0 || f.Len() != 1 {
			t.Errorf("%d visited are left, and %d", len(f.visited), f.Len())
		}
		cancel()
		<-done
	})
}

func TestVisitsAndCallsAndEvictionsTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, end := newFleet(Options[*fake]{Most: 4, Make: func(context.Context, token.Shop, func()) (*fake, error) {
			time.Sleep(time.Millisecond)
			return newFake(time.Hour), nil
		}})
		defer end()
		var all sync.WaitGroup
		for w := range 8 {
			all.Go(func() {
				for i := range 400 {
					shop := shopNo(t, (i*7+w*13)%23)
					switch (i + w) % 5 {
					case 0, 1:
						_, _ = f.Of(t.Context(), shop)
					case 2, 3:
						_ = f.Visit(t.Context(), shop, func(m *fake) { time.Sleep(time.Millisecond); m.Step(t.Context()) })
					case 4:
						f.Changed(shop.Domain())
						f.Forget(func(m *fake) bool { return m.steps.Load()%3 == 1 })
					}
				}
			})
		}
		all.Wait()
		time.Sleep(3 * time.Hour)
		members := 0
		for range f.Active {
			members++
		}
		if members != f.Len() || members > 4 || len(f.visited) != 0 || len(f.leaving) != 0 || len(f.due) > members || len(f.unborn) != 0 {
			t.Errorf("%d members, %d by their last call, %d visited, %d leaving, %d due, %d unborn", members, f.Len(), len(f.visited), len(f.leaving), len(f.due), len(f.unborn))
		}
	})
}

func TestATurnIsOneOfTheRenewals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := New(Options[*fake]{Most: 1, PerSecond: 10})
		began := time.Now()
		for range 110 {
			if err := f.Turn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("110 turns at 10 a second took %s", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 {
			if err := f.Turn(ctx); err != nil {
				return
			}
		}
		t.Error("it waits although nobody wants to know")
	})
}

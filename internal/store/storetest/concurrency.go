package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/token"
)

// soon is long enough for a waiter to be waiting, and short enough to wait for.
const soon = 30 * time.Millisecond

func oneOfManySwapsWins(t *testing.T, a, b token.Store) {
	var handle token.Handle
	for round := range 10 {
		var wins atomic.Int32
		var winner atomic.Pointer[string]
		var next atomic.Pointer[token.Handle]
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 8 {
			wg.Go(func() {
				name := strconv.Itoa(round) + "/" + strconv.Itoa(i)
				<-start
				h, err := []token.Store{a, b}[i%2].Swap(t.Context(), handle, Named(name))
				switch {
				case err == nil:
					wins.Add(1)
					winner.Store(&name)
					next.Store(&h)
				case !errors.Is(err, token.ErrConflict):
					t.Errorf("the loser of a race: %v, want token.ErrConflict", err)
				}
			})
		}
		close(start)
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d of 8 swaps from one state won", wins.Load())
		}
		handle = *next.Load()
		stores(t, a, *winner.Load(), handle)
		stores(t, b, *winner.Load(), handle)
	}
}

func noUpdateIsLost(t *testing.T, a, b token.Store) {
	const writers, each = 4, 5
	swap(t, a, "", Named("0"))
	var wg sync.WaitGroup
	for i := range writers {
		s := []token.Store{a, b}[i%2]
		wg.Go(func() {
			for done := 0; done < each; {
				r, handle, err := s.Load(t.Context())
				if err != nil {
					t.Errorf("load: %v", err)
					return
				}
				n, _ := strconv.Atoi(NameOf(r))
				_, err = s.Swap(t.Context(), handle, Named(strconv.Itoa(n+1)))
				switch {
				case err == nil:
					done++
				case !errors.Is(err, token.ErrConflict):
					t.Errorf("swap: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if r, _ := load(t, a); NameOf(r) != strconv.Itoa(writers*each) {
		t.Errorf("%d updates count %s", writers*each, NameOf(r))
	}
}

// readersSeeWholeRecords writes records that say the same thing at both ends, short and
// long by turns, so that a mixture of two would show.
func readersSeeWholeRecords(t *testing.T, a, b token.Store) {
	record := func(i int) token.Record {
		r := Named(strconv.Itoa(i))
		r.Original = r.Current.Token.Access // the last field that is written
		for range i % 2 * 500 {
			r.Current.Token.Scopes = append(r.Current.Token.Scopes, strconv.Itoa(i))
		}
		return r
	}
	handle := swap(t, a, "", record(0))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			last := 0
			for {
				got, _, err := b.Load(t.Context())
				if err != nil {
					t.Errorf("load during writes: %v", err)
					return
				}
				i, _ := strconv.Atoi(NameOf(got))
				if !Equal(got, record(i)) || i < last {
					t.Errorf("after record %d: a mixture, or an older one, of %d", last, i)
					return
				}
				last = i
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 25 {
		handle = swap(t, a, handle, record(i+1))
	}
	close(done)
	wg.Wait()
}

func leaseExcludes(t *testing.T, a, b token.Store) {
	var holders atomic.Int32
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for range 5 {
				release, err := []token.Store{a, b}[i%2].Lease(t.Context())
				if err != nil {
					t.Errorf("lease: %v", err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the lease at once", n)
				}
				_, _ = a.Changed(t.Context(), "") // takes a moment
				holders.Add(-1)
				release()
			}
		})
	}
	wg.Wait()
}

func leaseWaitsNoLongerThanContext(t *testing.T, a, b token.Store) {
	release, err := a.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, s := range []token.Store{a, b} {
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		if _, err := s.Lease(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a lease that is held: %v, want context.DeadlineExceeded", err)
		}
		if _, err := s.Lease(ended(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v, want context.Canceled", err)
		}
	}
	release()
	if _, err := b.Lease(ended(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("a free lease with an ended context: %v, want context.Canceled", err)
	}
	free(t, b) // who gave up holds nothing
}

func leaseIsHandedOn(t *testing.T, a, b token.Store) {
	release, err := a.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		release, err := b.Lease(t.Context())
		if err == nil {
			release()
		}
		got <- err
	}()
	release()
	if err := <-got; err != nil {
		t.Errorf("the next holder: %v", err)
	}
}

func leaseIsReleasedOnce(t *testing.T, a, b token.Store) {
	release, err := a.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
	second, err := b.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release() // not the second one
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, err := a.Lease(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lease that is held: %v, want context.DeadlineExceeded", err)
	}
	second()
	second()
	free(t, a)
}

func leaseDoesNotHinderWrites(t *testing.T, a, b token.Store) {
	release, err := a.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	handle := swap(t, a, "", Named("a")) // the holder stores what it got
	swap(t, b, handle, Named("b"))       // a login does not wait for a refresh
}

func free(t *testing.T, s token.Store) {
	t.Helper()
	release, err := s.Lease(t.Context())
	if err != nil {
		t.Fatalf("the lease is not free: %v", err)
	}
	release()
}

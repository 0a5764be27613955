// Package storetest is what every store must do, whatever it keeps its record in. A new
// kind of store runs this suite before it has any other test.
package storetest

import (
	"context"
	"errors"
	"testing"

	"evergate/internal/token"
)

// Place makes an empty place for the record of Shop and returns how to open it. What is
// opened twice shares the record and the lease, as two processes would; a store that
// lives in one process returns the same one twice.
type Place func(t *testing.T) (open func() token.Store)

// Run runs the suite, each test on a place of its own.
func Run(t *testing.T, place Place) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, a, b token.Store) // on two opens of one place
	}{
		{"empty_place_has_nothing", emptyPlaceHasNothing},
		{"records_round_trip", recordsRoundTrip},
		{"record_is_a_value", recordIsAValue},
		{"another_shop_is_refused", anotherShopIsRefused},
		{"first_write_does_not_replace", firstWriteDoesNotReplace},
		{"stale_swap_loses", staleSwapLoses},
		{"handle_never_comes_back", handleNeverComesBack},
		{"ended_context_writes_nothing", endedContextWritesNothing},
		{"one_of_many_swaps_wins", oneOfManySwapsWins},
		{"no_update_is_lost", noUpdateIsLost},
		{"readers_see_whole_records", readersSeeWholeRecords},
		{"changes_are_noticed", changesAreNoticed},
		{"lease_excludes", leaseExcludes},
		{"lease_waits_no_longer_than_context", leaseWaitsNoLongerThanContext},
		{"lease_is_handed_on", leaseIsHandedOn},
		{"lease_is_released_once", leaseIsReleasedOnce},
		{"lease_does_not_hinder_writes", leaseDoesNotHinderWrites},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			open := place(t)
			tc.test(t, open(), open())
		})
	}
}

func emptyPlaceHasNothing(t *testing.T, a, _ token.Store) {
	if _, handle, err := a.Load(t.Context()); !errors.Is(err, token.ErrNotFound) || handle != "" {
		t.Errorf("load: %q, %v, want token.ErrNotFound", handle, err)
	}
	if changed, err := a.Changed(t.Context(), ""); changed || err != nil {
		t.Errorf("changed from nothing: %t, %v", changed, err)
	}
	if changed, err := a.Changed(t.Context(), "stale"); !changed || err != nil {
		t.Errorf("changed from something: %t, %v", changed, err)
	}
	if _, err := a.Swap(t.Context(), "stale", Named("a")); !errors.Is(err, token.ErrConflict) {
		t.Errorf("swap of something: %v, want token.ErrConflict", err)
	}
}

func recordsRoundTrip(t *testing.T, a, b token.Store) {
	r := Random(t)
	var handle token.Handle
	for range 40 {
		want := Record(r)
		handle = swap(t, a, handle, want)
		got, loaded := load(t, b)
		if !Equal(got, want) || loaded != handle {
			t.Fatalf("stored %+v as %q, loaded %+v as %q", want, handle, got, loaded)
		}
		a, b = b, a
	}
}

func recordIsAValue(t *testing.T, a, b token.Store) {
	for _, change := range []func(r token.Record){
		func(r token.Record) { r.Current.Token.Scopes[0] = "other" },
		func(r token.Record) { r.Previous.Tried = true },
		func(r token.Record) { r.Attempt.Fingerprint = "other" },
		func(r token.Record) { r.Reauthorize.Reason = "other" },
	} {
		_, handle, _ := a.Load(t.Context())
		stored := full()
		swap(t, a, handle, stored)
		change(stored)
		got, _ := load(t, a)
		if !Equal(got, full()) {
			t.Errorf("a change to what was stored shows: %+v", got)
		}
		change(got)
		for _, s := range []token.Store{a, b} {
			if got, _ := load(t, s); !Equal(got, full()) {
				t.Errorf("a change to what was loaded shows: %+v", got)
			}
		}
	}
}

func anotherShopIsRefused(t *testing.T, a, _ token.Store) {
	r := Named("a")
	r.Shop = "other.myshopify.com"
	if _, err := a.Swap(t.Context(), "", r); err == nil || errors.Is(err, token.ErrConflict) {
		t.Errorf("swap of another shop's record: %v", err)
	}
	if _, _, err := a.Load(t.Context()); !errors.Is(err, token.ErrNotFound) {
		t.Errorf("load: %v", err)
	}
}

func firstWriteDoesNotReplace(t *testing.T, a, b token.Store) {
	handle := swap(t, a, "", Named("a"))
	for _, s := range []token.Store{a, b} {
		if _, err := s.Swap(t.Context(), "", Named("b")); !errors.Is(err, token.ErrConflict) {
			t.Errorf("second first write: %v, want token.ErrConflict", err)
		}
		stores(t, s, "a", handle)
	}
}

func staleSwapLoses(t *testing.T, a, b token.Store) {
	first := swap(t, a, "", Named("a"))
	second := swap(t, b, first, Named("b"))
	for _, s := range []token.Store{a, b} {
		if handle, err := s.Swap(t.Context(), first, Named("c")); !errors.Is(err, token.ErrConflict) || handle != "" {
			t.Errorf("swap from a stale handle: %q, %v, want token.ErrConflict", handle, err)
		}
		stores(t, s, "b", second)
	}
}

func handleNeverComesBack(t *testing.T, a, b token.Store) {
	seen := map[token.Handle]bool{"": true}
	var handle token.Handle
	for i := range 6 {
		handle = swap(t, a, handle, Named([]string{"a", "b", "b"}[i%3]))
		if seen[handle] {
			t.Fatalf("handle %q names two states", handle)
		}
		seen[handle] = true
		a, b = b, a
	}
}

func endedContextWritesNothing(t *testing.T, a, _ token.Store) {
	handle := swap(t, a, "", Named("a"))
	if _, err := a.Swap(ended(t), handle, Named("b")); !errors.Is(err, context.Canceled) {
		t.Errorf("swap: %v, want context.Canceled", err)
	}
	stores(t, a, "a", handle)
}

func changesAreNoticed(t *testing.T, a, b token.Store) {
	is := func(s token.Store, from token.Handle, want bool) {
		t.Helper()
		for range 2 { // asking again gives the same answer
			if got, err := s.Changed(t.Context(), from); got != want || err != nil {
				t.Fatalf("changed: %t, %v, want %t", got, err, want)
			}
		}
	}
	is(b, "", false)
	first := swap(t, a, "", Named("a"))
	is(b, "", true)
	is(a, first, false)
	is(b, first, false)
	// The same record of the same size: what a stat can tell least.
	for range 20 {
		second := swap(t, a, first, Named("a"))
		is(b, first, true)
		is(b, second, false)
		is(a, first, true)
		is(a, second, false)
		first = second
		a, b = b, a
	}
}

package race

import (
	"slices"
	"testing"
	"time"
)

// at is a moment so many seconds after the beginning.
func at(seconds float64) time.Time {
	return time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

func away(from, to float64) span { return span{from: at(from), to: at(to)} }

func TestTroublesThatMeetAreOne(t *testing.T) {
	t.Parallel()
	lasting := span{from: at(20)}
	got := stretches([]span{away(10, 11), lasting, away(1, 2), away(2.5, 3), away(2.6, 2.7), away(30, 31)}, time.Second)
	want := []span{away(1, 4), away(10, 12), lasting}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	store := away(10, 13)
	store.why = theStore
	if got := stretches([]span{store}, time.Second); len(got) != 1 || got[0].to != at(17) {
		t.Errorf("the store was away: %v", got)
	}
}

// TestARefusalIsExcusedOnlyByWhatExplainsIt is about a shop whose tokens were made at 0 and 4, and live for five seconds.
func TestARefusalIsExcusedOnlyByWhatExplainsIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		away         []span
		began, ended float64
		served       time.Time
		owed         bool
	}{
		"no trouble":                                    {nil, 8, 13, at(1), true},
		"no trouble and never served":                   {nil, 8, 13, time.Time{}, true},
		"trouble that is over":                          {[]span{away(1, 6)}, 7.1, 12, at(0.5), true},
		"trouble that comes after":                      {[]span{away(13, 20)}, 8, 12, at(0.5), true},
		"away for less than the token lives":            {[]span{away(6, 7)}, 6.5, 7.5, at(1), true},
		"away while the token lives still":              {[]span{{from: at(6)}}, 6.5, 8.9, at(1), true},
		"away for longer than the token lives":          {[]span{{from: at(6)}}, 6.5, 9.1, at(1), false},
		"of the token after it heard nothing":           {[]span{{from: at(4.5)}}, 4.6, 5.1, at(1), false},
		"away again before it could settle":             {[]span{away(3, 6), {from: at(6.9)}}, 7, 8, at(1), false},
		"away again before it could hear of the token":  {[]span{away(1, 5), {from: at(7.9)}}, 8, 8.5, at(0.5), false},
		"away again after it had heard of the token":    {[]span{away(1, 5), {from: at(8.1)}}, 8.2, 8.5, at(0.5), true},
		"never served by this life":                     {[]span{away(6, 7)}, 6.5, 7.5, time.Time{}, false},
		"first served after it went away":               {[]span{away(6, 7)}, 6.5, 7.5, at(6.2), false},
		"the term of a lease later":                     {[]span{away(6, 9)}, 9.9, 10, at(1), false},
		"more than the term of a lease later":           {[]span{away(6, 9)}, 10.1, 15, at(1), true},
		"the token ends after the trouble has settled":  {[]span{away(6, 7.9)}, 7, 12, at(1), true},
		"the token ends before the trouble has settled": {[]span{away(6, 8.1)}, 7, 12, at(1), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := knowledge{settle: time.Second, hears: 2 * time.Second, away: tc.away, minted: []time.Time{at(0), at(4)}, served: tc.served}
			if owed := k.owes(at(tc.began), at(tc.ended)); owed != tc.owed {
				t.Errorf("a token is owed: %t", owed)
			}
		})
	}
}

func TestAnAbsenceOfTheStoreExcusesTwoPairsOfAShop(t *testing.T) {
	t.Parallel()
	r := &race{Options: Options{Loses: true, Lease: time.Second, Hears: 2 * time.Second}, again: map[loss]int{}, away: spans{all: []span{away(10, 13), away(20, 23)}}}
	for i, c := range []struct {
		shop        string
		made, again float64
		lost        bool
	}{
		{"a", 8, 9, false}, {"a", 9, 11, true}, {"b", 9, 11, true}, {"a", 11, 12, true}, {"a", 12, 14, false}, {"a", 16, 17, false}, {"a", 19, 21, true},
		{"c", 14.5, 15, true}, {"c", 14.5, 14.75, false}, {"c", 15.5, 16, false}, {"c", 14.5, 21, true},
	} {
		if got := r.mayBeLost(c.shop, mint{at: at(c.made)}, mint{at: at(c.again)}); got != c.lost {
			t.Errorf("%d: %t", i, got)
		}
	}
	if r.Loses = false; r.mayBeLost("d", mint{at: at(9)}, mint{at: at(11)}) {
		t.Error("a store that loses nothing has lost it")
	}
}

func TestAReplicaThatWasNotThereExcusesOnePairOfAShop(t *testing.T) {
	t.Parallel()
	because := func(why string, s span) span { s.why = why; return s }
	r := &race{Options: Options{Lease: time.Second}, again: map[loss]int{}}
	p := &replica{
		still: spans{all: []span{because("killed", away(10, 13)), because(paused, away(20, 23)), because("killed", away(30, 31))}},
		cut:   spans{all: []span{because("cut off", away(40, 43))}},
	}
	other := &replica{}
	for i, c := range []struct {
		last, now   *replica
		made, again float64
		gone        bool
	}{
		{nil, other, 9.5, 11, false}, {other, other, 9.5, 11, false},
		{p, other, 8, 9, false}, {p, other, 9.5, 11, true}, {p, other, 9.5, 11, false}, // once
		{p, other, 8.5, 11, false},                                   // it had the time to store it
		{p, other, 29.8, 30.2, false}, {p, other, 39.8, 40.2, false}, // its lease lasted
		{p, other, 39.5, 41, true}, {p, other, 42.9, 44, false},
		{p, other, 23.5, 23.6, true}, {p, other, 23.5, 24, false}, // it POSTed when it had no lease any more
		{other, p, 13.2, 13.5, false}, {other, p, 31.2, 31.9, false}, // who was killed had none
	} {
		if got := r.mayBeGone("a", mint{at: at(c.made), to: c.last}, mint{at: at(c.again), to: c.now}); got != c.gone {
			t.Errorf("%d: %t", i, got)
		}
	}
	for i, want := range []bool{true, false} { // of another shop, who POSTs is the one that stood still
		if got := r.mayBeGone("b", mint{at: at(22), to: other}, mint{at: at(23.5), to: p}); got != want {
			t.Errorf("%d: %t", i, got)
		}
	}
	if r.mayBeGone("c", mint{at: at(22), to: other}, mint{at: at(24.5), to: p}) {
		t.Error("a pause excuses what comes long after it")
	}
}

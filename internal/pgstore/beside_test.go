package pgstore

import (
	"testing"
	"time"
)

func TestALifeIsInferredFromItsEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct{ rest, usual, age, life time.Duration }{
		"half_over":                {30 * time.Minute, 0, 30 * time.Minute, time.Hour},
		"over":                     {-time.Minute, 0, 61 * time.Minute, time.Hour},
		"just_begun":               {time.Hour, 0, 0, time.Hour},
		"by_a_clock_that_is_ahead": {time.Hour + 20*time.Second, 0, 0, time.Hour + 20*time.Second},
		"a_day":                    {20 * time.Hour, 0, 4 * time.Hour, 24 * time.Hour},
		"longer_than_any":          {9000 * time.Hour, 0, 90*24*time.Hour - 9000*time.Hour, 90 * 24 * time.Hour},
		"as_the_one_before":        {10 * time.Minute, 20 * time.Minute, 10 * time.Minute, 20 * time.Minute},
		"longer_than_the_before":   {40 * time.Minute, 20 * time.Minute, 20 * time.Minute, time.Hour},
	} {
		issued, life := lifeUntil(now.Add(tc.rest), tc.usual, now)
		if now.Sub(issued) != tc.age || life != tc.life {
			t.Errorf("%s: issued %s ago for %s, want %s and %s", name, now.Sub(issued), life, tc.age, tc.life)
		}
	}
}

// What an app has deleted is not written back; a row of our own that is gone was lost.
func TestOnlyAnAppsSessionsAreTheAppsToDelete(t *testing.T) {
	t.Parallel()
	for _, of := range []struct {
		layout layout
		want   bool
	}{{&beside{}, true}, {&own{}, false}} {
		if got := (&store{backend: &Backend{layout: of.layout}}).Yields(); got != of.want {
			t.Errorf("%T yields: %t", of.layout, got)
		}
	}
}

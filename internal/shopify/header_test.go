package shopify

import (
	"strconv"
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		" 3 ": 3 * time.Second, "1.25": 1250 * time.Millisecond, "86400": 24 * time.Hour, "86401": 24 * time.Hour, "1e300": 24 * time.Hour,
		"NaN": 0, "-Inf": 0, "+Inf": 24 * time.Hour, "-0": 0, "1,5": 0, "2.0s": 0, "0x": 0,
		"Mon, 30 Nov 2026 12:00:10 GMT":  10 * time.Second,
		"Mon, 30 Nov 2026 11:59:59 GMT":  0,
		"Monday, 30-Nov-26 12:01:00 GMT": time.Minute,
		"Mon Nov 30 12:00:02 2026":       2 * time.Second,
		"Fri, 31 Dec 9999 23:59:59 GMT":  24 * time.Hour,
		"Thu, 01 Jan 1970 00:00:00 GMT":  0,
	} {
		if got := ParseRetryAfter(v, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, v := range []string{"2.0", "0", "-1", "1e308", "NaN", "inf", "0x1p-2", "Mon, 30 Nov 2026 12:00:10 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", ""} {
		f.Add(v, int64(1796040000))
	}
	f.Fuzz(func(t *testing.T, v string, seconds int64) {
		now := time.Unix(seconds%(1<<40), 0)
		got := ParseRetryAfter(v, now)
		if got < 0 || got > maxRetryAfter {
			t.Fatalf("%q: %v", v, got)
		}
		if n, err := strconv.ParseUint(v, 10, 16); err == nil && got != time.Duration(n)*time.Second {
			t.Fatalf("%q: %v", v, got)
		}
	})
}

package clock

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleepLastsAsLongAsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := Sleep(t.Context(), time.Hour); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Hour {
			t.Errorf("slept for %s", took)
		}
		if err := Sleep(t.Context(), 0); err != nil {
			t.Errorf("a sleep of nothing: %v", err)
		}
	})
}

func TestSleepEndsWithItsContextAndSaysWhy(t *testing.T) {
	t.Parallel()
	why := errors.New("the process is stopping")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		began := time.Now()
		if err := Sleep(ctx, time.Hour); !errors.Is(err, why) {
			t.Errorf("%v, want the context's cause", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("slept for %s", took)
		}
		wake := make(chan struct{})
		close(wake)
		if woken, err := SleepOrWake(ctx, 0, wake); woken || !errors.Is(err, why) {
			t.Errorf("%t, %v after the context's end, want its cause whatever else is ready", woken, err)
		}
	})
}

func TestSleepOrWakeTellsWhatEndedIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{}, 1)
		if woken, err := SleepOrWake(t.Context(), time.Minute, wake); woken || err != nil {
			t.Errorf("%t, %v after all of it", woken, err)
		}
		began := time.Now()
		time.AfterFunc(time.Second, func() { wake <- struct{}{} })
		if woken, err := SleepOrWake(t.Context(), time.Minute, wake); !woken || err != nil {
			t.Errorf("%t, %v after a wake-up", woken, err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("slept for %s", took)
		}
	})
}

func TestMonoCountsWhatPasses(t *testing.T) {
	t.Parallel()
	const decade = int64(10 * 365 * 24 * time.Hour)
	if now := Mono(); now < decade {
		t.Errorf("%d: zero is not longer ago than any wait", now)
	}
	// Nobody can set the machine's clock here. A Time says in its text whether it has the other one.
	now := time.Now()
	for name, at := range map[string]time.Time{
		"of this process": start, "of a deadline": Deadline(Mono()), "of a machine that takes itself to be in 1970": now.Add(time.Unix(0, 0).Sub(now)).Add(start.Sub(now)),
	} {
		if !strings.Contains(at.String(), " m=") {
			t.Errorf("the clock %s is the wall's: %s", name, at)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		before, at := Mono(), time.Now()
		if before < decade || MonoOf(at) != before {
			t.Errorf("%d and %d of the same moment", before, MonoOf(at))
		}
		if in := time.Until(Deadline(before + int64(time.Hour))); in != time.Hour {
			t.Errorf("a deadline of an hour ends in %s", in)
		}
		if at := Deadline(0); !at.IsZero() {
			t.Errorf("no deadline is %s", at)
		}
		time.Sleep(time.Minute)
		if passed := time.Duration(Mono() - before); passed != time.Minute {
			t.Errorf("%s of a minute", passed)
		}
		if passed := time.Duration(MonoOf(time.Now()) - MonoOf(at)); passed != time.Minute {
			t.Errorf("%s of a minute", passed)
		}
	})
}

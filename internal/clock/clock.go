// Package clock holds the waits that every other package needs: each of them ends with its
// context, and none of them leaves a timer behind. It holds the clock of what is kept as a
// number and only compared. Time is the runtime's, which testing/synctest fakes.
package clock

import (
	"context"
	"time"
)

// start is the moment from which the monotonic clock is counted: sixty years ago, so that the clock of testing/synctest, which begins in the year 2000, is ahead of
// it as well. On a machine whose clock begins in 1970 it is after 1885, before which a Time has no monotonic clock.
var start = time.Now().Add(-60 * 365 * 24 * time.Hour)

// Mono is what the monotonic clock says: nanoseconds since some moment, decades at least, so that zero can stand for no moment, and is longer ago than any wait. Who
// corrects the machine's clock does not move it, and it may stand still while the machine sleeps. To read it costs half of what time.Now does,
// which reads both clocks.
func Mono() int64 { return int64(time.Since(start)) }

// MonoOf is what Mono was at a moment that time.Now returned.
func MonoOf(t time.Time) int64 { return int64(t.Sub(start)) }

// Deadline is a moment of Mono as SetDeadline of a net.Conn takes it; of 0, which is none, the zero Time. It is no date.
func Deadline(mono int64) time.Time {
	if mono == 0 {
		return time.Time{}
	}
	return start.Add(time.Duration(mono))
}

// Sleep waits for d and returns nil, or ctx's cause as soon as ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	_, err := SleepOrWake(ctx, d, nil)
	return err
}

// SleepOrWake is Sleep that a receive from wake ends early; woken tells that from the end
// of d.
func SleepOrWake(ctx context.Context, d time.Duration, wake <-chan struct{}) (woken bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false, nil
	case <-wake:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

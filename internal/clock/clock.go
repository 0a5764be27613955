// Package clock holds the waits that every other package needs: each of them ends with its
// context, and none of them leaves a timer behind. Time is the runtime's, which
// testing/synctest fakes.
package clock

import (
	"context"
	"time"
)

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

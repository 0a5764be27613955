package upstream

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// A process that stands still while it connects finds its time over when it goes on, which says nothing of the upstream.
func TestATimeoutThatComesLateSaysNothingOfTheUpstream(t *testing.T) {
	t.Parallel()
	elsewhere := errors.New("no such host")
	for name, is := range map[string]struct {
		stands []time.Duration // how long the process does, while it connects for the first time, the second, ...
		leaves time.Duration   // when nobody waits any more; zero: never
		dials  int
		found  bool // the last one comes to its end
	}{
		"in time":                    {nil, 0, 1, true},
		"once":                       {[]time.Duration{time.Minute}, 0, 2, true},
		"twice":                      {[]time.Duration{time.Minute, time.Hour}, 0, 3, true},
		"always":                     {[]time.Duration{time.Minute, time.Minute, time.Minute, time.Minute, time.Minute}, 0, 1 + mostStood, false},
		"for a moment":               {[]time.Duration{dialTimeout + stood/2}, 0, 1, false},
		"and nobody waits for it":    {[]time.Duration{time.Minute}, 30 * time.Second, 1, false},
		"the upstream does not come": {[]time.Duration{dialTimeout + time.Millisecond}, 0, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dials := 0
				tr := New(Options{Base: parse(t, "http://shop.test"), HeaderTimeout: testTimeout, Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
					dials++
					if dials > len(is.stands) {
						return nil, elsewhere
					}
					time.Sleep(is.stands[dials-1])
					return nil, ctx.Err()
				}})
				ctx := t.Context()
				if is.leaves > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, is.leaves)
					defer cancel()
				}
				_, err := tr.dialer.to("shop.test:80", false).dial(ctx)
				if _, dial := errors.AsType[*DialError](err); !dial || dials != is.dials || errors.Is(err, elsewhere) != is.found {
					t.Errorf("after %d: %v", dials, err)
				}
			})
		})
	}
}

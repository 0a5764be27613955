package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync/atomic"
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
		leaves time.Duration   // when nobody waits any more
		dials  int64
		found  bool // the last one comes to its end
	}{
		"in time":                    {nil, time.Hour, 1, true},
		"once":                       {[]time.Duration{time.Minute}, time.Hour, 2, true},
		"twice":                      {[]time.Duration{time.Minute, time.Minute}, time.Hour, 2, false},
		"for a moment":               {[]time.Duration{dialTimeout + stood/2}, time.Hour, 1, false},
		"and nobody waits for it":    {[]time.Duration{time.Minute}, 30 * time.Second, 1, false},
		"the upstream does not come": {[]time.Duration{dialTimeout + time.Millisecond}, time.Hour, 1, false},
	} {
		for _, method := range []string{http.MethodGet, http.MethodTrace} { // net/http carries the second
			t.Run(name+", "+method, func(t *testing.T) {
				t.Parallel()
				wanted := is.dials
				if is.leaves < time.Hour && (method == http.MethodTrace || !canTell) {
					wanted++ // net/http makes a connection for whoever comes next
				}
				synctest.Test(t, func(t *testing.T) {
					var dials atomic.Int64
					tr := New(Options{Base: parse(t, "http://shop.test"), Most: 1, HeaderTimeout: testTimeout, Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
						n := int(dials.Add(1))
						if n > len(is.stands) {
							return nil, elsewhere
						}
						time.Sleep(is.stands[n-1])
						return nil, ctx.Err()
					}})
					ctx, cancel := context.WithTimeout(t.Context(), is.leaves)
					defer cancel()
					resp, err := tr.RoundTrip(request(t, method, "http://shop.test").WithContext(ctx))
					if err == nil {
						_ = resp.Body.Close()
					}
					time.Sleep(time.Hour) // whatever goes on for nobody
					_, dial := errors.AsType[*DialError](err)
					if left := errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && !dial; !dial && !left || dials.Load() != wanted || errors.Is(err, elsewhere) != is.found {
						t.Errorf("after %d: %v", dials.Load(), err)
					}
				})
			})
		}
	}
}

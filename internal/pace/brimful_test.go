package pace

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// brimful is Shopify's REST bucket of a plan after another program has filled it at one blow. Its refusals ask for as many seconds as
// calls leak in one, which has been measured, and is longer than most are ready to wait where a plan has many.
type brimful struct {
	size, leak float64
	level      float64
	at         time.Time
	served     bool // the last call
}

func (b *brimful) answer() *http.Response {
	now := time.Now()
	b.level, b.at = max(0, b.level-b.leak*now.Sub(b.at).Seconds()), now
	if b.served = b.level+1 <= b.size+1e-9; !b.served {
		return response(429, fmt.Sprintf(`{"errors":"Exceeded %g calls per second for api client. Reduce request rates to resume uninterrupted service."}`, b.leak),
			"Retry-After", fmt.Sprintf("%.1f", b.leak))
	}
	b.level++
	return response(200, "{}", callLimitHeader, fmt.Sprintf("%d/%g", int(b.level), b.size))
}

// TestWhatAnotherProgramFilledAtOneBlowIsWaitedOut: a call fits after a twentieth to half of a second, whatever Retry-After asks for.
func TestWhatAnotherProgramFilledAtOneBlowIsWaitedOut(t *testing.T) {
	t.Parallel()
	for _, plan := range []brimful{{size: 40, leak: 2}, {size: 80, leak: 4}, {size: 400, leak: 20}} {
		for _, first := range []bool{false, true} { // whether the bucket is full at the first call of all
			t.Run(fmt.Sprintf("%g a second, first %v", plan.leak, first), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					for range 500 { // each draws anew how long to wait
						p, shopify := New(Options{MaxWait: 8 * time.Second}), plan
						if !first {
							do(t, p, REST, "", shopify.answer())
						}
						shopify.level, shopify.at = shopify.size, time.Now()
						began := time.Now()
						r, sent := p.Reserve(REST, Caller{Key: "me"}, nil), 0
						for again := true; again; sent++ {
							if _, err := r.Wait(t.Context()); err != nil {
								t.Fatal(err)
							}
							time.Sleep(time.Millisecond) // the loopback is much faster than a bucket leaks
							again = observe(&r, shopify.answer())
						}
						if took := time.Since(began); !shopify.served || sent > 5 || took.Seconds() > 2/plan.leak {
							t.Fatalf("served: %v; sent %d times in %s", shopify.served, sent, took)
						}
					}
				})
			})
		}
	}
}

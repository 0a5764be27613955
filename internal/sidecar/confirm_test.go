package sidecar

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/token"
)

// failingOver is a place that can fail over, so that a pair rests there before it is replaced.
type failingOver struct{ token.Backend }

func (b failingOver) Shop(shop token.Shop) (token.Store, error) {
	s, err := b.Backend.Shop(shop)
	return leased{s}, err
}

type leased struct{ token.Store }

func (leased) LeaseLeft() time.Duration { return time.Minute }

// A token that Shopify refuses in use, moments after it was stored, is replaced when its pair has rested. Until then its shop's calls get a
// 503 that says when to come again, and those of other shops what they always get.
func TestTokensThatAreRefusedWithinTheConfirmWindow(t *testing.T) {
	t.Parallel()
	const life = 5 * time.Second // of which a pair rests for three
	var refused, fine []string
	for n := range 8 {
		refused, fine = append(refused, fmt.Sprintf("refused-%d", n)), append(fine, fmt.Sprintf("fine-%d", n))
	}
	r := newFleetRigOn(t, func(b token.Backend) token.Backend { return failingOver{b} }, append(append([]string{}, refused...), fine...), "stored: true\n", "EVERGATE_TOKEN_WAIT=1s").run(t)
	for _, name := range fine {
		r.store(t, name, time.Minute)
	}
	stored := time.Now()
	for _, name := range refused {
		if n := r.sim.RevokeTokens(r.storeFor(t, name, 0, life)); n != 1 {
			t.Fatalf("%d tokens were revoked", n)
		}
	}
	var all sync.WaitGroup
	var waited atomic.Int64
	for _, name := range refused {
		all.Go(func() {
			again := time.NewTicker(50 * time.Millisecond)
			defer again.Stop()
			for {
				posts := r.asked(name)
				w := r.call(name)
				if w.Code == http.StatusOK {
					if time.Since(stored) < life*6/10 {
						t.Errorf("%s: answered %s after its pair was stored", name, time.Since(stored))
					}
					return
				}
				after, err := strconv.Atoi(w.Header().Get("Retry-After"))
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("X-Evergate-Error") != "no_token" || err != nil || after < 1 || after > 3 {
					t.Errorf("%s: %d %v", name, w.Code, w.Header())
					return
				}
				waited.Add(1)
				if posts != 0 {
					t.Errorf("%s: refused after %d requests for a token", name, posts)
					return
				}
				<-again.C
			}
		})
	}
	for _, name := range fine {
		all.Go(func() {
			again := time.NewTicker(100 * time.Millisecond)
			defer again.Stop()
			for time.Since(stored) < life*7/10 {
				if w := r.call(name); w.Code != http.StatusOK {
					t.Errorf("%s: %d %s", name, w.Code, w.Body)
					return
				}
				<-again.C
			}
		})
	}
	all.Wait()
	if waited.Load() == 0 {
		t.Error("nobody was told to come again")
	}
	for _, name := range refused {
		if n := r.asked(name); n != 1 {
			t.Errorf("%s: %d requests for a token", name, n)
		}
	}
	for _, name := range fine {
		if n := r.asked(name); n != 0 {
			t.Errorf("%s: %d requests for a token", name, n)
		}
	}
}

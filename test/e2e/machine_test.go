package e2e

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// machine measures for how long this machine, not the program under test, stood still. A
// token that is sent in time can then arrive too late, which is no fault of the program.
type machine struct{ longest atomic.Int64 }

// watchMachine measures until the test ends.
func watchMachine(t *testing.T) *machine {
	m := &machine{}
	ctx := t.Context()
	go func() {
		beat := time.NewTicker(10 * time.Millisecond)
		defer beat.Stop()
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-beat.C:
				m.longest.Store(max(m.longest.Load(), int64(time.Since(last))))
			case <-ctx.Done():
				return
			}
		}
	}()
	return m
}

// stoodStill is the longest time for which nothing ran.
func (m *machine) stoodStill() time.Duration { return time.Duration(m.longest.Load()) }

// mustKnowEveryToken fails if the API refused a token. life is the tokens' life: at least a
// fifth of it is left at the moment of renewal, and halved it covers the way there.
func (m *machine) mustKnowEveryToken(t *testing.T, shop *shopify, life time.Duration) {
	t.Helper()
	n := shop.answered(http.StatusUnauthorized)
	switch still := m.stoodStill(); {
	case n == 0:
	case still > life/10:
		t.Logf("Shopify refused %d tokens, but the machine stood still for %s", n, still)
	default:
		t.Errorf("Shopify saw %d requests without a valid token", n)
	}
}

package pgstore

import (
	"testing"
	"time"

	"evergate/internal/token"
)

// The right of a replica that was killed must not outlast a token.
func TestARightLastsNoLongerThanATokensRest(t *testing.T) {
	t.Parallel()
	for life, want := range map[time.Duration]time.Duration{0: longestTerm, time.Hour: longestTerm, 20 * time.Second: 4 * time.Second, time.Second: shortestTerm} {
		var s store
		s.learn(token.Record{Current: token.Pair{Token: token.Token{Life: life}}})
		if got := s.term(); got != want {
			t.Errorf("life %s: %s, want %s", life, got, want)
		}
	}
}

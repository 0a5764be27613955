package pgstore

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

// TestASilentServerIsAPassingFailure has nobody answer, as behind a firewall: whoever asks gives up in time, and may try again.
func TestASilentServerIsAPassingFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, err := Open(Options{URL: "postgres://u@192.0.2.1/app", Keys: envelope.Keys{Current: token.NewSecret(strings.Repeat("k", envelope.KeySize))}})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		b.pool.config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		b.pool.config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
		for _, its := range []time.Duration{time.Hour, patience, time.Second} { // whoever asks may have as much patience, or less
			ctx, cancel := context.WithTimeout(t.Context(), its)
			began := time.Now()
			for _, err := range b.All(ctx) {
				if !errors.Is(err, token.ErrTransient) || !strings.Contains(err.Error(), "has not answered in time: see that EVERGATE_STORE names the server") {
					t.Errorf("%s: %v", its, err)
				}
			}
			if took := time.Since(began); took != min(its, patience) {
				t.Errorf("%s: it took %s", its, took)
			}
			cancel()
		}
	})
}

package pgstore

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestAServerThatIsBackIsHeardAtOnce has the server be away for a while, and looks for how long it is left alone.
func TestAServerThatIsBackIsHeardAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config, err := parse("postgres://evergate@127.0.0.1:5432/evergate?sslmode=disable")
		if err != nil {
			t.Fatal(err)
		}
		var last time.Time
		var longest time.Duration
		config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
			now := time.Now()
			if !last.IsZero() {
				longest = max(longest, now.Sub(last))
			}
			last = now
			return nil, errors.New("the server is away")
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		b := &Backend{pool: newPool(config), layout: own{}}
		b.Watch(ctx, func(string) {})
		if longest == 0 || longest > scanEvery {
			t.Errorf("it is left alone for %s", longest)
		}
	})
}

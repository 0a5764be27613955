package refresh

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// TestAnOutageIsAFewLines has tokens that live for seconds and a Shopify that is away for a while.
func TestAnOutageIsAFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		guarded := &locked{w: &lines}
		e := newEndpoint(t, 4*time.Second)
		shop, _ := token.ParseShop("blue-finch")
		s := New(Options{Shop: shop, Obtainer: Direct(e), Log: slog.New(slog.NewTextHandler(guarded, nil))})
		run(t, s)
		synctest.Wait()
		time.Sleep(time.Second)
		e.failWith(transient)
		before := e.count()
		time.Sleep(2*time.Minute + 30*time.Second)
		synctest.Wait()
		attempts := e.count() - before
		var said []string
		for line := range strings.Lines(lines.String()) {
			if strings.Contains(line, "no token obtained") {
				said = append(said, line)
			}
		}
		// A warning while the token lives, an error when it does not, and one more in each minute.
		if attempts < 20 || len(said) != 4 || !strings.Contains(said[0], "level=WARN") || !strings.Contains(said[1], "level=ERROR") || strings.Contains(said[3], "failures=4 ") {
			t.Errorf("%d attempts, and %d lines:\n%s", attempts, len(said), strings.Join(said, ""))
		}
		e.failWith(nil)
		time.Sleep(time.Minute)
		e.failWith(transient)
		synctest.Wait()
		guarded.mu.Lock()
		lines.Reset()
		guarded.mu.Unlock()
		time.Sleep(4 * time.Second)
		synctest.Wait()
		guarded.mu.Lock()
		defer guarded.mu.Unlock()
		if got := strings.Count(lines.String(), "no token obtained"); got == 0 {
			t.Error("the next outage is not said")
		}
	})
}

func TestAnotherKindOfFailureIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	var s saying
	at := instant{wall: time.Now()}
	for i, step := range []struct {
		level    slog.Level
		result   string
		failures int
		later    time.Duration
		want     bool
	}{
		{slog.LevelWarn, "transient", 1, 0, true},
		{slog.LevelWarn, "transient", 2, time.Second, false},
		{slog.LevelWarn, "config", 3, time.Second, true},
		{slog.LevelError, "config", 4, time.Second, true},
		{slog.LevelError, "config", 5, sayAgainAfter - 1, false},
		{slog.LevelError, "config", 6, 1, true},
		{slog.LevelError, "config", 7, 1, false},
		{slog.LevelError, "config", 1, 1, true}, // there has been a token between them
	} {
		at = at.add(step.later)
		if got := s.renewed(saying{at, step.level, step.result}, step.failures); got != step.want {
			t.Errorf("step %d: said %v", i, got)
		}
	}
}

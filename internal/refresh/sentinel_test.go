package refresh

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// sentinels are what errors are matched with. Their texts say what the program does about an
// error, and are of no use to an operator, who is to read what happened.
var sentinels = []error{token.ErrTransient, token.ErrConfig, token.ErrReauthorize, token.ErrNotFound, token.ErrConflict}

func sentinelIn(text string) (string, bool) {
	for _, s := range sentinels {
		if strings.Contains(text, s.Error()) {
			return s.Error(), true
		}
	}
	return "", false
}

// sentinelFinder looks at what a Source logs.
type sentinelFinder struct{ w *world }

func (f sentinelFinder) Write(b []byte) (int, error) {
	if s, ok := sentinelIn(string(b)); ok {
		f.w.violate("the log shows the text of a sentinel, %q: %s", s, b)
	}
	return len(b), nil
}

func TestErrorsSayWhatHappenedAndNotWhatIsDoneAboutIt(t *testing.T) {
	broken := errors.New("disk full")
	for name, c := range map[string]struct {
		decision error
		stored   func() token.Record
		arrange  func(*shelf, *chain)
	}{
		"nothing stored":   {decision: token.ErrReauthorize, arrange: func(*shelf, *chain) {}},
		"unreadable":       {decision: token.ErrConfig, arrange: func(s *shelf, _ *chain) { s.failRead = broken }},
		"of another app":   {decision: token.ErrConfig, stored: theirs, arrange: func(*shelf, *chain) {}},
		"no refresh token": {decision: token.ErrReauthorize, stored: ours, arrange: func(*shelf, *chain) {}},
		"lease held":       {decision: token.ErrTransient, stored: overdue, arrange: func(s *shelf, _ *chain) { <-s.leases }},
		"over on arrival":  {decision: token.ErrTransient, stored: overdue, arrange: func(_ *shelf, c *chain) { c.life = -time.Second }},
		"changed under us": {decision: token.ErrTransient, stored: overdue, arrange: func(s *shelf, _ *chain) { s.failSwap = token.ErrConflict }},
		"changed meanwhile": {decision: token.ErrTransient, stored: overdue, arrange: func(s *shelf, c *chain) {
			c.answer = func(int, string) error { s.breakSwaps(token.ErrConflict); return nil }
		}},
		"another, dead": {decision: token.ErrTransient, stored: overdue, arrange: func(s *shelf, c *chain) {
			c.answer = func(int, string) error { s.put(token.Record{}); return token.Decide(token.ErrReauthorize, broken) }
		}},
		"no note, and time": {decision: token.ErrTransient, stored: living, arrange: func(s *shelf, _ *chain) { s.failSwap = broken }},
		"refresh token dead": {decision: token.ErrReauthorize, stored: overdue, arrange: func(_ *shelf, c *chain) {
			c.answer = func(int, string) error { return token.Decide(token.ErrReauthorize, broken) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shelf := newShelf()
				if c.stored != nil {
					shelf.put(c.stored())
				}
				chain := &chain{t: t, shelf: shelf, life: time.Hour}
				c.arrange(shelf, chain)
				source := sourceOfApp(shelf, chain, "ours")
				if name == "no note, and time" {
					access(t, source)
				}
				err := source.Refresh(t.Context())
				if !errors.Is(err, c.decision) {
					t.Fatalf("%v asks for another decision than %q", err, c.decision)
				}
				if s, ok := sentinelIn(err.Error()); ok {
					t.Errorf("%q holds %q", err, s)
				}
			})
		})
	}
}

func overdue() token.Record {
	return token.Record{Current: pair(0, time.Now().Add(-2*time.Hour), time.Hour)}
}
func living() token.Record { return token.Record{Current: pair(0, time.Now(), time.Hour)} }
func theirs() token.Record { return token.Record{ClientID: "theirs"} }
func ours() token.Record   { return token.Record{ClientID: "ours"} }

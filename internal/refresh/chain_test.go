package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// sharedShelf is a shelf that can fail over and whose leases can end.
type sharedShelf struct {
	*shelf
	mu     sync.Mutex
	left   time.Duration // of a lease
	leases int
}

func newSharedShelf() *sharedShelf { return &sharedShelf{shelf: newShelf(), left: time.Minute} }

func (s *sharedShelf) Lease(ctx context.Context) (func(), error) {
	release, err := s.shelf.Lease(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases++
	return release, err
}

func (s *sharedShelf) LeaseLeft() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// alarms are the reasons of those that were told, in their order.
type alarms struct {
	mu   sync.Mutex
	told []string
}

func (a *alarms) Refreshed(string, string, string, time.Duration) {}

func (a *alarms) Alarmed(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, reason)
}

// are fails the test unless these and no others were told.
func (a *alarms) are(t *testing.T, want ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Equal(a.told, want) {
		t.Errorf("alarms: %q, want %q", a.told, want)
	}
}

// named is a Source on a store that writes by a name of its own.
func named(name string, s token.Store, c *chain, log *slog.Logger) *Source {
	shop, _ := token.ParseShop("blue-finch")
	return New(Options{Shop: shop, Log: log, Obtainer: func(of Options) obtainer {
		g := newRotating(c, newPersister(s, of, "", "offline"))
		g.writer = name
		return g
	}})
}

var quiet = slog.New(slog.DiscardHandler)

// chainOf is a shared shelf with a pair of a certain age.
func chainOf(t *testing.T, age, life time.Duration) (*sharedShelf, *chain) {
	s := newSharedShelf()
	r := token.Begin(token.Record{Current: pair(0, time.Now().Add(-age).Round(0), life)})
	r.Written = r.Current.Token.Issued
	s.put(r)
	return s, &chain{t: t, shelf: s.shelf, life: life}
}

func TestAYoungPairIsNotReplacedBecauseAPersonAsks(t *testing.T) {
	for life, window := range map[time.Duration]time.Duration{time.Hour: time.Minute, 10 * time.Second: 6 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			shelf, c := chainOf(t, window/2, life)
			s := named("a", shelf, c, quiet)
			run(t, s)
			synctest.Wait()
			err := s.Refresh(t.Context())
			if !isResting(err) || len(c.calls()) != 0 {
				t.Fatalf("%v after %d POSTs", err, len(c.calls()))
			}
			if st := s.Status(); st.Err != nil || !st.Usable {
				t.Errorf("a refusal to a person is no failure: %+v", st)
			}
			time.Sleep(window / 2)
			if err := s.Refresh(t.Context()); err != nil || len(c.calls()) != 1 {
				t.Errorf("%v after %d POSTs: the window is over", err, len(c.calls()))
			}
		})
	}
}

// A client that gets a 401 gives up; the pause is ours, and it has an end.
func TestARefusedTokenOfAYoungPairIsA503UntilItMayBeReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 20*time.Second, time.Hour)
		s := named("a", shelf, c, quiet)
		run(t, s)
		refused, err := s.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			var u *token.UnavailableError
			if _, err := s.Replace(t.Context(), refused); !errors.As(err, &u) || u.RetryAfter <= 0 || u.RetryAfter > 40*time.Second {
				t.Fatalf("%v", err)
			}
			time.Sleep(time.Second)
		}
		if n := len(c.calls()); n != 0 {
			t.Fatalf("%d POSTs within the window", n)
		}
		time.Sleep(20 * time.Second)
		if got, err := s.Replace(t.Context(), refused); err != nil || got.Access.Equal(refused.Access) || len(c.calls()) != 1 {
			t.Errorf("%v after %d POSTs", err, len(c.calls()))
		}
	})
}

// Nothing is decided about a token while its replacement is under way, however long that takes.
func TestARefusedTokenThatIsBeingReplacedIsA503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 30*time.Minute, time.Hour)
		c.answer = func(int, string) error { time.Sleep(8 * time.Second); return nil }
		s := named("a", shelf, c, quiet)
		run(t, s)
		refused, err := s.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var u *token.UnavailableError
		if _, err := s.Replace(t.Context(), refused); !errors.As(err, &u) {
			t.Errorf("%v", err)
		}
		time.Sleep(4 * time.Second)
		if next, err := s.Replace(t.Context(), refused); err != nil || next.Access.Equal(refused.Access) || len(c.calls()) != 1 {
			t.Errorf("%v after %d POSTs", err, len(c.calls()))
		}
	})
}

func TestA401AboutTheCallIsPassedOnHoweverYoungThePair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, time.Second, time.Hour)
		s := named("a", shelf, c, quiet)
		o := &oracle{alive: true}
		s.opt.Alive = o.ask
		run(t, s)
		tok, err := s.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for n := range 4 {
			_, err := s.Replace(t.Context(), tok)
			if isRefusal := errors.Is(err, ErrRefused); isRefusal != (n >= deadAfter) {
				t.Errorf("call %d: %v", n, err)
			}
			synctest.Wait()
		}
	})
}

func TestAPlaceThatDoesNotFailOverNeedsNoWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c := offlineSource(t, time.Second)
		if err := s.Refresh(t.Context()); err != nil || len(c.calls()) != 1 {
			t.Errorf("%v after %d POSTs", err, len(c.calls()))
		}
	})
}

// The lease of a process that was paused is somebody else's by now.
func TestALeaseThatRanOutIsTakenAnewAndTheStoreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 2*time.Hour, time.Hour)
		slow := &slowWrites{sharedShelf: shelf}
		if got := access(t, named("a", slow, c, quiet)); got != "access-1" || shelf.leases != 2 || fmt.Sprint(c.calls()) != "[refresh-0]" {
			t.Errorf("%s after %d leases and %v", got, shelf.leases, c.calls())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 2*time.Hour, time.Hour)
		slow := &slowWrites{sharedShelf: shelf, theirs: token.Record{Current: pair(7, time.Now().Round(0), time.Hour)}}
		if got := access(t, named("a", slow, c, quiet)); got != "access-7" || len(c.calls()) != 0 {
			t.Errorf("%s after %v: whoever had the lease meanwhile has stored a pair", got, c.calls())
		}
	})
}

// slowWrites is a store whose first write takes as long as its lease.
type slowWrites struct {
	*sharedShelf
	theirs token.Record // is stored meanwhile, if it is not empty
	done   bool
}

func (s *slowWrites) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	handle, err := s.sharedShelf.Swap(ctx, old, next)
	if !s.done {
		s.done = true
		s.set(time.Second)
		if !s.theirs.Current.Refresh.Empty() {
			s.put(s.theirs)
		}
	}
	return handle, err
}

func (s *slowWrites) Lease(ctx context.Context) (func(), error) {
	release, err := s.sharedShelf.Lease(ctx)
	s.set(time.Minute)
	return release, err
}

func (s *sharedShelf) set(left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = left
}

func TestAStoreThatWasRolledBackGetsTheNewestPairBack(t *testing.T) {
	for name, rollBack := range map[string]func(s *sharedShelf, backup token.Record){
		"to an older record":  func(s *sharedShelf, backup token.Record) { s.put(backup) },
		"to another epoch":    func(s *sharedShelf, backup token.Record) { backup.Epoch = ""; s.put(backup) },
		"to nothing":          func(s *sharedShelf, _ token.Record) { s.forget() },
		"while it is refused": func(s *sharedShelf, backup token.Record) { backup.Reauthorize = verdict; s.put(backup) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				shelf, c := chainOf(t, 2*time.Hour, time.Hour)
				s := named("a", shelf, c, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})))
				backup := shelf.stored()
				told := &alarms{}
				s.opt.Observer = told
				run(t, s)
				if got := access(t, s); got != "access-1" {
					t.Fatal(got)
				}
				time.Sleep(5 * time.Minute)
				newest := shelf.stored()
				rollBack(shelf, backup)
				time.Sleep(2 * pollEvery)
				synctest.Wait()
				got := shelf.stored()
				if !got.Current.Refresh.Equal(newest.Current.Refresh) || got.Generation != newest.Generation || got.Epoch != newest.Epoch || got.Reauthorize != nil {
					t.Errorf("stored is generation %d, %s", got.Generation, got.Current.Refresh.Reveal())
				}
				if time.Since(got.Written) > 2*pollEvery {
					t.Error("what was written again counts as written long ago")
				}
				if now := access(t, s); now != "access-1" {
					t.Errorf("%s was taken over", now)
				}
				st := s.Status()
				if !strings.Contains(fmt.Sprint(st.Alarm), "rolled back") || st.Unsaved != nil || strings.Count(log.String(), "rolled back") != 1 {
					t.Errorf("alarm %v, unsaved %v, log %q", st.Alarm, st.Unsaved, log.String())
				}
				time.Sleep(alarmLasts + time.Second)
				if a := s.Status().Alarm; a != nil {
					t.Errorf("the alarm is still shown: %v", a)
				}
				told.are(t, "rolled_back")
			})
		})
	}
}

func (s *shelf) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record, s.version = token.Record{}, 0
}

// A person who logs in anew, on whatever machine, is believed at once.
func TestALoginIsNoRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 2*time.Hour, time.Hour)
		s := named("a", shelf, c, quiet)
		run(t, s)
		access(t, s)
		shelf.put(token.Begin(token.Record{Current: pair(100, time.Now().Round(0), time.Hour)}))
		time.Sleep(2 * pollEvery)
		if got := access(t, s); got != "access-100" || s.Status().Alarm != nil {
			t.Errorf("%s, alarm %v", got, s.Status().Alarm)
		}
	})
}

func TestARecordOfAnEarlierEvergateGoesOnAndGetsAnEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newSharedShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)})
		c := &chain{t: t, shelf: shelf.shelf, life: time.Hour}
		s := named("a", shelf, c, quiet)
		run(t, s)
		access(t, s)
		first := shelf.stored()
		time.Sleep(50 * time.Minute)
		second := shelf.stored()
		if first.Epoch == "" || second.Epoch != first.Epoch || first.Generation == 0 || second.Generation != first.Generation+1 || second.Writer != "a" || s.Status().Alarm != nil {
			t.Errorf("generation %d of %q, then %d of %q, alarm %v", first.Generation, first.Epoch, second.Generation, second.Epoch, s.Status().Alarm)
		}
		// Another replica is one of an earlier version still.
		shelf.put(token.Record{Current: pair(50, time.Now().Round(0), time.Hour)})
		time.Sleep(2 * pollEvery)
		if got := access(t, s); got != "access-50" || s.Status().Alarm != nil {
			t.Errorf("%s, alarm %v", got, s.Status().Alarm)
		}
	})
}

func TestAChainThatIsUsedFromTwoPlacesIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		shelf, c := chainOf(t, 2*time.Hour, time.Hour)
		c.answer = func(int, string) error { // meanwhile somebody writes without the lease
			r := shelf.stored()
			r.Generation, r.Writer, r.Attempt = r.Generation+1, "the other/1", nil
			r.Previous = &token.Previous{Refresh: r.Current.Refresh}
			r.Current = pair(70, time.Now().Round(0), time.Hour)
			shelf.put(r)
			return nil
		}
		s := named("ours/2", shelf, c, slog.New(slog.NewTextHandler(&log, nil)))
		told := &alarms{}
		s.opt.Observer = told
		if got := access(t, s); got != "access-70" {
			t.Errorf("%s: theirs is stored", got)
		}
		told.are(t, "spent_elsewhere")
		for _, text := range []string{fmt.Sprint(s.Status().Alarm), log.String()} {
			if !strings.Contains(text, "the other/1") || !strings.Contains(text, "ours/2") {
				t.Errorf("not both are named: %q", text)
			}
		}
	})
}

func TestAChainThatAnotherStoreHasMovedOnIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 2*time.Hour, time.Hour)
		r := shelf.stored()
		r.Writer = "before/1"
		shelf.put(r)
		c.answer = func(int, string) error { return errDead }
		s := named("ours/2", shelf, c, quiet)
		told := &alarms{}
		s.opt.Observer = told
		run(t, s)
		if _, err := s.Token(t.Context()); !errors.Is(err, token.ErrReauthorize) {
			t.Fatal(err)
		}
		told.are(t, "none_honoured")
		defer told.are(t, "none_honoured") // however often it is probed
		defer time.Sleep(5 * time.Hour)
		if a := fmt.Sprint(s.Status().Alarm); !strings.Contains(a, "before/1") || !strings.Contains(a, "ours/2") || !strings.Contains(a, "store of its own") {
			t.Errorf("%q", a)
		}
	})
}

// Replicas that wait for a lease find the pair of whoever had it.
func TestFiveReplicasMakeAsManyPOSTsAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 2*time.Hour, time.Hour)
		c.answer = func(int, string) error { time.Sleep(700 * time.Millisecond); return nil }
		for n := range 5 {
			run(t, named(fmt.Sprint(n), shelf, c, quiet))
		}
		time.Sleep(24 * time.Hour)
		pairs := int(shelf.stored().Generation) - 1
		if posts := len(c.calls()); posts > pairs || float64(posts) > 1.05*24/renewEarliest+1 {
			t.Errorf("%d POSTs for %d pairs in a day", posts, pairs)
		}
		seen := map[string]bool{}
		for _, r := range c.calls() {
			if seen[r] {
				t.Errorf("%s was sent twice", r)
			}
			seen[r] = true
		}
	})
}

// Nothing is renewed while what is written cannot be, nor while another has the lease.
func TestAWaiterNeverSendsTheRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 2*time.Hour, time.Hour)
		release, err := shelf.Lease(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := named("a", shelf, c, quiet)
		run(t, s)
		time.Sleep(10 * time.Minute)
		if n := len(c.calls()); n != 0 {
			t.Errorf("%d POSTs while another has the right", n)
		}
		release()
		time.Sleep(2 * time.Minute)
		if got := access(t, s); got != "access-1" {
			t.Error(got)
		}
	})
}

// A failover that takes back a note, and with it the epoch of an old record, has lost no pair.
func TestTheSamePairIsNeverTheOlderOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newSharedShelf()
		old := token.Record{Current: pair(0, time.Now().Add(-50*time.Minute).Round(0), time.Hour)}
		shelf.put(old)
		c := &chain{t: t, shelf: shelf.shelf, life: time.Hour, answer: func(int, string) error { return transient() }}
		s := named("a", shelf, c, quiet)
		run(t, s)
		synctest.Wait()
		if shelf.stored().Attempt == nil {
			t.Fatal("no note")
		}
		shelf.put(old)
		time.Sleep(2 * pollEvery)
		if st := s.Status(); st.Alarm != nil || st.Unsaved != nil {
			t.Errorf("alarm %v, unsaved %v", st.Alarm, st.Unsaved)
		}
	})
}

// Somebody who has not seen the login has written back what was there before it.
func TestALoginIsWrittenBackOverWhatItReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 30*time.Minute, time.Hour)
		before := shelf.stored()
		s := named("a", shelf, c, quiet)
		run(t, s)
		synctest.Wait()
		login := token.Begin(token.Record{Current: pair(100, time.Now().Round(0), time.Hour)})
		shelf.put(login)
		time.Sleep(2 * pollEvery)
		before.Written = time.Now().Round(0)
		shelf.put(before)
		time.Sleep(2 * pollEvery)
		if got := shelf.stored(); got.Epoch != login.Epoch || s.Status().Alarm == nil || access(t, s) != "access-100" {
			t.Errorf("stored is %s, alarm %v", got.Current.Refresh.Reveal(), s.Status().Alarm)
		}
	})
}

// An app that was uninstalled deletes its session, and does not want it back.
func TestWhatTheOwnerOfAPlaceTakesAwayStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, c := chainOf(t, 2*time.Hour, time.Hour)
		s := named("a", yieldingShelf{shelf}, c, quiet)
		run(t, s)
		if got := access(t, s); got != "access-1" {
			t.Fatal(got)
		}
		shelf.forget()
		time.Sleep(2 * time.Hour)
		if _, handle, err := shelf.Load(t.Context()); !errors.Is(err, token.ErrNotFound) {
			t.Errorf("there is a record again, %s", handle)
		}
		if _, err := s.Token(t.Context()); !errors.Is(err, token.ErrReauthorize) || len(c.calls()) != 1 {
			t.Errorf("%v after %d POSTs", err, len(c.calls()))
		}
	})
}

// An app that acquires a grant retires the refresh token that we have before it has stored its own.
func TestAnAppMayTakeAMomentToStoreWhatItHasAcquired(t *testing.T) {
	for name, tc := range map[string]struct {
		takes   time.Duration
		deletes bool
		want    []string
	}{
		"a moment":                  {takes: theirsWithin - time.Second},
		"the older row goes before": {takes: theirsWithin - time.Second, deletes: true},
		"too long":                  {takes: theirsWithin + time.Minute, want: []string{"none_honoured"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shelf, c := chainOf(t, 2*time.Hour, time.Hour)
				c.answer = func(int, string) error { return errDead }
				s := named("a", yieldingShelf{shelf}, c, quiet)
				told := &alarms{}
				s.opt.Observer = told
				go func() {
					time.Sleep(tc.takes / 2)
					if tc.deletes {
						shelf.forget()
					}
					time.Sleep(tc.takes / 2)
					shelf.put(token.Begin(token.Record{Current: pair(70, time.Now().Round(0), time.Hour)}))
				}()
				run(t, s)
				_, err := s.Token(t.Context()) // a caller is told what came of it
				if died := errors.Is(err, token.ErrReauthorize); died != (tc.want != nil) || !died && err != nil {
					t.Error(err)
				}
				time.Sleep(tc.takes + time.Minute)
				if got := access(t, s); got != "access-70" {
					t.Error(got)
				}
				told.are(t, tc.want...)
			})
		})
	}
}

type yieldingShelf struct{ *sharedShelf }

func (yieldingShelf) Yields() bool { return true }

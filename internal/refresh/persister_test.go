package refresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// What the model test found, each as a story of its own.

func TestImportedRefreshTokenIsUsedWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, 2*time.Hour)
		c.answer = func(_ int, refresh string) error {
			if refresh == "refresh-0" {
				return errDead
			}
			return nil
		}
		run(t, s)
		time.Sleep(10 * time.Minute)
		shelf.put(token.Record{Current: token.Pair{Refresh: token.NewSecret("imported")}})
		time.Sleep(pollEvery + time.Second)
		if st := s.Status(); st.Reauthorize || !st.Usable {
			t.Errorf("status %+v", st)
		}
	})
}

func TestTwoThatSeeADeadGrantDoNotSpurEachOtherOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, shelf, c := offlineSource(t, 2*time.Hour)
		c.answer = func(int, string) error { return errDead }
		run(t, a)
		run(t, sourceOn(shelf, c))
		time.Sleep(24 * time.Hour)
		if n := len(c.calls()); n > 80 {
			t.Errorf("%d probes in a day, of two processes that make one in an hour", n)
		}
	})
}

func TestPersonsRefreshDoesNotGoAheadWithoutANoteWhileThereIsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, time.Minute)
		shelf.breakSwaps(errors.New("disk full"))
		run(t, s)
		time.Sleep(time.Second)
		if err := s.Refresh(t.Context()); !errors.Is(err, token.ErrTransient) || len(c.calls()) != 0 {
			t.Errorf("%v after %d refreshes", err, len(c.calls()))
		}
	})
}

func TestRefusedTokenIsRenewedWithoutANote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, time.Minute)
		shelf.breakSwaps(errors.New("disk full"))
		refused, err := s.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Replace(t.Context(), refused); err != nil || got.Access.Equal(refused.Access) || len(c.calls()) != 1 {
			t.Errorf("%v after %d refreshes: a refused token has nothing left that could be waited for", err, len(c.calls()))
		}
	})
}

// Another process notes or judges what is still stored, while we hold its successor.
func TestPairThatCouldNotBeWrittenSurvivesTheNotesOfOthers(t *testing.T) {
	for name, annotate := range map[string]func(*token.Record){
		"note":    func(r *token.Record) { r.Attempt = &token.Attempt{Fingerprint: "theirs", Started: time.Now().Round(0)} },
		"verdict": func(r *token.Record) { r.Reauthorize = &token.Reauthorize{Since: time.Now().Round(0), Reason: "dead"} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, shelf, c := offlineSource(t, 2*time.Hour)
				c.answer = func(int, string) error { shelf.breakSwaps(errors.New("disk full")); return nil }
				run(t, s)
				time.Sleep(time.Second)
				if s.Status().Unsaved == nil {
					t.Fatal("the pair was written")
				}
				theirs := shelf.stored()
				annotate(&theirs)
				shelf.put(theirs)
				shelf.breakSwaps(nil)
				time.Sleep(time.Minute)
				r := shelf.stored()
				if r.Current.Refresh.Reveal() != "refresh-1" || r.Previous == nil || r.Previous.Refresh.Reveal() != "refresh-0" || r.Reauthorize != nil {
					t.Errorf("stored %s, %+v", r.Current.Refresh.Reveal(), r)
				}
			})
		})
	}
}

// A write can take effect although its answer is lost: over a network, say.
func TestNoteWhoseAnswerWasLostIsNoConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)})
		c := &chain{t: t, shelf: shelf, life: time.Hour}
		shop, _ := token.ParseShop("blue-finch")
		s := New(Options{Shop: shop, Obtainer: Rotating(c, &mumbling{shelf: shelf, left: 1}, ""), Log: slog.New(slog.DiscardHandler)})
		if got := access(t, s); got != "access-1" || len(c.calls()) != 1 {
			t.Errorf("%s after %v", got, c.calls())
		}
	})
}

// mumbling is a store whose first writes succeed and say that they failed.
type mumbling struct {
	*shelf
	left int
}

func (m *mumbling) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	handle, err := m.shelf.Swap(ctx, old, next)
	if err == nil && m.left > 0 {
		m.left--
		return "", errors.New("the connection broke")
	}
	return handle, err
}

func TestStopWritesWhatCouldNotBeWrittenBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shelf, c := offlineSource(t, 2*time.Hour)
		c.answer = func(int, string) error { shelf.breakSwaps(errors.New("disk full")); return nil }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		time.Sleep(5 * time.Minute) // the pauses between writes have grown to a minute
		shelf.breakSwaps(nil)
		stop()
		<-ended
		if got := shelf.stored().Current.Refresh.Reveal(); got != "refresh-1" {
			t.Errorf("stored %s", got)
		}
	})
}

func TestRefusedTokenIsReplacedDespitePassingFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t, time.Hour)
		s := newSource(e)
		run(t, s)
		refused, failures := use(t, s, e), 0
		e.failWith(func() error {
			if failures++; failures <= 2 {
				return transient()
			}
			return nil
		})
		if got, err := s.Replace(t.Context(), refused); err != nil || got.Access.Equal(refused.Access) {
			t.Errorf("%v: two lost answers must not make a 401", err)
		}
		if n := e.count(); n != 4 {
			t.Errorf("%d POSTs, want 4", n)
		}
		e.failWith(transient)
		refused = use(t, s, e)
		time.Sleep(rejectionHold)
		began := time.Now()
		_, err := s.Replace(t.Context(), refused)
		_, waits := errors.AsType[*token.UnavailableError](err) // for the attempt under way, which may bring another token
		if stands := errors.Is(err, ErrRefused); stands == waits || waits != e.busy() || time.Since(began) > 2*defaultWait {
			t.Errorf("%v after %s, being asked: %v", err, time.Since(began), e.busy())
		}
		if n := e.count(); n > 20 {
			t.Errorf("%s", fmt.Sprint(n, " POSTs: the back-off was not heeded"))
		}
	})
}

// What was read for a Source is its first read, unless that is old by then.
func TestWhatWasReadForASourceIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Round(0), time.Hour)})
		shop, _ := token.ParseShop("blue-finch")
		record, handle, _ := shelf.Load(t.Context())
		shelf.failRead = errPassing
		for age, want := range map[time.Duration]error{0: nil, storedLasts: token.ErrTransient} {
			s := New(Options{
				Shop: shop, Obtainer: Rotating(&chain{t: t, shelf: shelf, life: time.Hour}, shelf, ""), Log: slog.New(slog.DiscardHandler), Told: true,
				Stored: &Stored{Record: record, Handle: handle, Read: time.Now().Add(-age)},
			})
			if _, err := s.Token(t.Context()); !errors.Is(err, want) {
				t.Errorf("%s after it was read: %v, want %v", age, err, want)
			}
		}
	})
}

// What was read before the lease is not what is there under it: another process may have made a token meanwhile.
func TestWhatIsReadUnderTheLeaseIsReadThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop, _ := token.ParseShop("blue-finch")
		ended := token.Record{Grant: "client_credentials", Current: pair(0, time.Now().Add(-2*time.Hour).Round(0), time.Hour)}
		ended.Current.Refresh = token.Secret{}
		shelf := newShelf()
		shelf.put(ended)
		record, handle, _ := shelf.Load(t.Context())
		made := ended
		made.Current.Token = token.Token{Access: token.NewSecret("another's"), Issued: time.Now().Round(0), Life: time.Hour}
		shelf.put(made)
		s := New(Options{
			Shop: shop, Obtainer: Cached(asked{t}, shelf, ""), Log: slog.New(slog.DiscardHandler), Told: true,
			Stored: &Stored{Record: record, Handle: handle, Read: time.Now()},
		})
		if got, err := s.Token(t.Context()); err != nil || got.Access.Reveal() != "another's" {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// asked is a grant that is not to be asked.
type asked struct{ t *testing.T }

func (asked) Name() string { return "client_credentials" }

func (a asked) Grant(context.Context) (token.Token, error) {
	a.t.Error("a token is obtained although another process has just stored one")
	return token.Token{}, errPassing
}

// Whoever was told of a change reads what there is now, whatever was read for the Source before.
func TestWhoIsToldOfAChangeReadsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop, _ := token.ParseShop("blue-finch")
		shelf := newShelf()
		shelf.put(token.Record{Current: pair(0, time.Now().Round(0), time.Hour)})
		record, handle, _ := shelf.Load(t.Context())
		shelf.put(token.Record{Current: pair(1, time.Now().Round(0), time.Hour)})
		s := New(Options{
			Shop: shop, Obtainer: Rotating(&chain{t: t, shelf: shelf, life: time.Hour}, shelf, ""), Log: slog.New(slog.DiscardHandler), Told: true,
			Stored: &Stored{Record: record, Handle: handle, Read: time.Now()},
		})
		s.Look(t.Context())
		if got, err := s.Token(t.Context()); err != nil || !got.Access.Equal(pair(1, time.Now(), time.Hour).Token.Access) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

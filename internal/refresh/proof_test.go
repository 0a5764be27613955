package refresh

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// oracle is Shopify's answer to the question whether a token is alive.
type oracle struct {
	mu    sync.Mutex
	alive bool
	err   error
	asked []time.Time
}

func (o *oracle) ask(context.Context, token.Secret) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, time.Now())
	return o.alive, o.err
}

func (o *oracle) set(alive bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.alive, o.err = alive, err
}

func (o *oracle) times() []time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

func provable(t *testing.T, life time.Duration, o *oracle) (*Source, *endpoint) {
	e := newEndpoint(t, life)
	shop, _ := token.ParseShop("blue-finch")
	s := New(Options{Shop: shop, Obtainer: Direct(e), Log: slog.New(slog.DiscardHandler), Alive: o.ask})
	run(t, s)
	return s, e
}

// refuse is a call that is answered with 401 whatever the token is.
func refuse(t *testing.T, s *Source) {
	t.Helper()
	tok, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the call and its replay
		next, err := s.Replace(t.Context(), tok)
		if errors.Is(err, ErrRefused) {
			break
		}
		tok = next
	}
	synctest.Wait()
}

// Any local program can make such calls; they must not take the sidecar out of service.
func TestPathThatAlwaysAnswers401DoesNotMakeATokenUnusable(t *testing.T) {
	for _, life := range []time.Duration{24 * time.Hour, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			o := &oracle{alive: true}
			s, _ := provable(t, life, o)
			hold := scale(proofHold, life)
			for range 1000 {
				refuse(t, s)
				if st := s.Status(); st.Refused || !st.Usable {
					t.Fatal("the token is called unusable although Shopify accepts it")
				}
				time.Sleep(hold / 50)
			}
			asked := o.times()
			if len(asked) == 0 {
				t.Error("Shopify was never asked")
			}
			for i := 1; i < len(asked); i++ {
				if pause := asked[i].Sub(asked[i-1]); pause < hold {
					t.Fatalf("asked again after %s, want %s at least", pause, hold)
				}
			}
		})
	}
}

// A pod that is out of its Service gets no calls that could find out that all is well again.
func TestDeadTokenRecoversWithoutACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{}
		s, e := provable(t, 24*time.Hour, o)
		refuse(t, s)
		e.failWith(transient) // there is no other token either
		refuse(t, s)
		refuse(t, s)
		if st := s.Status(); st.Usable || st.State != "refused" {
			t.Fatalf("%+v", st)
		}
		time.Sleep(10 * time.Minute)
		if n := len(o.times()); n < 9 || n > 21 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		if s.Status().Usable {
			t.Error("usable although nothing has changed")
		}
		o.set(true, nil)
		time.Sleep(2 * proofHold)
		if !s.Status().Usable {
			t.Error("not usable although Shopify accepts the token again")
		}
		n := len(o.times())
		time.Sleep(10 * time.Minute)
		if len(o.times()) != n {
			t.Error("still asking about a token that is well")
		}
	})
}

// An app that is installed again hands out new tokens; the old one stays dead.
func TestDeadTokenIsReplacedWithoutACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{}
		s, e := provable(t, 24*time.Hour, o)
		refuse(t, s)
		e.failWith(transient)
		refuse(t, s)
		refuse(t, s)
		if s.Status().Usable {
			t.Fatal("not called dead")
		}
		e.failWith(nil)
		time.Sleep(5 * time.Minute)
		if !s.Status().Usable {
			t.Error("no other token was tried for")
		}
	})
}

func TestWhatIsNotKnownDoesNotMakeATokenUnusable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{err: errors.New("no answer")}
		s, _ := provable(t, 24*time.Hour, o)
		for range 10 {
			refuse(t, s)
		}
		if !s.Status().Usable || len(o.times()) != 1 {
			t.Errorf("%+v, asked %d times", s.Status(), len(o.times()))
		}
		o.set(false, nil)
		time.Sleep(2*proofHold + time.Second)
		if s.Status().Usable {
			t.Error("the question was not asked again")
		}
	})
}

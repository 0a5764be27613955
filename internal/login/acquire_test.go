package login

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/grant"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

func TestFailedExchangeKeepsWhatIsStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	kept := token.Record{Shop: shopsim.DefaultShop, ClientID: shopsim.DefaultClientID, Grant: "offline", Current: token.Pair{Refresh: token.NewSecret("shprt_kept")}}
	if _, err := r.store.Swap(t.Context(), "", kept); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []shopsim.Fault{{Kind: shopsim.FaultStatus, Status: 500}, {Kind: shopsim.FaultDrop}, {Kind: shopsim.FaultEmpty}} {
		fault.Endpoint, fault.Count = shopsim.TokenEndpoint, 1
		r.sim.Inject(fault)
		authorize, state := r.begin(t)
		if _, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install")); !errors.Is(err, token.ErrTransient) || !IsOver(err) {
			t.Errorf("%s: %v", fault.Kind, err)
		}
		if rec := r.record(t); !rec.Current.Refresh.Equal(kept.Current.Refresh) {
			t.Errorf("%s: the stored grant is gone", fault.Kind)
		}
	}
}

// A browser that goes away, as one does when a person reloads, must not cost the code.
func TestExchangeOutlivesTheBrowser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	authorize, state := r.begin(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.flow.Grant.Endpoint.API.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
		cancel()
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		return r.sim.RoundTripper().RoundTrip(req)
	})
	if _, err := r.flow.Finish(ctx, state, r.decide(t, authorize, "install")); err != nil || r.isEmpty(t) {
		t.Errorf("%v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// While a code is exchanged nobody refreshes: each would end the other's chain.
func TestExchangeHoldsTheLease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	authorize, state := r.begin(t)
	held := false
	r.flow.Grant.Endpoint.API.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithCancel(req.Context())
		cancel()
		_, err := r.store.Lease(ctx)
		held = err != nil
		return r.sim.RoundTripper().RoundTrip(req)
	})
	if _, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install")); err != nil || !held {
		t.Errorf("held %v: %v", held, err)
	}
	release, err := r.store.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
}

// contested is a store in which somebody else writes in front of us.
type contested struct {
	token.Store
	left *int
	err  error
}

func (s contested) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	if *s.left > 0 {
		*s.left--
		return "", s.err
	}
	return s.Store.Swap(ctx, old, next)
}

func TestGrantInHandIsStoredAgainstOthersWrites(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		times int
		err   error
		good  bool
	}{{storeTries - 1, token.ErrConflict, true}, {storeTries, token.ErrConflict, false}, {1, io.ErrShortWrite, false}} {
		times := tc.times
		r := newRig(t, func(o *Options) { o.Store = contested{o.Store, &times, tc.err} })
		authorize, state := r.begin(t)
		_, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install"))
		if (err == nil) != tc.good || err != nil && !strings.Contains(err.Error(), "cannot be stored") || r.posts() != 1 || r.isEmpty(t) == tc.good {
			t.Errorf("%+v: %v after %d exchanges", tc, err, r.posts())
		}
	}
}

// paused is a store whose lease has ended when it has been read, as after a pause, the first few times.
type paused struct {
	token.Store
	times *int
	ended *bool
}

func (s paused) Lease(ctx context.Context) (func(), error) {
	*s.ended = false
	return s.Store.Lease(ctx)
}

func (s paused) LeaseLeft() time.Duration {
	if *s.ended {
		return 0
	}
	return 10 * time.Second
}

func (s paused) Load(ctx context.Context) (token.Record, token.Handle, error) {
	if *s.times > 0 {
		*s.times--
		*s.ended = true
	}
	return s.Store.Load(ctx)
}

// A code is exchanged, or a session token, only while nobody else may have the lease.
func TestNothingIsExchangedWithoutALease(t *testing.T) {
	t.Parallel()
	for times, good := range map[int]bool{0: true, 1: true, 2: true, 3: false} {
		for _, way := range []string{"code", "session token"} {
			left, ended := times, false
			r := newRig(t, func(o *Options) { o.Store = paused{o.Store, &left, &ended} })
			r.flow.Grant.Endpoint.API.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
				if ended {
					t.Errorf("%s, %d pauses: sent without a lease", way, times)
				}
				return r.sim.RoundTripper().RoundTrip(req)
			})
			var err error
			if way == "code" {
				authorize, state := r.begin(t)
				_, err = r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install"))
			} else {
				r.sim.Install(shopsim.DefaultShop, shopsim.DefaultClientID)
				_, err = r.flow.Exchange(t.Context(), token.NewSecret(r.sim.SessionToken(shopsim.DefaultShop, shopsim.DefaultClientID)))
			}
			if (err == nil) != good || r.isEmpty(t) == good || !good && (r.posts() != 0 || !errors.Is(err, token.ErrTransient)) {
				t.Errorf("%s, %d pauses: %v after %d posts", way, times, err, r.posts())
			}
		}
	}
}

func TestCloseWaitsForTheExchangeAndLetsNoOtherBegin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.sim.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Endpoint: shopsim.TokenEndpoint, Delay: 20 * time.Second, Count: 1})
		authorize, state := r.begin(t)
		late, lateState := r.begin(t)
		query, lateQuery := r.decide(t, authorize, "install"), r.decide(t, late, "install")
		done := make(chan error, 1)
		go func() { _, err := r.flow.Finish(t.Context(), state, query); done <- err }()
		synctest.Wait()
		began := time.Now()
		r.flow.Close()
		if d := time.Since(began); d != 20*time.Second {
			t.Errorf("it waited %s", d)
		}
		if err := <-done; err != nil || r.isEmpty(t) {
			t.Errorf("%v", err)
		}
		if _, err := r.flow.Finish(t.Context(), lateState, lateQuery); !errors.Is(err, ErrClosing) {
			t.Errorf("%v", err)
		}
	})
}

func TestUnreadableSecretBeginsNothing(t *testing.T) {
	t.Parallel()
	gone := errors.New("SHOPIFY_CLIENT_SECRET_FILE: the file cannot be read")
	r := newRig(t, func(o *Options) {
		o.Grant.Endpoint.Client = func() (grant.Client, error) { return grant.Client{}, gone }
	})
	if _, _, err := r.flow.Begin(redirectURI); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if _, err := r.flow.Finish(t.Context(), "x", "y=z"); !errors.Is(err, gone) || !IsOver(err) {
		t.Errorf("%v", err)
	}
}

func TestEachLoginBeginsAChain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	epochs := map[string]bool{}
	for range 2 {
		authorize, state := r.begin(t)
		if _, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install")); err != nil {
			t.Fatal(err)
		}
		rec := r.record(t)
		if rec.Generation != 1 || rec.Writer != token.ThisProcess() {
			t.Errorf("generation %d by %q", rec.Generation, rec.Writer)
		}
		epochs[rec.Epoch] = true
	}
	if len(epochs) != 2 || epochs[""] {
		t.Errorf("epochs %v", epochs)
	}
}

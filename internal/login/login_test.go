package login

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/grant"
	"evergate/internal/shopsim"
)

func TestLoginStoresTheGrant(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Scopes = []string{"read_products", "write_products"} })
	authorize, state := r.begin(t)
	u, err := url.Parse(authorize)
	if err != nil || u.Host != shopsim.DefaultShop || u.Query().Get("scope") != "read_products,write_products" || u.Query().Get("redirect_uri") != redirectURI ||
		len(u.Query()) != 4 {
		t.Fatalf("%s", authorize)
	}
	g, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install"))
	if err != nil {
		t.Fatal(err)
	}
	if g.Shop != r.shop || strings.Join(g.Scopes, ",") != "read_products,write_products" || g.MissingScopes != nil ||
		time.Until(g.Expires) < 59*time.Minute || time.Until(g.RefreshExpires) < 89*24*time.Hour {
		t.Errorf("%+v", g)
	}
	rec := r.record(t)
	if rec.Grant != "offline" || rec.ClientID != shopsim.DefaultClientID || rec.Shop != shopsim.DefaultShop ||
		!rec.Current.Token.Expires() || rec.Current.Refresh.Empty() || rec.Previous != nil || rec.Attempt != nil || rec.Reauthorize != nil {
		t.Errorf("%+v", rec)
	}
	if !r.sim.ChainAlive("", "") {
		t.Error("what is stored is not the living chain")
	}
}

func TestPermanentTokenOnRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Permanent = true })
	authorize, state := r.begin(t)
	g, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install"))
	if err != nil || !g.Expires.IsZero() || !g.RefreshExpires.IsZero() {
		t.Fatalf("%+v: %v", g, err)
	}
	if rec := r.record(t); rec.Current.Token.Expires() || !rec.Current.Refresh.Empty() || rec.Grant != "offline" {
		t.Errorf("%+v", rec)
	}
}

func TestMissingScopesAreNamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Scopes = []string{"read_orders", "read_products"} })
	authorize, state := r.begin(t)
	authorize = strings.Replace(authorize, "read_orders%2C", "", 1) // the merchant edits the address
	g, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install"))
	if err != nil || fmt.Sprint(g.MissingScopes) != "[read_orders]" {
		t.Errorf("%+v: %v", g, err)
	}
}

func TestForgedCallbackChangesNothingAndTheLoginGoesOn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tc := range []struct {
		name  string
		query func(state string) string
		want  error
	}{
		{"nothing", func(string) string { return "" }, grant.ErrMalformed},
		{"twice", func(s string) string { return signed(s, shopsim.DefaultClientSecret, now) + "&state=" + s }, grant.ErrMalformed},
		{"other_state", func(string) string { return signed(foreignState, shopsim.DefaultClientSecret, now) }, grant.ErrState},
		{"no_state", func(s string) string { return signed(s, shopsim.DefaultClientSecret, now, "state", "-") }, grant.ErrState},
		{"wrong_secret", func(s string) string { return signed(s, "shpss_guessed", now) }, grant.ErrHMAC},
		{"empty_secret", func(s string) string { return signed(s, "", now) }, grant.ErrHMAC},
		{"other_shop", func(s string) string {
			return signed(s, shopsim.DefaultClientSecret, now, "shop", "other-shop.myshopify.com")
		}, grant.ErrShop},
		{"stale", func(s string) string { return signed(s, shopsim.DefaultClientSecret, now.Add(-time.Hour)) }, grant.ErrStale},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			authorize, state := r.begin(t)
			if _, err := r.flow.Finish(t.Context(), state, tc.query(state)); !errors.Is(err, tc.want) || IsOver(err) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if r.posts() != 0 || !r.isEmpty(t) {
				t.Error("a code was sent or something was stored")
			}
			if _, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install")); err != nil {
				t.Errorf("the login does not go on: %v", err)
			}
		})
	}
}

func TestPreviousSecretSignsToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, state := r.begin(t)
	// The code is unknown, so getting as far as that says that the signature was good.
	if _, err := r.flow.Finish(t.Context(), state, signed(state, oldSecret, time.Now())); !errors.Is(err, grant.ErrCode) {
		t.Errorf("%v", err)
	}
}

func TestStateIsGoodForOneCallback(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	authorize, state := r.begin(t)
	query := r.decide(t, authorize, "install")
	var mu sync.Mutex
	var wg sync.WaitGroup
	good, refused := 0, 0
	for range 8 {
		wg.Go(func() {
			_, err := r.flow.Finish(t.Context(), state, query)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				good++
			} else if errors.Is(err, grant.ErrState) {
				refused++
			}
		})
	}
	wg.Wait()
	if good != 1 || refused != 7 || r.posts() != 1 {
		t.Errorf("%d accepted, %d refused, %d exchanges", good, refused, r.posts())
	}
}

func TestReplayedCodeEndsTheLoginAndStoresNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, state := r.begin(t)
	first, firstState := r.begin(t)
	used, _ := url.ParseQuery(r.decide(t, first, "install"))
	if _, err := r.flow.Finish(t.Context(), firstState, used.Encode()); err != nil {
		t.Fatal(err)
	}
	before := r.record(t)
	_, err := r.flow.Finish(t.Context(), state, signed(state, shopsim.DefaultClientSecret, time.Now(), "code", used.Get("code")))
	if !errors.Is(err, grant.ErrCode) || !IsOver(err) {
		t.Errorf("%v", err)
	}
	if after := r.record(t); !after.Current.Refresh.Equal(before.Current.Refresh) || !r.sim.ChainAlive("", "") {
		t.Error("the grant before is lost")
	}
	if _, err := r.flow.Finish(t.Context(), state, signed(state, shopsim.DefaultClientSecret, time.Now())); !errors.Is(err, grant.ErrState) {
		t.Errorf("the login goes on: %v", err)
	}
}

func TestDeclinedLoginIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	authorize, state := r.begin(t)
	query := r.decide(t, authorize, "cancel")
	if _, err := r.flow.Finish(t.Context(), state, query); !errors.Is(err, grant.ErrDeclined) || !IsOver(err) || r.posts() != 0 {
		t.Errorf("%v", err)
	}
	if _, err := r.flow.Finish(t.Context(), state, query); !errors.Is(err, grant.ErrState) {
		t.Errorf("%v", err)
	}
}

func TestLoginWaitsTenMinutes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		after time.Duration
		want  error
	}{{Life - time.Second, nil}, {Life, grant.ErrState}} {
		t.Run(tc.after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				authorize, state := r.begin(t)
				time.Sleep(tc.after)
				if _, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install")); !errors.Is(err, tc.want) {
					t.Errorf("%v, want %v", err, tc.want)
				}
			})
		})
	}
}

func TestStrangersEndNobodysLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	authorize, state := r.begin(t)
	for range 5000 {
		r.begin(t)
	}
	if n := len(r.flow.states.used); n != 0 {
		t.Errorf("%d logins that wait are remembered", n)
	}
	if _, err := r.flow.Finish(t.Context(), state, r.decide(t, authorize, "install")); err != nil {
		t.Errorf("a merchant's login: %v", err)
	}
}

func TestAStateIsGoodOnceAndForItsProcessAndShopAlone(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newStates("acme.myshopify.com")
	state := s.issue(now)
	other := &states{s.ledger, "evil.myshopify.com"}
	for name, good := range map[string]bool{
		"its own": s.waits(state, now), "a second before the end": s.waits(state, now.Add(Life-time.Second)),
	} {
		if !good {
			t.Errorf("%s is refused", name)
		}
	}
	for name, good := range map[string]bool{
		"at the end": s.waits(state, now.Add(Life)), "of another process": newStates("acme.myshopify.com").waits(state, now), "of another shop": other.waits(state, now),
		"empty": s.waits("", now), "cut": s.waits(state[1:], now), "longer": s.waits(state+"A", now), "other": s.waits(foreignState, now),
		"padded": s.waits(state+"=", now), "in lines": s.waits(state[:4]+"\n"+state[4:], now), "used at the end": s.use(state, now.Add(Life)),
	} {
		if good {
			t.Errorf("%s is accepted", name)
		}
	}
	for i := range len(state) {
		changed := []byte(state)
		changed[i] ^= 1
		if s.waits(string(changed), now) {
			t.Errorf("byte %d can be changed", i)
		}
	}
	if !s.use(state, now) || s.use(state, now) || s.waits(state, now) {
		t.Error("it is not good for one callback")
	}
}

func TestWhatWasUsedIsRememberedUntilItEndsAndNoLonger(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newStates("acme.myshopify.com")
	for i := range 2 * mostUsed {
		if !s.use(s.issue(now), now.Add(time.Duration(i))) {
			t.Fatal("refused")
		}
	}
	if len(s.used) != mostUsed {
		t.Errorf("%d are remembered", len(s.used))
	}
	if later := now.Add(Life); !s.use(s.issue(later), later) || len(s.used) != 1 {
		t.Errorf("%d are remembered when all but one have ended", len(s.used))
	}
}

func FuzzState(f *testing.F) {
	now := time.Now()
	s := newStates("acme.myshopify.com")
	for _, seed := range []string{newStates("acme.myshopify.com").issue(now), foreignState, "", "=", strings.Repeat("A", 75)} {
		f.Add(seed)
	}
	good := s.issue(now)
	f.Fuzz(func(t *testing.T, state string) {
		if state != good && s.waits(state, now) {
			t.Errorf("%q is accepted", state)
		}
	})
}

// foreignState has the length of a random state, and is none of ours.
const foreignState = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

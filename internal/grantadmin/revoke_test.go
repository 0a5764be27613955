package grantadmin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// withCurrent is how a command obtains the stored token.
func (r *rig) withCurrent(t *testing.T) func(context.Context) (token.Token, error) {
	return func(context.Context) (token.Token, error) { return r.stored(t).Current.Token, nil }
}

func TestUninstallingEndsTheTokensAndMarksTheGrant(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(t, token.Record{Current: r.pair()})
	before := r.stored(t)
	if err := r.Uninstall(r.withCurrent(t)); err != nil {
		t.Fatal(err)
	}
	after := r.stored(t)
	if r.accepts(t, before.Current.Token.Access) || r.sim.ChainAlive("", "") {
		t.Error("the app is still installed")
	}
	if after.Reauthorize == nil || after.Reauthorize.Reason == "" || time.Since(after.Reauthorize.Since) > time.Minute || !after.Current.Refresh.Equal(before.Current.Refresh) {
		t.Errorf("%+v", after) // what is stored stays, and says that a person is needed
	}
}

func TestUninstallingSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	noToken, full := errors.New("no token"), errors.New("no space left")
	for name, tc := range map[string]struct {
		prepare func(*rig)
		obtain  error
		says    string
		is      error
		done    bool
	}{
		"no token":                {obtain: noToken, says: "nothing was changed", is: noToken},
		"a dead token":            {prepare: func(r *rig) { r.sim.Uninstall("", "") }, says: "may be uninstalled already"},
		"Shopify refuses":         {prepare: func(r *rig) { r.sim.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 422, Count: 1}) }, says: "nothing was changed"},
		"a lost answer":           {prepare: func(r *rig) { r.sim.Inject(shopsim.Fault{Kind: shopsim.FaultDrop, AfterCommit: true, Count: 1}) }, says: "is not known", done: true},
		"a store that is no good": {prepare: func(r *rig) { r.store.before = func(int) error { return full } }, says: "could not be marked", is: full, done: true},
	} {
		r := newRig(t)
		r.put(t, token.Record{Current: r.pair()})
		access := r.stored(t).Current.Token.Access
		if tc.prepare != nil {
			tc.prepare(r)
		}
		err := r.Uninstall(func(ctx context.Context) (token.Token, error) {
			if tc.obtain != nil {
				return token.Token{}, tc.obtain
			}
			return r.withCurrent(t)(ctx)
		})
		if err == nil || !strings.Contains(err.Error(), tc.says) || tc.is != nil && !errors.Is(err, tc.is) || r.stored(t).Reauthorize != nil {
			t.Errorf("%s: %v", name, err)
		}
		if gone := !r.accepts(t, access); gone != (tc.done || name == "a dead token") {
			t.Errorf("%s: uninstalled: %t", name, gone)
		}
	}
}

func TestUninstallingMarksNoGrantThatCanBeAskedForAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(t, token.Record{Grant: config.GrantClientCredentials, Current: r.pair()})
	if err := r.Uninstall(r.withCurrent(t)); err != nil || r.stored(t).Reauthorize != nil || r.store.writes != 0 {
		t.Errorf("%v, %+v", err, r.stored(t))
	}
	r.sim.Install("", "")
	access := r.permanent()
	r.Store = nil
	if err := r.Uninstall(func(context.Context) (token.Token, error) { return token.Token{Access: access}, nil }); err != nil {
		t.Errorf("%v without a store", err)
	}
	if _, err := r.API.Scopes(t.Context(), access); !errors.Is(err, shopify.ErrToken) {
		t.Errorf("%v", err)
	}
}

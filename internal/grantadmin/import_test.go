package grantadmin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

func TestWhatIsNoTokenToKeepIsFound(t *testing.T) {
	t.Parallel()
	const rest = "0123456789abcdef0123456789abcdef"
	for _, tc := range []struct {
		value     string
		isRefresh bool
		says      string // empty: it can be kept
	}{
		{"shpat_" + rest, false, ""}, {"shpca_" + rest, false, ""}, {"shprt_" + rest, true, ""}, {"of-no-known-kind", false, ""}, {"of-no-known-kind", true, ""},
		{"shpss_" + rest, false, "SHOPIFY_CLIENT_SECRET"}, {"shpss_" + rest, true, "SHOPIFY_CLIENT_SECRET"}, {"shptka_" + rest, false, "a token of an app"},
		{"shprt_" + rest, false, "--access"}, {"shpat_" + rest, true, "--refresh"}, {"shpca_" + rest, true, "--refresh"}, {"shpua_" + rest, false, "evergate login"},
		{"", false, "copy it again"}, {"two words", false, "copy it again"}, {`"quoted"`, false, "copy it again"}, {"'quoted'", true, "copy it again"}, {"line\n", false, "copy it again"}, {"tö", true, "copy it again"},
	} {
		err := (&Admin{}).Mistaken(token.NewSecret(tc.value), tc.isRefresh)
		if (err == nil) != (tc.says == "") || err != nil && (!strings.Contains(err.Error(), tc.says) || tc.value != "" && strings.Contains(err.Error(), tc.value)) {
			t.Errorf("%q, refresh %t: %v, want one that says %q", tc.value, tc.isRefresh, err, tc.says)
		}
	}
}

func TestVerifyAsksWhatATokenMayDo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	access := r.permanent()
	got, err := r.Verify(t.Context(), access)
	if err != nil || !got.Access.Equal(access) || got.Expires() || got.Issued.IsZero() || len(got.Scopes) == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := r.Verify(t.Context(), token.NewSecret("shpat_00000000000000000000000000000000")); !errors.Is(err, shopify.ErrToken) || !strings.Contains(err.Error(), "not stored") {
		t.Errorf("%v for a token of nobody", err)
	}
	r.sim.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 502, Count: 1})
	if _, err := r.Verify(t.Context(), access); err == nil || errors.Is(err, shopify.ErrToken) || !strings.Contains(err.Error(), "--no-verify") {
		t.Errorf("%v while Shopify does not answer", err)
	}
}

func TestTheSameTokenIsKnownAgain(t *testing.T) {
	t.Parallel()
	secret := token.NewSecret
	permanent := token.Record{ClientID: "a", Current: permanentPair(secret("p"))}
	pair := token.Record{ClientID: "a", Current: token.Pair{Token: token.Token{Access: secret("x"), Life: time.Hour}, Refresh: secret("r")}}
	seed := func(refresh string) token.Record {
		return token.Record{ClientID: "a", Current: token.Pair{Refresh: secret(refresh)}}
	}
	edited := func(r token.Record, edit func(*token.Record)) token.Record { edit(&r); return r }
	for name, tc := range map[string]struct {
		old, next token.Record
		want      bool
	}{
		"nothing stored":                  {token.Record{}, permanent, false},
		"the permanent token":             {permanent, permanent, true},
		"another permanent token":         {permanent, token.Record{ClientID: "a", Current: permanentPair(secret("q"))}, false},
		"what it was migrated to":         {edited(pair, func(r *token.Record) { r.Original = secret("p") }), permanent, true},
		"the access token of a pair":      {pair, token.Record{ClientID: "a", Current: permanentPair(secret("x"))}, false}, // it ends
		"the refresh token":               {pair, seed("r"), true},
		"the one before":                  {edited(pair, func(r *token.Record) { r.Previous = &token.Previous{Refresh: secret("r0")} }), seed("r0"), true},
		"another refresh token":           {pair, seed("r1"), false},
		"of another app":                  {edited(pair, func(r *token.Record) { r.ClientID = "b" }), seed("r"), false},
		"in a grant that is dead":         {edited(pair, func(r *token.Record) { r.Reauthorize = &token.Reauthorize{} }), seed("r"), false},
		"a permanent token that was dead": {edited(permanent, func(r *token.Record) { r.Reauthorize = &token.Reauthorize{} }), permanent, false},
	} {
		if got := HoldsSame(tc.old, tc.next); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// What a person was not asked about is not replaced.
func TestImportLeavesAGrantAloneThatAppearedMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	next := token.Record{Shop: r.Shop.Domain(), ClientID: r.ClientID, Grant: config.GrantOffline, Current: permanentPair(r.permanent())}
	dead := token.Record{Shop: next.Shop, ClientID: r.ClientID, Grant: config.GrantOffline, Current: r.pair(), Reauthorize: &token.Reauthorize{Since: time.Now().Round(0), Reason: "x"}}

	r.put(t, token.Record{Current: r.pair()})
	appeared := r.stored(t)
	for what, old := range map[string]token.Record{"nothing": {}, "a dead one": dead} {
		if err := r.Import(old, next, false); err == nil || !strings.Contains(err.Error(), "just now") {
			t.Errorf("asked about %s: %v", what, err)
		}
		if got := r.stored(t); !got.Current.Refresh.Equal(appeared.Current.Refresh) || r.store.writes != 0 {
			t.Fatalf("asked about %s: it was replaced", what)
		}
	}
	for i, agreed := range []struct {
		stored, old token.Record
		evenOver    bool
	}{
		{appeared, appeared, false}, // it was asked about
		{appeared, token.Record{}, true},
		{dead, token.Record{}, false},                                     // nobody misses it
		{token.Record{Grant: config.GrantOffline}, token.Record{}, false}, // blank
		{token.Record{Grant: config.GrantClientCredentials, Current: appeared.Current}, token.Record{}, false}, // asked for again
	} {
		r.put(t, agreed.stored)
		if err := r.Import(agreed.old, next, agreed.evenOver); err != nil || !HoldsSame(r.stored(t), next) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestLoadTellsNothingFromAnError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got, err := r.Load(); err != nil || !got.IsBlank() {
		t.Errorf("%+v, %v from an empty store", got, err)
	}
	r.put(t, token.Record{ClientID: "another", Current: r.pair()})
	if _, err := r.Load(); err != nil {
		t.Errorf("%v: a look at another app's record is allowed", err)
	}
	if _, err := r.loadOwn(); err == nil || !strings.Contains(err.Error(), "another app, with client id another") {
		t.Errorf("%v for a record of another app", err)
	}
}

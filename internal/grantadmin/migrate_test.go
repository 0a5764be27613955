package grantadmin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/config"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// mustMigrate plans and runs a migration.
func (r *rig) mustMigrate(t *testing.T, static, permanent token.Secret, resumed bool) {
	t.Helper()
	m, err := r.PlanMigration(static)
	if err != nil || m.Done || m.Resumed != resumed {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
	got := r.stored(t)
	if !got.Original.Equal(permanent) || IsPermanent(got.Current) || got.Current.Refresh.Empty() || got.Grant != config.GrantOffline || got.ClientID != r.ClientID ||
		!r.accepts(t, got.Current.Token.Access) || r.accepts(t, permanent) {
		t.Errorf("%+v", StateOf(got, time.Now()))
	}
	if n := len(r.sim.Generations("", "")); n != 1 {
		t.Errorf("%d pairs were made: each after the first ends the one before", n)
	}
}

func TestAMigrationThatWasInterruptedAnywhereIsRunAgain(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	for name, tc := range map[string]struct {
		write   int // which one fails
		fault   shopsim.Kind
		says    string
		resumed bool
	}{
		"before anything":        {write: 1, says: "nothing was changed at Shopify"},
		"a request that is lost": {fault: shopsim.FaultDrop, says: "is not known", resumed: true},
		"an answer that is cut":  {fault: shopsim.FaultCut, says: "is not known", resumed: true},
		"a page for an answer":   {fault: shopsim.FaultHTML, says: "is not known", resumed: true},
		"the new grant's write":  {write: 2, says: "could not be stored", resumed: true},
	} {
		for _, fromStore := range []bool{true, false} {
			r, permanent, static := newPermanentRig(t, fromStore)
			r.store.before = func(write int) error {
				if write == tc.write {
					return full
				}
				return nil
			}
			if tc.fault != "" {
				r.sim.Inject(shopsim.Fault{Kind: tc.fault, Grant: shopsim.GrantMigration, AfterCommit: true, Count: 1})
			}
			m, err := r.PlanMigration(static)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Run(); err == nil || !strings.Contains(err.Error(), tc.says) || tc.write != 0 && !errors.Is(err, full) || strings.Contains(err.Error(), permanent.Reveal()) {
				t.Errorf("%s: %v", name, err)
			}
			if got := r.stored(t); tc.resumed && !got.Original.Equal(permanent) || !tc.resumed && !got.Original.Empty() {
				t.Errorf("%s: the note is wrong: %+v", name, StateOf(got, time.Now()))
			}
			r.store.before = nil
			r.mustMigrate(t, static, permanent, tc.resumed)
		}
	}
}

// newPermanentRig is a rig with a permanent token, which the store has or else the settings.
func newPermanentRig(t *testing.T, stored bool) (r *rig, permanent, static token.Secret) {
	t.Helper()
	r = newRig(t)
	permanent = r.permanent()
	if !stored {
		return r, permanent, permanent
	}
	r.put(t, token.Record{Current: permanentPair(permanent)})
	return r, permanent, token.Secret{}
}

func TestARefusedMigrationTakesItsNoteBack(t *testing.T) {
	t.Parallel()
	for _, fromStore := range []bool{true, false} {
		r, permanent, static := newPermanentRig(t, fromStore)
		r.sim.RevokeTokens(permanent.Reveal())
		m, err := r.PlanMigration(static)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Run(); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%v", err)
		}
		got := r.stored(t)
		if !got.Original.Empty() || fromStore != IsPermanent(got.Current) || !fromStore && (!got.IsBlank() || IsWorthKeeping(got)) {
			t.Errorf("from the store %t: %+v", fromStore, StateOf(got, time.Now()))
		}
	}
}

// The refusal may be of a second POST whose first one was carried out.
func TestARefusalKeepsTheNoteOfAnEarlierMigration(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	permanent := r.permanent()
	r.put(t, token.Record{Current: permanentPair(permanent), Original: permanent})
	r.sim.RevokeTokens(permanent.Reveal())
	m, err := r.PlanMigration(token.Secret{})
	if err != nil || !m.Resumed {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := m.Run(); err == nil || strings.Contains(err.Error(), "nothing was changed") || !r.stored(t).Original.Equal(permanent) {
		t.Errorf("%v, and the note: %t", err, r.stored(t).Original.Equal(permanent))
	}
}

func TestAStoreThatDoesNotTakeTheNoteBackIsReported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	permanent, full := r.permanent(), errors.New("no space left")
	r.sim.RevokeTokens(permanent.Reveal())
	m, err := r.PlanMigration(permanent)
	if err != nil {
		t.Fatal(err)
	}
	r.store.before = func(write int) error {
		if write == 2 {
			return full
		}
		return nil
	}
	if err := m.Run(); !errors.Is(err, full) || !strings.Contains(err.Error(), "still has a note") {
		t.Errorf("%v", err)
	}
}

func TestAMigrationIsPlannedForWhatThereIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.PlanMigration(token.Secret{}); err == nil || !strings.Contains(err.Error(), "there is no permanent token") {
		t.Errorf("%v of nothing", err)
	}
	static := r.permanent()
	living := token.Record{Current: r.pair()}
	r.put(t, living)
	if m, err := r.PlanMigration(token.Secret{}); err != nil || !m.Done {
		t.Errorf("%+v, %v beside a grant that expires", m, err)
	}
	if _, err := r.PlanMigration(static); err == nil || !strings.Contains(err.Error(), "would end it") {
		t.Errorf("%v of another token than the grant's", err)
	}
	living.Original = static
	r.put(t, living)
	for _, given := range []token.Secret{static, {}} {
		if m, err := r.PlanMigration(given); err != nil || !m.Done {
			t.Errorf("%+v, %v of what was migrated", m, err)
		}
	}
	living.Reauthorize = &token.Reauthorize{Since: time.Now().Round(0), Reason: "x"}
	r.put(t, living)
	if m, err := r.PlanMigration(token.Secret{}); err != nil || m.Done || !m.permanent.Equal(static) {
		t.Errorf("%+v, %v: a dead grant is made anew from its original", m, err)
	}
	r.put(t, token.Record{ClientID: "another", Current: permanentPair(static)})
	if _, err := r.PlanMigration(static); err == nil || !strings.Contains(err.Error(), "another app") {
		t.Errorf("%v of another app's token", err)
	}
	if n := r.sim.Stats().TokenPosts; n != 0 {
		t.Errorf("%d POSTs for plans", n)
	}
}

// Between the question and the answer a sidecar may have refreshed, or somebody may have logged in.
func TestAMigrationStopsWhereTheStoreHasChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, meanwhile := range []token.Pair{r.pair(), permanentPair(r.permanent()), {Refresh: r.pair().Refresh}} {
		r.put(t, token.Record{Current: permanentPair(r.permanent())})
		m, err := r.PlanMigration(token.Secret{})
		if err != nil {
			t.Fatal(err)
		}
		r.put(t, token.Record{Current: meanwhile})
		if err := m.Run(); !errors.Is(err, errStarted) || r.store.writes != 0 || r.sim.Stats().TokenPosts != 0 {
			t.Errorf("%v", err)
		}
	}
}

func TestAMigrationWaitsForTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		permanent := r.permanent()
		m, err := r.PlanMigration(permanent)
		if err != nil {
			t.Fatal(err)
		}
		release, err := r.store.Lease(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := m.Run(); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != replaceWait || r.store.writes != 0 || r.sim.Stats().TokenPosts != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		ended := make(chan error, 1)
		go func() { ended <- m.Run() }()
		synctest.Wait()
		release()
		if err := <-ended; err != nil || !r.stored(t).Original.Equal(permanent) {
			t.Errorf("%v", err)
		}
	})
}

package grantadmin

import (
	"testing"

	"evergate/internal/token"
)

// A sidecar takes an older generation of an epoch that it knows for a store that was rolled back.
func TestWhatAPersonStoresIsNeverOlderThanWhatWasThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(t, token.Begin(token.Record{Current: r.pair()}))
	for range 2 {
		old := r.stored(t)
		if err := r.Import(old, token.Record{Shop: old.Shop, ClientID: old.ClientID, Grant: old.Grant, Current: r.pair()}, true); err != nil {
			t.Fatal(err)
		}
		if got := r.stored(t); got.Epoch == old.Epoch || got.Generation != 1 || got.Writer != token.ThisProcess() || got.Written.IsZero() {
			t.Errorf("an import is generation %d of %q after %q, written by %q", got.Generation, got.Epoch, old.Epoch, got.Writer)
		}
	}
	for _, refused := range []bool{true, false} {
		permanent := r.permanent()
		r.put(t, token.Begin(token.Record{Current: permanentPair(permanent)}))
		old := r.stored(t)
		if refused {
			r.sim.RevokeTokens(permanent.Reveal())
		}
		m, err := r.PlanMigration(token.Secret{})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Run(); (err != nil) != refused {
			t.Fatal(err)
		}
		if got := r.stored(t); got.Epoch == old.Epoch || got.Epoch == "" || got.Generation != 2 {
			t.Errorf("refused %t: generation %d of %q after %q, want the second of a new one, whose first is the note", refused, got.Generation, got.Epoch, old.Epoch)
		}
	}
}

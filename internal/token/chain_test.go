package token

import (
	"strings"
	"testing"
	"time"
)

func TestEveryAuthorisationBeginsAChainOfItsOwn(t *testing.T) {
	t.Parallel()
	before := time.Now().Round(0)
	earlier := Record{Shop: "acme.myshopify.com", Epoch: "an earlier one", Generation: 12, Writer: "another", Written: before.Add(-time.Hour), Current: Pair{Refresh: NewSecret("r")}}
	a, b := Begin(earlier), Begin(earlier)
	if a.Epoch == b.Epoch || a.Epoch == earlier.Epoch || a.Epoch == "" || a.Generation != 1 {
		t.Errorf("epochs %q and %q, generation %d", a.Epoch, b.Epoch, a.Generation)
	}
	if host, process, _ := strings.Cut(a.Writer, "/"); host == "" || process == "" || a.Written.Before(before) {
		t.Errorf("written by %q at %s", a.Writer, a.Written)
	}
	if a.Shop != earlier.Shop || !a.Current.Refresh.Equal(earlier.Current.Refresh) || earlier.Generation != 12 {
		t.Error("something else was changed")
	}
}

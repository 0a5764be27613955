package check

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/localca"
	"evergate/internal/remedy"
)

func TestLocalCAIsLookedAtAndNotMade(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	synctest.Test(t, func(t *testing.T) {
		ca := localca.Open(func() (string, error) { return dir, nil })
		look := func(want Status, says string) {
			t.Helper()
			if r := LocalCA(ca, false).Run(t.Context()); len(r) != 1 || r[0].Status != want || !strings.Contains(r[0].Message, says) || (want == OK) != (r[0].Remedy == "") {
				t.Errorf("%+v, want %s and %q", r, want, says)
			}
		}
		look(OK, "none has been needed")
		if _, err := os.Stat(dir); err == nil {
			t.Error("it was made")
		}
		if _, err := ca.Roots(); err != nil {
			t.Fatal(err)
		}
		look(OK, "ends on 2004-12-30")
		time.Sleep(5*365*24*time.Hour - 90*24*time.Hour)
		look(Warn, "ends on 2004-12-30")
		if _, err := ca.Roots(); err != nil {
			t.Fatal(err)
		}
		look(Warn, "its successor on 2009-09-30")
		if err := os.WriteFile(filepath.Join(dir, "authority-0.pem"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		look(Fail, "authority-0.pem cannot be used")
	})
	nowhere := localca.Open(func() (string, error) { return "", remedy.New("say where", "%w", errors.New("nowhere")) })
	for needed, want := range map[bool]Result{
		false: {Status: OK, Message: "clients that speak https alone cannot be served, if there are any: nowhere: say where"},
		true:  {Status: Fail, Message: "nowhere", Remedy: "say where"},
	} {
		if r := LocalCA(nowhere, needed).Run(t.Context()); len(r) != 1 || r[0] != want {
			t.Errorf("%+v", r)
		}
	}
}

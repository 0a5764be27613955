package guard

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/access"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/reload"
	"evergate/internal/reload/reloadtest"
)

// watched runs f beside an Access that watches its files.
func watched(t *testing.T, o access.Options, f func(a *access.Access, log *reloadtest.Tape)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := accessWith(t, o)
	var log reloadtest.Tape
	done := make(chan struct{})
	go func() { defer close(done); a.Watch(ctx, slog.New(slog.NewTextHandler(&log, nil)), nil) }()
	f(a, &log)
	cancel()
	<-done
}

func TestAKeyWhosePolicyGoesIsSaidOnceAndLetsNothingThrough(t *testing.T) {
	key, line := newKey(t, "agent", "p")
	keys, path := reloadtest.WriteFile(t, line), reloadtest.WriteFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		reloadtest.Rewrite(t, path, `{"default":"full","policies":{"p":{"base":"read-only"}}}`)
		watched(t, access.Options{PolicyFile: path, KeysFile: keys}, func(a *access.Access, log *reloadtest.Tape) {
			admission := newAdmission(t)
			admission.access = a
			r := call(t, "GET", "/admin/shop.json", "")
			r.Header = bearer(key)
			_, err := admission.Admit(view(r))
			denialtest.Want(t, "before", err, "")
			reloadtest.Rewrite(t, path, `{"default":"full"}`)
			reloadtest.Pause(time.Minute)
			_, err = admission.Admit(view(r))
			denialtest.Want(t, "after", err, denial.CodeDeniedOperation)
			if strings.Count(log.String(), "names a policy that is not there") != 1 || !strings.Contains(a.Broken(), "the policy p") {
				t.Errorf("%q: %s", a.Broken(), log)
			}
			reloadtest.Rewrite(t, path, `{"default":"full","policies":{"p":{"base":"read-only"}}}`)
			reloadtest.Pause(reload.Interval)
			if a.Broken() != "" {
				t.Errorf("still %q", a.Broken())
			}
		})
	})
}

package guard

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/access"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/reload"
)

// rewrite replaces a file's content and gives it the bubble's time.
func rewrite(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
}

// tape is a log that one goroutine writes and another reads.
type tape struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *tape) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *tape) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *tape) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}

// pause lets time pass in a bubble, and lets everything happen that it brings.
func pause(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// watched runs f beside an Access that watches its files.
func watched(t *testing.T, o access.Options, f func(a *access.Access, log *tape)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := accessWith(t, o)
	var log tape
	done := make(chan struct{})
	go func() { defer close(done); a.Watch(ctx, slog.New(slog.NewTextHandler(&log, nil)), nil) }()
	f(a, &log)
	cancel()
	<-done
}

func TestAKeyWhosePolicyGoesIsSaidOnceAndLetsNothingThrough(t *testing.T) {
	key, line := newKey(t, "agent", "p")
	keys, path := writeFile(t, line), writeFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		rewrite(t, path, `{"default":"full","policies":{"p":{"base":"read-only"}}}`)
		watched(t, access.Options{PolicyFile: path, KeysFile: keys}, func(a *access.Access, log *tape) {
			admission := newAdmission(t)
			admission.access = a
			r := call(t, "GET", "/admin/shop.json", "")
			r.Header = bearer(key)
			_, err := admission.Admit(view(r))
			denialtest.Want(t, "before", err, "")
			rewrite(t, path, `{"default":"full"}`)
			pause(time.Minute)
			_, err = admission.Admit(view(r))
			denialtest.Want(t, "after", err, denial.CodeDeniedOperation)
			if strings.Count(log.String(), "names a policy that is not there") != 1 || !strings.Contains(a.Broken(), "the policy p") {
				t.Errorf("%q: %s", a.Broken(), log)
			}
			rewrite(t, path, `{"default":"full","policies":{"p":{"base":"read-only"}}}`)
			pause(reload.Interval)
			if a.Broken() != "" {
				t.Errorf("still %q", a.Broken())
			}
		})
	})
}

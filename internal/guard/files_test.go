package guard

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/denial"
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
func watched(t *testing.T, o AccessOptions, f func(a *Access, log *tape)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := accessWith(t, o)
	var log tape
	done := make(chan struct{})
	go func() { defer close(done); a.Watch(ctx, slog.New(slog.NewTextHandler(&log, nil))) }()
	f(a, &log)
	cancel()
	<-done
}

func defaultOf(a *Access) string { return a.policies.Load().byDefault.name }

func TestAChangedFileIsInForceWithinSeconds(t *testing.T) {
	path := writeFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		rewrite(t, path, `{"default":"full"}`)
		watched(t, AccessOptions{PolicyFile: path}, func(a *Access, log *tape) {
			pause(time.Minute)
			if defaultOf(a) != PolicyFull || log.String() != "" {
				t.Errorf("%s: %s", defaultOf(a), log)
			}
			rewrite(t, path, `{"default":"none"}`)
			pause(lookEvery)
			if defaultOf(a) != PolicyNone || strings.Count(log.String(), "a changed file is in force") != 1 || a.Broken() != "" {
				t.Errorf("%s, %q: %s", defaultOf(a), a.Broken(), log)
			}
		})
	})
}

// A file that is written twice in one tick of the file system's clock looks the same.
func TestAChangeThatLeavesNoTraceIsNotMissed(t *testing.T) {
	path := writeFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		stamp := time.Now().Add(lookEvery)
		rewrite(t, path, `{"default":"full"}`)
		watched(t, AccessOptions{PolicyFile: path}, func(a *Access, _ *tape) {
			pause(lookEvery - time.Millisecond)
			rewrite(t, path, `{"default":"none"}`)
			_ = os.Chtimes(path, stamp, stamp)
			pause(time.Millisecond)
			if defaultOf(a) != PolicyNone {
				t.Fatal("the change was not seen")
			}
			if err := os.WriteFile(path, []byte(`{"default":"full"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			_ = os.Chtimes(path, stamp, stamp)
			pause(lookEvery)
			if defaultOf(a) != PolicyFull {
				t.Error("a change of the same size and time was not seen")
			}
		})
	})
}

func TestABrokenFileLeavesWhatHeldInForce(t *testing.T) {
	path := writeFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		rewrite(t, path, `{"default":"read-only"}`)
		watched(t, AccessOptions{PolicyFile: path}, func(a *Access, log *tape) {
			pause(time.Minute)
			for what, spoil := range map[string]func(){
				"a mistake":        func() { rewrite(t, path, `{"default":"x","y":1}`) },
				"nothing in it":    func() { rewrite(t, path, "") },
				"no file":          func() { _ = os.Remove(path) },
				"others may write": func() { rewrite(t, path, `{"default":"full"}`); _ = os.Chmod(path, 0o622) },
			} {
				if what == "others may write" && runtime.GOOS == "windows" {
					continue
				}
				log.Reset()
				spoil()
				pause(time.Minute)
				if defaultOf(a) != PolicyReadOnly || a.Broken() == "" || strings.Count(log.String(), "a changed file is not used") != 1 || !strings.Contains(log.String(), "level=ERROR") {
					t.Errorf("%s: %s, %q: %s", what, defaultOf(a), a.Broken(), log)
				}
				log.Reset()
				_ = os.Chmod(path, 0o600)
				rewrite(t, path, `{"default":"read-only"}`)
				pause(lookEvery)
				if defaultOf(a) != PolicyReadOnly || a.Broken() != "" || strings.Count(log.String(), "a changed file is in force") != 1 {
					t.Errorf("after %s: %s, %q: %s", what, defaultOf(a), a.Broken(), log)
				}
			}
		})
	})
}

// Kubernetes swaps a directory behind a symlink.
func TestAFileBehindASwappedLinkIsReadAgain(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	dir := t.TempDir()
	for name, policy := range map[string]string{"one": PolicyFull, "two": PolicyNone} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "policy"), []byte(`{"default":"`+policy+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to string) {
		if err := os.Symlink(to, filepath.Join(dir, "new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
	}
	link("one")
	synctest.Test(t, func(t *testing.T) {
		watched(t, AccessOptions{PolicyFile: filepath.Join(dir, "data", "policy")}, func(a *Access, log *tape) {
			link("two")
			pause(lookEvery)
			if defaultOf(a) != PolicyNone {
				t.Errorf("%s: %s", defaultOf(a), log)
			}
		})
	})
}

func TestAKeyWhosePolicyGoesIsSaidOnceAndLetsNothingThrough(t *testing.T) {
	key, line := newKey(t, "agent", "p")
	keys, path := writeFile(t, line), writeFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		rewrite(t, path, `{"default":"full","policies":{"p":{"base":"read-only"}}}`)
		watched(t, AccessOptions{PolicyFile: path, KeysFile: keys}, func(a *Access, log *tape) {
			door := newDoor(t)
			door.access = a
			r := call(t, "GET", "/admin/shop.json", "")
			r.Header = bearer(key)
			_, err := door.Admit(r)
			wantCode(t, "before", err, "")
			rewrite(t, path, `{"default":"full"}`)
			pause(time.Minute)
			_, err = door.Admit(r)
			wantCode(t, "after", err, denial.CodeDeniedOperation)
			if strings.Count(log.String(), "names a policy that is not there") != 1 || !strings.Contains(a.Broken(), "the policy p") {
				t.Errorf("%q: %s", a.Broken(), log)
			}
			rewrite(t, path, `{"default":"full","policies":{"p":{"base":"read-only"}}}`)
			pause(lookEvery)
			if a.Broken() != "" {
				t.Errorf("still %q", a.Broken())
			}
		})
	})
}

func TestEveryMistakeNamesItsSetting(t *testing.T) {
	_, line := newKey(t, "agent", "nowhere")
	_, err := NewAccess(AccessOptions{
		PolicyFile: writeFile(t, `{"default":"x","y":1}`), KeysFile: writeFile(t, "x\ny\n"), Peers: "uid:x,nobody", CertFile: writeFile(t, ""), KeyFile: filepath.Join(t.TempDir(), "missing"),
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for i, l := range strings.Split(err.Error(), "\n") {
		if !strings.HasPrefix(l, "EVERGATE_") && !strings.HasPrefix(l, "the peer ") {
			t.Errorf("line %d: %s", i, l)
		}
	}
	for _, setting := range []string{"EVERGATE_POLICY_FILE: line 1: y", "EVERGATE_POLICY_FILE: line 1: default", "EVERGATE_CLIENT_KEYS_FILE: line 1", "EVERGATE_CLIENT_KEYS_FILE: line 2", "EVERGATE_SOCKET_PEERS", "EVERGATE_TLS_CERT_FILE"} {
		if !strings.Contains(err.Error(), setting) {
			t.Errorf("nothing of %s in %v", setting, err)
		}
	}
	_, err = NewAccess(AccessOptions{KeysFile: writeFile(t, line)})
	if err == nil || !strings.Contains(err.Error(), "the key of agent names the policy nowhere") {
		t.Errorf("%v", err)
	}
	if _, err := NewAccess(AccessOptions{Policy: "read_only"}); err == nil || !strings.Contains(err.Error(), "EVERGATE_POLICY=") {
		t.Errorf("%v", err)
	}
}

func TestAFileThatOthersCanWriteIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing there")
	}
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o644: true, 0o640: true, 0o620: false, 0o602: false, 0o666: false} {
		path := writeFile(t, `{"default":"none"}`)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := NewAccess(AccessOptions{PolicyFile: path}); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("mode %#o: %v", mode, err)
		}
	}
	for _, path := range []string{t.TempDir(), writeFile(t, strings.Repeat(" ", largestFile+1))} {
		if _, err := NewAccess(AccessOptions{PolicyFile: path}); err == nil {
			t.Errorf("%s is accepted", path)
		}
	}
}

package reload

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/reload/reloadtest"
)

// setting is what the tests keep in a file: one word that must be known.
type setting struct{ word atomic.Pointer[string] }

func (s *setting) take(contents [][]byte) error {
	word := string(contents[0])
	if word != "one" && word != "two" {
		return errors.New("is neither one nor two")
	}
	s.word.Store(&word)
	return nil
}

func (s *setting) String() string { return *s.word.Load() }

// watched runs f beside a goroutine that watches the file at path.
func watched(t *testing.T, path string, f func(s *setting, all Values, log *reloadtest.Tape)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var s setting
	all := Values{New("EVERGATE_SETTING", []string{path}, s.take)}
	if err := all.Load(); err != nil {
		t.Fatal(err)
	}
	var log reloadtest.Tape
	done := make(chan struct{})
	go func() { defer close(done); all.Watch(ctx, slog.New(slog.NewTextHandler(&log, nil)), nil, nil) }()
	f(&s, all, &log)
	cancel()
	<-done
}

func TestAChangedFileIsInForceWithinSeconds(t *testing.T) {
	path := reloadtest.WriteFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		reloadtest.Rewrite(t, path, "one")
		watched(t, path, func(s *setting, all Values, log *reloadtest.Tape) {
			reloadtest.Pause(time.Minute)
			if s.String() != "one" || log.String() != "" {
				t.Errorf("%s: %s", s.String(), log)
			}
			reloadtest.Rewrite(t, path, "two")
			reloadtest.Pause(Interval)
			if s.String() != "two" || strings.Count(log.String(), "a changed file is in force") != 1 || all.Broken() != "" {
				t.Errorf("%s, %q: %s", s.String(), all.Broken(), log)
			}
		})
	})
}

// A file that is written twice in one tick of the file system's clock looks the same.
func TestAChangeThatLeavesNoTraceIsNotMissed(t *testing.T) {
	path := reloadtest.WriteFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		stamp := time.Now().Add(Interval)
		reloadtest.Rewrite(t, path, "one")
		watched(t, path, func(s *setting, _ Values, _ *reloadtest.Tape) {
			reloadtest.Pause(Interval - time.Millisecond)
			reloadtest.Rewrite(t, path, "two")
			_ = os.Chtimes(path, stamp, stamp)
			reloadtest.Pause(time.Millisecond)
			if s.String() != "two" {
				t.Fatal("the change was not seen")
			}
			if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
				t.Fatal(err)
			}
			_ = os.Chtimes(path, stamp, stamp)
			reloadtest.Pause(Interval)
			if s.String() != "one" {
				t.Error("a change of the same size and time was not seen")
			}
		})
	})
}

func TestABrokenFileLeavesWhatHeldInForce(t *testing.T) {
	path := reloadtest.WriteFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		reloadtest.Rewrite(t, path, "one")
		watched(t, path, func(s *setting, all Values, log *reloadtest.Tape) {
			reloadtest.Pause(time.Minute)
			for what, spoil := range map[string]func(){
				"a mistake":        func() { reloadtest.Rewrite(t, path, "three") },
				"nothing in it":    func() { reloadtest.Rewrite(t, path, "") },
				"no file":          func() { _ = os.Remove(path) },
				"others may write": func() { reloadtest.Rewrite(t, path, "two"); _ = os.Chmod(path, 0o622) },
			} {
				if what == "others may write" && runtime.GOOS == "windows" {
					continue
				}
				log.Reset()
				spoil()
				reloadtest.Pause(time.Minute)
				if s.String() != "one" || all.Broken() == "" || strings.Count(log.String(), "a changed file is not used") != 1 || !strings.Contains(log.String(), "level=ERROR") {
					t.Errorf("%s: %s, %q: %s", what, s.String(), all.Broken(), log)
				}
				log.Reset()
				_ = os.Chmod(path, 0o600)
				reloadtest.Rewrite(t, path, "one")
				reloadtest.Pause(Interval)
				if s.String() != "one" || all.Broken() != "" || strings.Count(log.String(), "a changed file is in force") != 1 {
					t.Errorf("after %s: %s, %q: %s", what, s.String(), all.Broken(), log)
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
	for name, policy := range map[string]string{"one": "one", "two": "two"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "policy"), []byte(policy), 0o600); err != nil {
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
		watched(t, filepath.Join(dir, "data", "policy"), func(s *setting, _ Values, log *reloadtest.Tape) {
			link("two")
			reloadtest.Pause(Interval)
			if s.String() != "two" {
				t.Errorf("%s: %s", s.String(), log)
			}
		})
	})
}

func TestAFileThatOthersCanWriteIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing there")
	}
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o644: true, 0o640: true, 0o620: false, 0o602: false, 0o666: false} {
		path := reloadtest.WriteFile(t, "two")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := load(path); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("mode %#o: %v", mode, err)
		}
	}
	for _, path := range []string{t.TempDir(), reloadtest.WriteFile(t, strings.Repeat(" ", usualLargest+1))} {
		if err := load(path); err == nil {
			t.Errorf("%s is accepted", path)
		}
	}
}

func load(path string) error {
	var s setting
	return New("EVERGATE_SETTING", []string{path}, s.take).Load()
}

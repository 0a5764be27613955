//go:build unix

package reload

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/reload/reloadtest"
)

func TestAFileThatOthersCouldReplaceNamesItsSetting(t *testing.T) {
	dir, err := os.MkdirTemp("", "reload") // others can go through it, unlike those of the tests
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := load(path); err == nil || !strings.Contains(err.Error(), "EVERGATE_SETTING") || !strings.Contains(err.Error(), "chmod go-w "+dir) {
		t.Errorf("%v", err)
	}
}

// TestAPipeInPlaceOfAFileHoldsNothingUp has one into which nobody ever writes.
func TestAPipeInPlaceOfAFileHoldsNothingUp(t *testing.T) {
	path := reloadtest.WriteFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		reloadtest.Rewrite(t, path, "one")
		watched(t, path, func(s *setting, all Values, log *reloadtest.Tape) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			reloadtest.Pause(time.Minute)
			if s.String() != "one" || !strings.Contains(all.Broken(), "is no file") {
				t.Errorf("%s, %q: %s", s, all.Broken(), log)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			reloadtest.Rewrite(t, path, "two")
			reloadtest.Pause(Interval)
			if s.String() != "two" || all.Broken() != "" {
				t.Errorf("%s, %q: %s", s, all.Broken(), log)
			}
		})
	})
}

package durable

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWriteReplacesTheWholeAndLeavesNothingBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"first", "", "the third"} {
		if err := Write(path, ".file.*.tmp", []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v", got, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestWriteThatFailsLeavesWhatWasThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, ".taken.*.tmp", []byte("content")); err == nil {
		t.Error("a directory was replaced")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := Write(filepath.Join(dir, "missing", "file"), ".*.tmp", nil); err == nil {
		t.Error("a file was written into a directory that is not there")
	}
}

func TestLockExcludesAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := TryLock(path); ok || err != nil {
		t.Errorf("locked twice: %v, %v", ok, err)
	}
	late := errors.New("too late")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Millisecond, late)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, late) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	unlock()
	again, ok, err := TryLock(path)
	if !ok || err != nil {
		t.Fatalf("not free again: %v, %v", ok, err)
	}
	again()
}

// TestWhoeverOnlyAsksMakesNoDirectory has it missing, with and without a place for it.
func TestWhoeverOnlyAsksMakesNoDirectory(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	if err := os.WriteFile(filepath.Join(top, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir string
		fit bool
	}{{"missing/a/b", true}, {"file", false}, {"file/a", false}, {"file/a/b", false}} {
		err := Dir{Path: filepath.Join(top, c.dir), Name: "the directory", Setting: "X=DIR"}.Fit()
		if (err == nil) != c.fit || err != nil && !strings.Contains(err.Error(), "X=DIR") {
			t.Errorf("%s: %v", c.dir, err)
		}
	}
	if entries, err := os.ReadDir(top); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if os.Geteuid() == 0 {
		return // may write everywhere
	}
	if err := os.Chmod(top, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := (Dir{Path: filepath.Join(top, "missing"), Name: "the directory", Setting: "X=DIR"}).Fit(); err == nil || !strings.Contains(err.Error(), "cannot be made") {
		t.Error(err)
	}
}

func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := OpenRegular(dir, os.O_RDONLY); !errors.Is(err, ErrIrregular) || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("%v", err)
	}
	if _, _, err := TryLock(dir); !errors.Is(err, ErrIrregular) {
		t.Errorf("%v", err)
	}
}

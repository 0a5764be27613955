//go:build !windows

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"evergate/internal/envelope"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestEverythingIsPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/a/b/c"
	s := open(t, dir, envelope.Keys{})
	if _, err := s.Swap(t.Context(), "", storetest.Named(leaked)); err != nil {
		t.Fatal(err)
	}
	release, err := s.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
	for path, mode := range map[string]os.FileMode{
		dir: 0o700, filepath.Dir(dir): 0o700, filepath.Dir(filepath.Dir(dir)): 0o700,
		s.path(".json"): 0o600, s.path(".lock"): 0o600, s.path(".lease"): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, mode)
		}
	}
	if got := names(t, s); len(got) != 3 {
		t.Errorf("more than the three files: %q", got)
	}
}

func TestLooseDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/store"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o755, 0o750, 0o701, 0o702, 0o704, 0o710, 0o720, 0o740, 0o777} {
		chmod(t, dir, mode)
		_, err := OpenDir(dir, storetest.Shop(), envelope.Keys{})
		says(t, err, "chmod 700 "+dir, "StateDirectoryMode=0700")
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("mode %v: something was written", mode)
		}
		// The way out that the error names, for a volume whose mode cannot be changed.
		if inside := filepath.Join(dir, mode.String()); mode == 0o777 {
			open(t, inside, envelope.Keys{})
		}
	}
}

func TestDirectoryOfSomebodyElseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/store"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 12345, -1); err != nil {
		t.Skipf("only root can give a directory away: %v", err)
	}
	_, err := OpenDir(dir, storetest.Shop(), envelope.Keys{})
	says(t, err, fmt.Sprintf("chown %d %s", os.Geteuid(), dir), "12345")
}

// systemd makes the state directory of a DynamicUser= a symlink.
func TestSymlinkToADirectoryIsFollowed(t *testing.T) {
	t.Parallel()
	s, handle, _ := filled(t, envelope.Keys{})
	link := s.dir + ".link"
	if err := os.Symlink(s.dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, link, envelope.Keys{}).Swap(t.Context(), handle, storetest.Named("b")); err != nil {
		t.Error(err)
	}
}

func TestFileInPlaceOfTheDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/file"
	write(t, path, nil)
	_, err := OpenDir(path, storetest.Shop(), envelope.Keys{})
	says(t, err, path, "not a directory", "EVERGATE_STORE")
	_, err = OpenDir(path+"/below", storetest.Shop(), envelope.Keys{})
	says(t, err, path, "EVERGATE_STORE")
}

func TestSymlinkInPlaceOfAFileIsRefused(t *testing.T) {
	t.Parallel()
	for _, ext := range []string{".json", ".lock", ".lease"} {
		t.Run(ext[1:], func(t *testing.T) {
			t.Parallel()
			s, handle, content := filled(t, envelope.Keys{})
			target := s.dir + ".target"
			write(t, target, content)
			_ = os.Remove(s.path(ext))
			if err := os.Symlink(target, s.path(ext)); err != nil {
				t.Fatal(err)
			}
			var err error
			switch ext {
			case ".json":
				_, _, err = s.Load(t.Context())
				says(t, err, s.path(ext), "symlink", "move it away")
				_, err = s.Swap(t.Context(), handle, storetest.Named("b"))
			case ".lock":
				_, err = OpenDir(s.dir, storetest.Shop(), envelope.Keys{})
				says(t, err, s.path(ext), "symlink", "move it away")
				_, err = s.Swap(t.Context(), handle, storetest.Named("b"))
			case ".lease":
				_, err = s.Lease(t.Context())
			}
			says(t, err, s.path(ext), "symlink", "move it away")
			if info, err := os.Lstat(s.path(ext)); err != nil || info.Mode()&os.ModeSymlink == 0 || !bytes.Equal(read(t, target), content) {
				t.Errorf("the link or its target has changed: %v", err)
			}
		})
	}
}

func TestDirectoryThatCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	s, handle, content := filled(t, envelope.Keys{})
	chmod(t, s.dir, 0o500)
	defer chmod(t, s.dir, 0o700)
	_, err := s.Swap(t.Context(), handle, storetest.Named("b"))
	says(t, err, s.dir, "writable")
	if r, _, err := s.Load(t.Context()); err != nil || storetest.NameOf(r) != leaked || !bytes.Equal(read(t, s.path(".json")), content) {
		t.Errorf("load: %v", err)
	}
}

// A write that fails half-way, as on a full disk: the kernel cuts every file of the helper
// at a hundred bytes.
func TestWriteThatFailsLeavesTheRecord(t *testing.T) {
	t.Parallel()
	s, handle, content := filled(t, envelope.Keys{})
	cmd := helper(t, "write_a_little", s.dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	says(t, errors.New(strings.TrimSpace(string(out))), "file too large", "see that "+s.dir+" is writable and has space")
	if !bytes.Equal(read(t, s.path(".json")), content) {
		t.Error("the record has changed")
	}
	for _, name := range names(t, s) {
		if strings.HasSuffix(name, tempSuffix) {
			t.Errorf("%s was left", name)
		}
	}
	if _, err := s.Swap(t.Context(), handle, storetest.Named("b")); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

func init() {
	helpers["write_a_little"] = func(ctx context.Context) error {
		// Go ignores SIGXFSZ, so that the write fails with an error.
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100, Max: 100}); err != nil {
			return err
		}
		s, err := OpenDir(".", storetest.Shop(), envelope.Keys{})
		if err != nil {
			return err
		}
		_, handle, err := s.Load(ctx)
		if err != nil {
			return err
		}
		for range 2 { // it can be repeated
			if _, err = s.Swap(ctx, handle, storetest.Named(leaked)); err == nil || errors.Is(err, token.ErrConflict) {
				return fmt.Errorf("the write succeeded, or was taken for one: %w", err)
			}
		}
		fmt.Println(err)
		return nil
	}
}

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"evergate/internal/remedy"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// makeDir is os.MkdirAll that makes each new entry durable: a record is no safer than the
// directories that lead to it.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return fmt.Errorf("%s: %w", dir, fs.ErrNotExist)
	}
	if err := makeDir(parent); err != nil {
		return err
	}
	// Another process may have been faster.
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// checkDir refuses a directory in which others could read or replace records.
func checkDir(dir string) error {
	// systemd may make a state directory a symlink, so one is followed.
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("the store's directory: %w", err)
	}
	if !info.IsDir() {
		return remedy.New("move the file away, or name another place in EVERGATE_STORE=file:DIR", "the store's directory %s is not a directory", dir)
	}
	if user, ok := foreignOwner(info); ok {
		return remedy.New(fmt.Sprintf("run chown %d %s, or name another one in EVERGATE_STORE=file:DIR", os.Geteuid(), dir), "the store's directory %s belongs to another user, with id %d, who could replace what is stored", dir, user)
	}
	if groupAccessible(info) {
		return remedy.New(fmt.Sprintf("run chmod 700 %s, in a systemd unit set StateDirectoryMode=0700; or give a directory inside it, which is made with the right mode", dir), "the store's directory %s is open to other users (mode %#o)", dir, info.Mode().Perm())
	}
	return nil
}

// sweep removes what a process left that died while it was writing. If somebody is writing
// right now, it is left to the next start.
func (s *FileStore) sweep() error {
	f, err := openRegular(s.path(".lock"), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return remedy.New(fmt.Sprintf("see that %s is writable and has space", s.dir), "the store's directory cannot be written to: %w", err)
	}
	unlock, ok, err := tryLock(f)
	if err != nil {
		return lockError(f, err)
	}
	if !ok {
		_ = f.Close() // it has no content
		return nil
	}
	defer unlock()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("the store's directory cannot be listed: %w", err)
	}
	for _, e := range entries {
		// Only what our own pattern matches, and only this shop's: the lock is this shop's.
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), s.tempPrefix()) && strings.HasSuffix(e.Name(), tempSuffix) {
			if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
				return fmt.Errorf("a file that an earlier process left cannot be removed: %w", err)
			}
		}
	}
	return nil
}

const tempSuffix = ".tmp"

func (s *FileStore) tempPrefix() string { return "." + s.codec.shop.Domain() + "." }

// writeTemp writes content to a new file beside the record and makes it durable.
func (s *FileStore) writeTemp(content []byte) (path string, err error) {
	f, err := os.CreateTemp(s.dir, s.tempPrefix()+"*"+tempSuffix) // mode 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // or the next open does it
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return f.Name(), nil
}

// openRegular opens a file of the store, but not through a symlink and not something that
// is no file at all.
func openRegular(path string, flag int) (*os.File, error) {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, remedy.New("move it away", "%w: %s is a %s, not a regular file", ErrUnreadable, path, kind(info.Mode()))
	}
	return os.OpenFile(path, flag|noFollow, fileMode)
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symlink"
	case m.IsDir():
		return "directory"
	}
	return "device or socket"
}

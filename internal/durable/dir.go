// Package durable keeps files of our own: in directories that nobody else enters, written whole or
// not at all, and under locks that end with the process that holds them.
//
// Invariants: what Write returned nil for survives the machine; no function follows a symlink in place of a
// file; a directory that others could read or change is refused, never mended.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"evergate/internal/remedy"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// ErrIrregular says that something lies in the place of a file that is none.
var ErrIrregular = errors.New("not a regular file")

// Dir is a directory of ours, and how errors speak of it.
type Dir struct {
	Path string // absolute
	// Name says whose it is, as in "the store's directory". Setting names another one, as in
	// EVERGATE_STORE=file:DIR.
	Name, Setting string
}

// Open makes the directory if it is missing, and refuses one that others can enter or that belongs to
// somebody else.
func (d Dir) Open() error {
	if err := makeDir(d.Path); err != nil {
		return d.unmade(err)
	}
	return d.Check()
}

// Fit is Open for whoever only asks: it makes nothing, and looks whether a missing directory could be made.
func (d Dir) Fit() error {
	if _, err := os.Stat(d.Path); err == nil {
		return d.Check()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return d.unmade(err)
	}
	if err := makeable(d.Path); err != nil {
		return d.unmade(err)
	}
	return nil
}

func (d Dir) unmade(err error) error {
	return remedy.New("make it, or name another one in "+d.Setting, "%s cannot be made: %w", d.Name, err)
}

// makeable says why makeDir would fail, as far as that can be known.
func makeable(dir string) error {
	parent := filepath.Dir(dir)
	info, err := os.Stat(parent)
	switch {
	case errors.Is(err, fs.ErrNotExist) && parent != dir:
		return makeable(parent)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", parent)
	}
	return mayMakeIn(parent)
}

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
	return SyncDir(parent)
}

// Check refuses a directory in which others could read or replace files.
func (d Dir) Check() error {
	// systemd may make a state directory a symlink, so one is followed.
	info, err := os.Stat(d.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	if !info.IsDir() {
		return remedy.New("move the file away, or name another place in "+d.Setting, "%s %s is not a directory", d.Name, d.Path)
	}
	if user, ok := foreignOwner(info); ok {
		return remedy.New(fmt.Sprintf("run chown %d %s, or name another one in %s", os.Geteuid(), d.Path, d.Setting), "%s %s belongs to another user, with id %d, who could replace what is stored", d.Name, d.Path, user)
	}
	if groupAccessible(info) {
		return remedy.New(fmt.Sprintf("run chmod 700 %s, in a systemd unit set StateDirectoryMode=0700; or give a directory inside it, which is made with the right mode", d.Path), "%s %s is open to other users (mode %#o)", d.Name, d.Path, info.Mode().Perm())
	}
	return nil
}

// OpenRegular opens a file, but not through a symlink and not something that is no file at all.
func OpenRegular(path string, flag int) (*os.File, error) {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, remedy.New("move it away", "%s is a %s, %w", path, kind(info.Mode()), ErrIrregular)
	}
	return os.OpenFile(path, flag|noFollow, fileMode)
}

// CheckFile refuses a file that others can read or replace.
func CheckFile(path string, info fs.FileInfo) error {
	if user, ok := foreignOwner(info); ok {
		return remedy.New(fmt.Sprintf("run chown %d %s", os.Geteuid(), path), "%s belongs to another user, with id %d", path, user)
	}
	if groupAccessible(info) {
		return remedy.New("run chmod 600 "+path, "%s is open to other users (mode %#o)", path, info.Mode().Perm())
	}
	return nil
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

// WriteTemp writes content to a new file in dir, whose name pattern makes as for os.CreateTemp,
// and makes it durable.
func WriteTemp(dir, pattern string, content []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, pattern) // mode 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // what it failed for is told
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

// Write makes content the file at path, whose temporary name pattern makes as for os.CreateTemp. If it
// fails, what was there before is still there, unless the rename is in doubt.
func Write(path, pattern string, content []byte) error {
	return WriteMode(path, pattern, content, fileMode)
}

// WriteMode is Write for a file that others may read.
func WriteMode(path, pattern string, content []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	temp, err := WriteTemp(dir, pattern, content)
	if err != nil {
		return err
	}
	err = os.Chmod(temp, mode)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // the error that is told is the rename's
		return err
	}
	return SyncDir(dir)
}

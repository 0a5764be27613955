//go:build !windows

package durable

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// noFollow has an open fail on a symlink that was put there after it was checked.
const noFollow = syscall.O_NOFOLLOW

// ReadersLock says whether those who read a file lock it. They need not: a file that is open can be renamed over.
const ReadersLock = false

// tryLock locks f if nobody else has; unlock closes it. Go opens files close-on-exec, so a
// command that we start does not inherit the lock.
func tryLock(f *os.File) (unlock func(), ok bool, err error) {
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return sync.OnceFunc(func() {
		// Unlocked first: a process that is being forked has a copy of the descriptor for a
		// moment, and closing ours alone would not end the lock. Closing cannot fail to end it.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		_ = f.Close()
	}), true, nil
}

// LockWritten locks a file that its writers replace or append to, which it makes if it is missing: the file itself, so that
// whoever may write it may lock it. Of two who waited for one that was replaced, neither holds a lock that the other does not see.
func LockWritten(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := openLock(path)
		if err != nil {
			return nil, err
		}
		locked, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if unlock, err = wait(ctx, f); err != nil {
			return nil, err
		}
		// It is open here, so that no other file has its number.
		if there, err := os.Stat(path); err == nil && os.SameFile(locked, there) {
			return unlock, nil
		}
		unlock()
	}
}

// Version tells whether a path still leads to the file that was looked at, as it was then. The zero Version is of no file.
type Version struct {
	device, inode uint64
	size, changed int64 // changed is the nanosecond of the last write
	mode          fs.FileMode
}

// VersionOf returns the Version of a file that was looked at.
func VersionOf(info fs.FileInfo) Version {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Version{}
	}
	return Version{uint64(stat.Dev), stat.Ino, info.Size(), info.ModTime().UnixNano(), info.Mode()} //nolint:unconvert // Dev is of another type elsewhere
}

// Is reports whether two looks were at the same file, which was not written to between them.
func (v Version) Is(other Version) bool { return v == other && v != (Version{}) }

// foreignOwner returns the owner if it is not us.
func foreignOwner(info fs.FileInfo) (user uint32, foreign bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return 0, false
	}
	return stat.Uid, true
}

// groupAccessible reports whether the group or others have any permission.
func groupAccessible(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }

// mayMakeIn says why nothing can be made in a directory. The kernel answers for the user who started the process, which is who runs it here.
func mayMakeIn(dir string) error {
	const write, enter = 2, 1
	if err := syscall.Access(dir, write|enter); err != nil {
		return &fs.PathError{Op: "mkdir below", Path: dir, Err: err}
	}
	return nil
}

// SyncDir makes renames in dir durable.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // a file system without such a thing; there is no other way to ask
	}
	return errors.Join(err, f.Close())
}

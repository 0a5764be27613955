package durable

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// noFollow: there is no such flag; the check before the open has to do.
const noFollow = 0

// ReadersLock says whether those who read a file lock it: one that is open for reading cannot be renamed over.
const ReadersLock = true

var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

const (
	lockExclusive       = 2
	lockFailImmediately = 1
	errorLockViolation  = syscall.Errno(33)
	errorIOPending      = syscall.Errno(997)
)

// tryLock locks f if nobody else has; unlock closes it. The lock ends with the handle, and
// handles are not inherited.
func tryLock(f *os.File) (unlock func(), ok bool, err error) {
	var whole syscall.Overlapped // from offset 0
	r, _, err := lockFileEx.Call(f.Fd(), lockExclusive|lockFailImmediately, 0, 0xffffffff, 0xffffffff, uintptr(unsafe.Pointer(&whole)))
	if r != 0 {
		return sync.OnceFunc(func() { _ = f.Close() }), true, nil
	}
	if errors.Is(err, errorLockViolation) || errors.Is(err, errorIOPending) {
		return nil, false, nil
	}
	return nil, false, err
}

// LockWritten locks a file that its writers replace or append to, through another beside it: one that is locked here can neither
// be read by others nor renamed over.
func LockWritten(ctx context.Context, path string) (unlock func(), err error) {
	return Lock(ctx, path+".lock")
}

// Version tells whether a path still leads to the file that was looked at, as it was then. The zero Version is of no file.
type Version struct{ info fs.FileInfo }

// VersionOf returns the Version of a file that was looked at.
func VersionOf(info fs.FileInfo) Version { return Version{info} }

// Is reports whether two looks were at the same file, which was not written to between them.
func (v Version) Is(other Version) bool {
	a, b := v.info, other.info
	return a != nil && b != nil && a.Mode() == b.Mode() && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

// foreignOwner: a directory in %LocalAppData% is private by its inherited access list,
// which Go cannot read without another dependency.
func foreignOwner(fs.FileInfo) (user uint32, foreign bool) { return 0, false }

// groupAccessible: the mode that Go reports here says nothing about other users.
func groupAccessible(fs.FileInfo) bool { return false }

// SyncDir: NTFS journals renames, and a directory cannot be flushed.
func SyncDir(string) error { return nil }

// mayMakeIn says nothing here: only an attempt tells.
func mayMakeIn(string) error { return nil }

package durable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"evergate/internal/clock"
	"evergate/internal/remedy"
)

// Pauses between attempts at a lock: short at first, because a write takes a millisecond
// or two; longer then, because a refresh takes a second.
const (
	firstPause   = time.Millisecond
	longestPause = 50 * time.Millisecond
)

// Lock locks the file at path, which it makes if it is missing, through a descriptor of its own: the
// kernel's locks belong to the open file, so two holders in one process exclude each
// other like two processes.
//
// It polls. A blocking flock cannot be cancelled: after the end of ctx it would go on to hold
// a thread, and then the lock, although nobody waits for it.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	return wait(ctx, f)
}

// wait locks f, or closes it.
func wait(ctx context.Context, f *os.File) (unlock func(), err error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		unlock, ok, err := tryLock(f)
		if err != nil {
			return nil, lockError(f, err)
		}
		if ok {
			return unlock, nil
		}
		if err := clock.Sleep(ctx, pause/2+rand.N(pause)); err != nil { //nolint:gosec // G404: jitter, not a secret
			_ = f.Close() // it has no lock and no content
			return nil, fmt.Errorf("%s is held by another: %w", f.Name(), err)
		}
	}
}

// TryLock is Lock that does not wait: ok is false where another holds the lock.
func TryLock(path string) (unlock func(), ok bool, err error) {
	f, err := OpenRegular(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, false, err
	}
	unlock, ok, err = tryLock(f)
	if err != nil {
		return nil, false, lockError(f, err)
	}
	if !ok {
		_ = f.Close() // it has no content
	}
	return unlock, ok, nil
}

// openLock opens the file that a lock is on. One that is there can be locked all the same
// where nothing can be written any more, as after an error of the disk.
func openLock(path string) (*os.File, error) {
	f, err := OpenRegular(path, os.O_RDWR|os.O_CREATE)
	if errors.Is(err, syscall.EROFS) {
		return OpenRegular(path, os.O_RDONLY)
	}
	return f, err
}

// lockError closes f and explains.
func lockError(f *os.File, err error) error {
	_ = f.Close() // it has no lock and no content
	return remedy.New("use a file system with locks", "%s cannot be locked: %w", f.Name(), err)
}

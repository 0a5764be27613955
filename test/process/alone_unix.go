//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Alone waits until no other process of tests on this machine has it to itself, and gives it to the caller until release. It is for what keeps every
// processor busy for a while, and for what judges by the clock beside which that cannot go on: go test runs as many packages at once as there are processors.
// Who has it must not ask for it again. Standard error is told of a wait.
func Alone() (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("evergate-test-alone-%d", os.Getuid())), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX | syscall.LOCK_NB
	for {
		switch err := syscall.Flock(int(f.Fd()), how); {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			fmt.Fprintln(os.Stderr, "waiting for other tests that need the machine alone:", f.Name())
			how = syscall.LOCK_EX
		case errors.Is(err, syscall.EINTR):
		default:
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

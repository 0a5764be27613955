//go:build unix && (!linux || race)

package socket

import (
	"errors"
	"syscall"
)

// This is not Linux, or the race detector is to see what is read and written.

// ReadNow reads what has come to a socket of a net.Conn. The error is syscall.EAGAIN if nothing has; at the end nothing is read, and there is none.
func ReadNow(fd uintptr, p []byte) (int, error) {
	return now(syscall.Read, fd, p)
}

func writeNow(fd uintptr, p []byte) (int, error) { return now(syscall.Write, fd, p) }

func now(call func(fd int, p []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		if n, err := call(int(fd), p); !errors.Is(err, syscall.EINTR) { //nolint:gosec // G115: it was an int
			return max(n, 0), err
		}
	}
}

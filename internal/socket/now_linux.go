//go:build !race

package socket

import (
	"syscall"
	"unsafe"
)

// ReadNow reads what has come to a socket of a net.Conn. The error is syscall.EAGAIN if nothing has; at the end nothing is read, and there is none.
func ReadNow(fd uintptr, p []byte) (int, error) { return now(syscall.SYS_READ, fd, p) }

func writeNow(fd uintptr, p []byte) (int, error) { return now(syscall.SYS_WRITE, fd, p) }

func now(call, fd uintptr, p []byte) (int, error) {
	for {
		n, _, err := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) //nolint:gosec // G103: as package syscall does
		switch err {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}

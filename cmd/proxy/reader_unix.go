//go:build unix

package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readerLeft reports whether what is written to a pipe or a socket reaches nobody any more. A write would say so, but not
// everybody has something to write.
func readerLeft(to io.Writer) bool {
	f, isFile := to.(*os.File)
	if !isFile {
		return false
	}
	c, err := f.SyscallConn()
	if err != nil {
		return false
	}
	left := false
	_ = c.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		left = err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
	})
	return left
}

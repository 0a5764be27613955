package main

import (
	"errors"

	"golang.org/x/sys/unix"
)

// watchedProcess is a process that may be anybody's. Its descriptor means this process even when the number is another's later, and
// tells of its end before its parent has asked for it, which a shell does when it likes.
type watchedProcess struct {
	fd   int // negative: there is none, because the process has ended, or because this kernel has no such thing
	gone bool
}

func watchProcess(pid int) watchedProcess {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return watchedProcess{-1, errors.Is(err, unix.ESRCH)}
	}
	return watchedProcess{fd, false}
}

func (p watchedProcess) ended() bool {
	if p.fd < 0 {
		return p.gone
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

func (p watchedProcess) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
	}
}

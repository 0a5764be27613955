package upstream

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// boundSilence ends a connection whose peer acknowledges nothing any more, which the
// kernel would otherwise put up with for a quarter of an hour.
func boundSilence(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacknowledged.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}

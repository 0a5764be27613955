//go:build unix

package systemd

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// inherit makes a listener of a descriptor that this process began with.
func inherit(fd int, name string) (net.Listener, error) {
	// A program that we start would hold the address open after us.
	syscall.CloseOnExec(fd)
	listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	switch {
	case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.ENOTSOCK): // not given, and perhaps the runtime's own by now
		return nil, errors.New("it is no socket: use ListenStream= in the socket unit, and see that LISTEN_FDS counts what is passed")
	case err == nil && listens == 0:
		return nil, errors.New("it accepts no connections: use ListenStream= and Accept=no in the socket unit")
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { _ = f.Close() }() // FileListener has a descriptor of its own
	return net.FileListener(f)
}

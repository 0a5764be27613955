//go:build unix

package upstream

import (
	"net"
	"syscall"

	"evergate/internal/socket"
)

// below is what lies below a connection and its layers of TLS.
func below(c net.Conn) syscall.RawConn {
	under, ok := socket.Innermost(c).(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := under.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

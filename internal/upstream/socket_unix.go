//go:build unix

package upstream

import (
	"net"
	"syscall"
)

// below is what lies below a connection and its layers of TLS.
func below(c net.Conn) syscall.RawConn {
	for {
		switch layer := c.(type) {
		case interface{ NetConn() net.Conn }:
			c = layer.NetConn()
		case syscall.Conn:
			raw, err := layer.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		default:
			return nil
		}
	}
}

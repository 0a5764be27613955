package socket

import "net"

// Below is the connection that another has been wrapped around; nil: none. Whoever wraps one says so by a method NetConn, as tls.Conn does.
func Below(c net.Conn) net.Conn {
	if w, ok := c.(interface{ NetConn() net.Conn }); ok {
		return w.NetConn()
	}
	return nil
}

// Innermost is the last connection that others have been wrapped around; c itself if it is none.
func Innermost(c net.Conn) net.Conn {
	for {
		below := Below(c)
		if below == nil {
			return c
		}
		c = below
	}
}

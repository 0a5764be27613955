package socket

import (
	"iter"
	"net"
)

// Layers are a connection and what it has been wrapped around, the outermost first. Whoever wraps one says so by a method NetConn, as tls.Conn does.
func Layers(c net.Conn) iter.Seq[net.Conn] {
	return func(yield func(net.Conn) bool) {
		for yield(c) {
			w, ok := c.(interface{ NetConn() net.Conn })
			if !ok {
				return
			}
			c = w.NetConn()
		}
	}
}

// Innermost is the last of a connection's Layers.
func Innermost(c net.Conn) net.Conn {
	for layer := range Layers(c) {
		c = layer
	}
	return c
}

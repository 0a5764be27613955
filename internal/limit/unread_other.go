//go:build !unix

package limit

// unread reports whether the kernel has bytes of the client's that nobody has read, where it can be asked.
func (c *Conn) unread() bool { return false }

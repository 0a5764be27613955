//go:build unix && !nethttp

package upstream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"

	"evergate/internal/socket"
)

// canTell says that a connection's end is seen without waiting for it.
const canTell = true

// probe looks whether something has come on a connection that rests, which can only mean that it is of no use.
type probe struct {
	of  net.Conn
	raw syscall.RawConn
	// asker looks itself, when a request goes out; nil: it cannot.
	asker socket.Asker
	look  func(fd uintptr)
	n     int
	err   error
	b     [1]byte
}

// follow makes it the probe of a connection.
func (p *probe) follow(c *conn) {
	if way := c.way(); p.of != way {
		p.of, p.raw = way, below(way)
		if secured, ok := way.(*tls.Conn); ok {
			way = secured.NetConn()
		}
		p.asker, _ = way.(socket.Asker)
	}
	if p.look == nil {
		p.look = p.read
	}
}

func (p *probe) read(fd uintptr) { p.n, p.err = socket.ReadNow(fd, p.b[:]) }

// quiet returns nil while the connection is open and nothing has come, as far as can be told: what is no socket is taken to be.
func (p *probe) quiet() error {
	if p.raw == nil {
		return nil
	}
	if err := p.raw.Control(p.look); err != nil {
		return err
	}
	switch {
	case errors.Is(p.err, syscall.EAGAIN):
		return nil
	case p.err != nil:
		return p.err
	case p.n == 0:
		return io.EOF
	}
	return errUnasked
}

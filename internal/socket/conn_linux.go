package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// most is how many bytes are asked of the kernel in one such call. Copying them takes a few microseconds, in which nothing else can run on
// the processor.
const most = 32 << 10

// conn is a TCP connection.
type conn struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out transfer
	hushed  bool // kept by in.mu
	brief   bool // likewise
	tryOnce func(fd uintptr) (done bool)

	asks     atomic.Bool // what is written is kept; changed while out.mu is held
	question question
	askFirst func(fd uintptr) (done bool)
}

// transfer is one direction. It is made once for each connection, so that a call allocates nothing.
type transfer struct {
	mu   sync.Mutex // held by whoever reads, or writes
	name string
	call func(fd uintptr, p []byte) (int, error)
	p    []byte
	n    int
	err  error
	once func(fd uintptr) (done bool)
}

// Wrap returns what is to be used in a connection's place; c itself, unless it is one of TCP.
func Wrap(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{TCPConn: tcp, raw: raw}
	w.in.name, w.in.call, w.in.once = "read", ReadNow, w.in.try
	w.askFirst, w.tryOnce = w.askOnce, w.in.tryOnce
	w.out.name, w.out.call, w.out.once = "write", writeNow, w.out.try
	return w
}

// Hush implements Husher.
func (c *conn) Hush(on bool) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.hushed = on
}

// Brief implements Brief.
func (c *conn) Brief(on bool) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.brief = on
}

// tryOnce makes the call, and waits for nothing.
func (t *transfer) tryOnce(fd uintptr) (done bool) {
	if !t.try(fd) {
		t.err = os.ErrDeadlineExceeded
	}
	return true
}

// try makes the call. It reports false if nothing can be done until the socket is ready.
func (t *transfer) try(fd uintptr) (done bool) {
	t.n, t.err = t.call(fd, t.p)
	return !errors.Is(t.err, syscall.EAGAIN)
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.TCPConn.Read(p)
	}
	t := &c.in
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.hushed {
		return 0, os.ErrDeadlineExceeded
	}
	t.p = p[:min(len(p), most)]
	once := t.once
	switch {
	case c.asks.Load():
		once = c.askFirst
	case c.brief:
		once = c.tryOnce
	}
	err := c.finish(t, c.raw.Read(once))
	if errors.Is(err, errRest) {
		c.out.mu.Lock()
		wrote := c.writeQuestion()
		c.out.mu.Unlock()
		t.p = p[:min(len(p), most)]
		if err = c.finish(t, c.raw.Read(t.once)); err != nil && wrote != nil {
			err = wrote
		}
	}
	if err == nil && t.n == 0 {
		err = io.EOF
	}
	return t.n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.asks.Load() {
		if c.question.keep(p) {
			return len(p), nil
		}
		c.asks.Store(false)
		if err := c.writeQuestion(); err != nil {
			return 0, err
		}
		n, err := c.write(p)
		c.question.sent = c.question.sent || n > 0
		return n, err
	}
	return c.write(p)
}

// write writes all of p. out.mu is held.
func (c *conn) write(p []byte) (written int, err error) {
	if len(p) == 0 || len(p) > most {
		return c.TCPConn.Write(p)
	}
	t := &c.out
	for written < len(p) && err == nil {
		t.p = p[written:]
		err = c.finish(t, c.raw.Write(t.once))
		written += t.n
	}
	return written, err
}

// finish lets go of the bytes, and returns an error as a net.Conn does. raw is the RawConn's.
func (c *conn) finish(t *transfer, raw error) error {
	t.p = nil
	err := t.err
	if raw != nil {
		t.n, err = 0, raw
		if op, ok := errors.AsType[*net.OpError](raw); ok { // which says "raw-read"
			err = op.Err
		}
	}
	if errno, ok := err.(syscall.Errno); ok { //nolint:errorlint // it is wrapped by nothing
		err = os.NewSyscallError(t.name, errno)
	}
	t.err = nil
	if err == nil {
		return nil
	}
	return &net.OpError{Op: t.name, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

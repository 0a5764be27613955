//go:build linux

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// client is the load generator: connections that are kept alive, on one thread, with one epoll. A request costs it one
// write, one read and its share of a wait, which is less than any proxy needs, so that what is measured is the proxy.
// It does no TLS and no HTTP beyond what it needs to find the end of an answer.
type client struct {
	epoll, timer int
	conns        []*conn
	requests     [][]byte // sent in turn
	next         int
	buffer       []byte
	events       []unix.EpollEvent
}

// conn is one connection, with at most one request under way.
type conn struct {
	fd       int
	head     []byte // of the answer, while it is not complete
	left     int    // of the answer's body
	intended int64  // when the request was to be sent
}

// patience is how long nothing may arrive before a run fails.
const patience = 20 * time.Second

func newClient(addr string, connections int, requests ...[]byte) (*client, error) {
	c := &client{requests: requests, buffer: make([]byte, 256<<10), events: make([]unix.EpollEvent, 512), epoll: -1, timer: -1}
	if err := c.open(addr, connections); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *client) open(addr string, connections int) (err error) {
	if c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if c.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return err
	}
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, c.timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		return err
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	for range connections {
		if err := c.dial(at); err != nil {
			return fmt.Errorf("connection %d to %s: %w", len(c.conns)+1, addr, err)
		}
	}
	return nil
}

func (c *client) dial(at netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	k := &conn{fd: fd}
	c.conns = append(c.conns, k)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		return err
	}
	if err := errors.Join(unix.SetNonblock(fd, true), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)); err != nil {
		return err
	}
	return unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(c.conns) - 1)})
}

func (c *client) close() {
	for _, k := range c.conns {
		_ = unix.Close(k.fd)
	}
	for _, fd := range []int{c.epoll, c.timer} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// closed sends on every connection as soon as the answer before is there, for a time, and waits for the last answers. It
// returns how many there were.
func (c *client) closed(length time.Duration) (done int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, k := range c.conns {
		if err := c.send(k, 0); err != nil {
			return 0, err
		}
	}
	end := nanotime() + int64(length)
	for busy := len(c.conns); busy > 0; {
		answered, _, err := c.wait()
		if err != nil {
			return done, err
		}
		done += len(answered)
		again := nanotime() < end
		for _, k := range answered {
			if !again {
				busy--
			} else if err := c.send(k, 0); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

// fixed sends so many requests a second, evenly, and returns how long each answer took from the moment at which its request
// was due. A request that found no connection free because answers are late has waited, and that counts: otherwise
// whoever is slow would be asked less often just then ("coordinated omission").
func (c *client) fixed(length time.Duration, perSecond int) (took []time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	gap := int64(time.Second) / int64(perSecond)
	total := int(int64(length) / gap)
	took = make([]time.Duration, 0, total)
	free := append(make([]*conn, 0, 2*len(c.conns)), c.conns...) // the one that has waited longest is the next
	tick := unix.NsecToTimespec(gap)
	if err := unix.TimerfdSettime(c.timer, 0, &unix.ItimerSpec{Interval: tick, Value: tick}, nil); err != nil {
		return nil, err
	}
	defer func() { _ = unix.TimerfdSettime(c.timer, 0, &unix.ItimerSpec{}, nil) }()
	start := nanotime() + gap
	for sent := 0; len(took) < total; {
		answered, now, err := c.wait()
		if err != nil {
			return took, err
		}
		for _, k := range answered {
			took = append(took, time.Duration(now-k.intended))
			free = append(free, k)
		}
		for ; sent < total && len(free) > 0; sent++ {
			due := start + int64(sent)*gap
			if due > now {
				break
			}
			if err := c.send(free[0], due); err != nil {
				return took, err
			}
			free = free[:copy(free, free[1:])]
		}
	}
	return took, nil
}

// once sends one request on every connection and returns when the last answer was there.
func (c *client) once() (time.Duration, error) {
	start := nanotime()
	_, err := c.closed(0)
	return time.Duration(nanotime() - start), err
}

// oneByOne sends one request on each connection, one after the other.
func (c *client) oneByOne() error {
	for _, k := range c.conns {
		if err := c.send(k, 0); err != nil {
			return err
		}
		for answered := false; !answered; {
			done, _, err := c.wait()
			if err != nil {
				return err
			}
			answered = len(done) > 0
		}
	}
	return nil
}

// allWait returns an error unless all connections are open and nothing has come on them: a peer that has closed them does not hold them.
func (c *client) allWait() error {
	var b [1]byte
	for i, k := range c.conns {
		if n, _, err := unix.Recvfrom(k.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("connection %d does not wait any more: %d bytes, %w", i+1, n, cmp.Or(err, io.EOF))
		}
	}
	return nil
}

func (c *client) send(k *conn, due int64) error {
	request := c.requests[c.next]
	if c.next++; c.next == len(c.requests) {
		c.next = 0
	}
	k.intended = due
	n, err := unix.Write(k.fd, request)
	if err == nil && n < len(request) {
		err = fmt.Errorf("%d of %d bytes of a request found room", n, len(request))
	}
	return err
}

// wait waits for something to happen and returns the connections on which an answer has ended, and when that was. What it
// returns is good until the next call.
func (c *client) wait() (answered []*conn, now int64, err error) {
	n, err := unix.EpollWait(c.epoll, c.events, int(patience/time.Millisecond))
	now = nanotime()
	if errors.Is(err, unix.EINTR) {
		return nil, now, nil
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("nothing happened for %s", patience)
	}
	if err != nil {
		return nil, now, err
	}
	for _, event := range c.events[:n] {
		if event.Fd < 0 {
			// Its expirations, which nobody counts; it goes off again once they were read.
			_, _ = unix.Read(c.timer, c.buffer[:8])
			continue
		}
		k := c.conns[event.Fd]
		ended, err := c.receive(k)
		if err != nil {
			return nil, now, err
		}
		if ended {
			answered = append(answered, k)
		}
	}
	return answered, now, nil
}

var (
	headEnd     = []byte("\r\n\r\n")
	success     = []byte("HTTP/1.1 200 ")
	lengthField = []byte("\r\ncontent-length: ")
)

// receive reads what has arrived and reports whether the answer is complete.
func (c *client) receive(k *conn) (ended bool, err error) {
	n, err := unix.Read(k.fd, c.buffer)
	if n <= 0 || err != nil {
		if errors.Is(err, unix.EAGAIN) {
			return false, nil
		}
		return false, fmt.Errorf("the connection ended after %d bytes of an answer's head: %w", len(k.head), errors.Join(err, net.ErrClosed))
	}
	got := c.buffer[:n]
	if k.left > 0 {
		k.left -= n
		if k.left < 0 {
			return false, fmt.Errorf("%d bytes behind an answer", -k.left)
		}
		return k.left == 0, nil
	}
	if len(k.head) > 0 {
		k.head = append(k.head, got...)
		got = k.head
	}
	end := bytes.Index(got, headEnd)
	if end < 0 {
		k.head = append(k.head[:0], got...)
		return false, nil
	}
	size, err := bodySize(got[:end+2])
	if err != nil {
		return false, err
	}
	k.left = end + len(headEnd) + size - len(got)
	k.head = k.head[:0]
	if k.left < 0 {
		return false, fmt.Errorf("%d bytes behind an answer", -k.left)
	}
	return k.left == 0, nil
}

func bodySize(head []byte) (int, error) {
	if !bytes.HasPrefix(head, success) {
		return 0, fmt.Errorf("not a success:\n%s", head)
	}
	at := foldIndex(head, lengthField)
	if at < 0 {
		return 0, fmt.Errorf("an answer without a length:\n%s", head)
	}
	digits, _, _ := bytes.Cut(head[at+len(lengthField):], headEnd[:2])
	return strconv.Atoi(string(digits))
}

// foldIndex is bytes.Index for what is written in small letters, in a text of any.
func foldIndex(text, small []byte) int {
	for i := 0; i+len(small) <= len(text); i++ {
		if text[i]|0x20 == small[0]|0x20 && bytes.EqualFold(text[i:i+len(small)], small) {
			return i
		}
	}
	return -1
}

var epoch = time.Now()

func nanotime() int64 { return int64(time.Since(epoch)) }

package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"evergate/internal/pipetest"
)

// pair are two ends of a connection, both wrapped.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	dialled, accepted := pipetest.Sockets(t, "tcp", "127.0.0.1:0")
	return Wrap(dialled), Wrap(accepted)
}

func TestItIsAConnection(t *testing.T) {
	t.Parallel()
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		a, b = pair(t)
		return a, b, func() { _, _ = a.Close(), b.Close() }, nil
	})
}

// TestErrorsAreThoseOfATCPConn compares with the connection itself.
func TestErrorsAreThoseOfATCPConn(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(c, peer net.Conn) error{
		"the end": func(c, peer net.Conn) error {
			_ = peer.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		},
		"a reset": func(c, peer net.Conn) error {
			_ = peer.(interface{ SetLinger(sec int) error }).SetLinger(0) //nolint:forcetypeassert // it is one of TCP
			_ = peer.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		},
		"a deadline": func(c, _ net.Conn) error {
			_ = c.SetDeadline(time.Unix(1, 0))
			_, err := c.Read(make([]byte, 1))
			return err
		},
		"a deadline while writing": func(c, _ net.Conn) error {
			_ = c.SetDeadline(time.Unix(1, 0))
			_, err := c.Write(make([]byte, 1))
			return err
		},
		"closed": func(c, _ net.Conn) error {
			_ = c.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		},
		"closed while writing": func(c, _ net.Conn) error {
			_ = c.Close()
			_, err := c.Write(make([]byte, 1))
			return err
		},
		"shut": func(c, _ net.Conn) error {
			_ = c.(interface{ CloseWrite() error }).CloseWrite() //nolint:forcetypeassert // it is one of TCP
			_, err := c.Write(make([]byte, 1))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := func(bare bool) (error, string) {
				c, peer := pair(t)
				text := strings.NewReplacer(c.LocalAddr().String(), "here", c.RemoteAddr().String(), "there")
				if w, ok := c.(*conn); ok && bare {
					c = w.TCPConn
				}
				err := fail(c, peer)
				if err == nil {
					t.Fatal("no error")
				}
				return err, text.Replace(err.Error())
			}
			wrapped, is := said(false)
			bare, want := said(true)
			if is != want {
				t.Errorf("%q, want %q", is, want)
			}
			for _, kind := range []error{io.EOF, net.ErrClosed, os.ErrDeadlineExceeded, syscall.ECONNRESET, syscall.EPIPE} {
				if errors.Is(wrapped, kind) != errors.Is(bare, kind) {
					t.Errorf("whether it is %q: %t", kind, errors.Is(wrapped, kind))
				}
			}
		})
	}
}

// TestMuchIsWrittenWhileLittleIsRead has both ends work at once, with pieces of every size around the largest.
func TestMuchIsWrittenWhileLittleIsRead(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	var sent bytes.Buffer
	for i := range 200 {
		sent.Write(bytes.Repeat([]byte{byte(i)}, (i*7919)%(80<<10)))
	}
	var both sync.WaitGroup
	for _, way := range []struct{ from, to net.Conn }{{a, b}, {b, a}} {
		both.Go(func() {
			for rest, n := sent.Bytes(), 1; len(rest) > 0; n = (n*13 + 1) % (70 << 10) {
				m, err := way.from.Write(rest[:min(n, len(rest))])
				if err != nil {
					t.Error(err)
					return
				}
				rest = rest[m:]
			}
		})
		both.Go(func() {
			got := make([]byte, sent.Len())
			if _, err := io.ReadFull(way.to, got); err != nil || !bytes.Equal(got, sent.Bytes()) {
				t.Errorf("something else has come: %v", err)
			}
		})
	}
	both.Wait()
}

func TestAReadThatFindsNothingSaysSo(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	raw, err := a.(syscall.Conn).SyscallConn() //nolint:forcetypeassert // it is one of TCP
	if err != nil {
		t.Fatal(err)
	}
	look := func() (n int, err error) {
		_ = raw.Control(func(fd uintptr) { n, err = ReadNow(fd, make([]byte, 1)) })
		return n, err
	}
	if n, err := look(); n != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("%d, %v", n, err)
	}
	_ = b.Close()
	_ = raw.Read(func(fd uintptr) bool { // waits until there is something to see
		n, err := ReadNow(fd, make([]byte, 1))
		return n == 0 && err == nil
	})
	if n, err := look(); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

func TestReadingAndWritingAllocateNothing(t *testing.T) { //nolint:paralleltest // others' allocations would count
	a, b := pair(t)
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := a.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(b, p); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestAHushedConnectionHasNothingToRead keeps what comes meanwhile.
func TestAHushedConnectionHasNothingToRead(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	h := a.(Husher) //nolint:forcetypeassert // it is one of TCP
	if _, err := b.Write([]byte("later")); err != nil {
		t.Fatal(err)
	}
	h.Hush(true)
	buf := make([]byte, 10)
	if n, err := a.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(n, err)
	}
	h.Hush(false)
	if n, err := io.ReadFull(a, buf[:5]); string(buf[:n]) != "later" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// TestABriefConnectionWaitsForNothing takes what has come, in the middle of what a layer of TLS is waiting for as well.
func TestABriefConnectionWaitsForNothing(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	h := a.(Brief) //nolint:forcetypeassert // it is one of TCP
	buf := make([]byte, 10)
	for i := range 3 {
		h.Brief(true)
		if n, err := a.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("with nothing there: %d, %v", n, err)
		}
		if netErr, ok := errors.AsType[net.Error](func() error { _, err := a.Read(buf); return err }()); !ok || !netErr.Timeout() {
			t.Error("that is no time-out")
		}
		h.Brief(false)
		if _, err := b.Write([]byte("later")); err != nil {
			t.Fatal(err)
		}
		if n, err := io.ReadFull(a, buf[:2]); string(buf[:n]) != "la" || err != nil { // which waits
			t.Errorf("round %d: %q, %v", i, buf[:n], err)
		}
		h.Brief(true)
		if n, err := a.Read(buf); string(buf[:n]) != "ter" || err != nil {
			t.Errorf("round %d: %q, %v", i, buf[:n], err)
		}
	}
	_ = b.Close()
	h.Brief(false)
	if n, err := a.Read(buf); n != 0 || !errors.Is(err, io.EOF) {
		t.Error(n, err)
	}
	h.Brief(true)
	if n, err := a.Read(buf); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the end: %d, %v", n, err)
	}
}

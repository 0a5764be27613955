//go:build !nethttp

package upstream

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/socket"
)

// TestARequestThatWasCutOffEndsItsConnection has a peer answer of which it has read a part, and the rest not fit. The next request would come as that rest.
func TestARequestThatWasCutOffEndsItsConnection(t *testing.T) {
	t.Parallel()
	little := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { // the kernel holds a few kilobytes at most
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) })
	}}
	listener, err := little.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
		accepted <- c
	}()
	var raw net.Conn
	l := bareLane()
	l.connect = func(context.Context, laneKey) (*conn, error) {
		raw, err = net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return nil, err
		}
		c := newConn(socket.Wrap(raw), time.Time{}, Options{HeaderTimeout: testTimeout}, &Transport{}, nil)
		c.inLane, c.abort = true, func() { _ = c.Close() }
		return c, nil
	}
	resp, err, _ := l.carry(aRequest(t, http.MethodGet))
	if got := readAll(resp, err); got.body != "ok" {
		t.Fatalf("%+v", got)
	}
	if err := raw.(*net.TCPConn).SetWriteBuffer(1); err != nil {
		t.Fatal(err)
	}
	_ = raw.SetWriteDeadline(time.Unix(1, 0)) // what does not fit at once is not written
	r := aRequest(t, http.MethodPost)
	setBody(r, strings.Repeat("x", 14000))
	resp, err, _ = l.carry(r)
	if got := readAll(resp, err); got.body != "early" {
		t.Errorf("%+v", got)
	}
	defer (<-accepted).Close()
	if l.count != 0 {
		t.Error("the connection is used again")
	}
}

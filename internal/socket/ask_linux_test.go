package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asked asks a question on a, and returns what Read gave.
func asked(a net.Conn, question string) (answer string, sent bool, err error) {
	asker := a.(Asker) //nolint:forcetypeassert // it is one of TCP
	asker.Ask()
	for _, part := range []string{question[:len(question)/2], question[len(question)/2:]} {
		if n, err := io.WriteString(a, part); n != len(part) || err != nil {
			sent, _ = asker.Asked()
			return "", sent, err
		}
	}
	buf := make([]byte, 100)
	n, err := a.Read(buf)
	sent, cut := asker.Asked()
	if err == nil {
		err = cut
	}
	return string(buf[:n]), sent, err
}

func TestAQuestionGoesOutWhenItsAnswerIsWaitedFor(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	for range 3 {
		done := make(chan error, 1)
		go func() {
			buf := make([]byte, 8)
			_, err := io.ReadFull(b, buf)
			if err == nil && string(buf) != "question" {
				err = errors.New(string(buf))
			}
			if err == nil {
				_, err = b.Write([]byte("answer"))
			}
			done <- err
		}()
		if answer, sent, err := asked(a, "question"); answer != "answer" || !sent || err != nil {
			t.Fatalf("%q, sent %t, %v", answer, sent, err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Write([]byte("plain")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(b, buf); err != nil || string(buf) != "plain" {
		t.Errorf("%q, %v", buf, err)
	}
}

func TestNothingIsAskedOfWhoHasSpokenOrGone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(a, b net.Conn)
		want   error
	}{
		"spoke": {func(_, b net.Conn) { _, _ = b.Write([]byte("x")) }, errUnasked},
		"gone":  {func(_, b net.Conn) { _ = b.(interface{ CloseWrite() error }).CloseWrite() }, io.EOF}, //nolint:forcetypeassert // it is one of TCP
		"late":  {func(a, _ net.Conn) { _ = a.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"over":  {func(a, _ net.Conn) { _ = a.Close() }, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pair(t)
			c.before(a, b)
			if name == "spoke" || name == "gone" {
				awaitSomething(t, a)
			}
			if answer, sent, err := asked(a, "question"); answer != "" || sent || !errors.Is(err, c.want) {
				t.Errorf("%q, sent %t, %v", answer, sent, err)
			}
			_ = a.Close()
			if text, _ := io.ReadAll(b); len(text) > 0 {
				t.Errorf("%q was sent", text)
			}
		})
	}
}

// awaitSomething returns when a read would give something, and takes nothing.
func awaitSomething(t *testing.T, c net.Conn) {
	t.Helper()
	w, ok := c.(*conn)
	if !ok {
		t.Fatal("it is no connection of ours")
	}
	if err := w.raw.Read(func(fd uintptr) bool { return isReadable(int(fd)) }); err != nil {
		t.Fatal(err)
	}
}

// TestAQuestionThatDoesNotFitGoesOutInParts has a peer that reads late.
func TestAQuestionThatDoesNotFitGoesOutInParts(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1000, MostAsked, MostAsked + 1, 3 * MostAsked} {
		a, b := pair(t)
		before := fill(t, a)
		question := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		got := make(chan []byte, 1)
		go func() {
			buf := make([]byte, before+size)
			_, _ = io.ReadFull(b, buf)
			_, _ = b.Write([]byte("answer"))
			got <- buf[before:]
		}()
		if answer, sent, err := asked(a, string(question)); answer != "answer" || !sent || err != nil {
			t.Fatalf("%q, sent %t, %v", answer, sent, err)
		}
		if !bytes.Equal(<-got, question) {
			t.Errorf("something else has come of %d bytes", size)
		}
	}
}

// TestAQuestionThatIsCutOffSaysSo has a peer that answers what it has not read.
func TestAQuestionThatIsCutOffSaysSo(t *testing.T) {
	t.Parallel()
	a, b := smallPair(t)
	go func() {
		_, _ = b.Read(make([]byte, 1)) // it has begun
		_, _ = io.WriteString(b, "early")
	}()
	_ = a.SetWriteDeadline(time.Unix(1, 0)) // what does not fit at once is not written
	answer, sent, err := asked(a, strings.Repeat("x", MostAsked))
	if answer != "early" || !sent || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, sent %t, %v", answer, sent, err)
	}
	_ = a.SetWriteDeadline(time.Time{})
	go func() { _, _ = io.Copy(b, b) }()
	if answer, sent, err := asked(a, "again"); !strings.HasPrefix(answer, "x") || !sent || err != nil { // it says nothing of the one before
		t.Errorf("%q, sent %t, %v", answer, sent, err)
	}
}

// smallPair is a pair whose kernel holds a few kilobytes at most.
func smallPair(t *testing.T) (asks, answers net.Conn) {
	t.Helper()
	small := func(option int) func(string, string, syscall.RawConn) error {
		return func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 1) })
		}
	}
	l, err := (&net.ListenConfig{Control: small(syscall.SO_RCVBUF)}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asks, err = (&net.Dialer{Control: small(syscall.SO_SNDBUF)}).Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if answers, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = asks.Close(), answers.Close() })
	return Wrap(asks), answers
}

// fill writes until nothing fits any more.
func fill(t *testing.T, c net.Conn) (written int) {
	t.Helper()
	_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }()
	piece := make([]byte, 10_000)
	for {
		n, err := c.Write(piece)
		written += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return written
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAskingAllocatesNothing(t *testing.T) { //nolint:paralleltest // others' allocations would count
	a, b := pair(t)
	asker, p := a.(Asker), make([]byte, 100) //nolint:forcetypeassert // it is one of TCP
	go func() { _, _ = io.Copy(b, b) }()
	if n := testing.AllocsPerRun(100, func() {
		asker.Ask()
		if _, err := a.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(a, p); err != nil {
			t.Fatal(err)
		}
		if sent, err := asker.Asked(); !sent || err != nil {
			t.Fatal(sent, err)
		}
	}); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

func isReadable(fd int) bool {
	n, _, err := syscall.Recvfrom(fd, make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return n > 0 || err == nil
}

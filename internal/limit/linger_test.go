package limit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/clock"
)

// halves is a pipe whose sending side can end alone.
type halves struct {
	net.Conn
	ended chan struct{}
}

func (h halves) CloseWrite() error { close(h.ended); return nil }

// lingeringConn returns the client's side of a connection whose request is answered and whose body is not
// wanted, and what tells that the answer has ended.
func lingeringConn(t *testing.T, set *Connections) (net.Conn, <-chan struct{}) {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _ = here.Close() })
	c := &Conn{Conn: halves{there, make(chan struct{})}, set: set}
	if !set.admit(c) {
		t.Fatal("not admitted")
	}
	State(c, http.StateActive)
	c.BeginUpload()
	waited := make(chan error)
	go func() { _, err := c.Read(make([]byte, 1)); waited <- err }()
	synctest.Wait()
	c.Linger()
	if err := <-waited; err == nil {
		t.Error("a read that waits goes on")
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, errUnwanted) {
		t.Errorf("the server can read on: %v", err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	_ = c.Close() // as net/http does behind it
	return here, c.Conn.(halves).ended
}

func TestAConnectionLingersUntilItsClientIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := NewConnections(10, NewBudget(1<<20), stall)
		client, ended := lingeringConn(t, set)
		<-ended
		if n, err := client.Write(make([]byte, 8<<20)); err != nil {
			t.Fatalf("%d bytes went: %v", n, err)
		}
		if set.Open() != 1 {
			t.Error("it is not counted while it lingers")
		}
		_ = client.Close()
		synctest.Wait()
		if set.Open() != 0 || set.budget.Held() != 0 {
			t.Errorf("%d connections, %d bytes", set.Open(), set.budget.Held())
		}
	})
}

func TestLingeringIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		send        []byte // at a time
		every       time.Duration
		least, most time.Duration
		bytes       int
	}{
		"silence":     {nil, time.Hour, lingerSilence, lingerSilence, 0},
		"a trickle":   {[]byte("x"), time.Second, longestLinger, longestLinger, 1 << 10},
		"no end":      {make([]byte, 1<<20), time.Millisecond, 0, longestLinger / 2, mostLingered + 2<<20},
		"a slow line": {make([]byte, 64<<10), time.Second, longestLinger, longestLinger, 9 << 20},
	} {
		for _, room := range []int64{0, 1 << 20} { // in the budget
			synctest.Test(t, func(t *testing.T) {
				set := NewConnections(10, NewBudget(room), stall)
				client, _ := lingeringConn(t, set)
				began, sent := time.Now(), 0
				closed := make(chan struct{})
				go func() { _, _ = io.Copy(io.Discard, client); close(closed) }()
				for over := false; !over; {
					if len(c.send) > 0 {
						n, _ := io.Copy(client, bytes.NewReader(c.send))
						sent += int(n)
					}
					pause := time.NewTimer(c.every)
					select {
					case <-closed:
						over = true
					case <-pause.C:
					}
					pause.Stop()
				}
				if took := time.Since(began); took < c.least || took > c.most || sent > c.bytes {
					t.Errorf("%s: closed after %s and %d bytes", name, took, sent)
				}
				synctest.Wait()
				if set.Open() != 0 || set.budget.Held() != 0 {
					t.Errorf("%s: %d connections, %d bytes", name, set.Open(), set.budget.Held())
				}
			})
		}
	}
}

func TestWhoLingersLeavesFirstForANewcomer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := NewConnections(2, nil, stall)
		waits := &Conn{Conn: halves{nil, nil}, set: set}
		set.admit(waits)
		waits.since.Store(clock.Mono())
		client, _ := lingeringConn(t, set)
		time.Sleep(2 * time.Second)
		_, there := net.Pipe()
		newcomer := &Conn{Conn: there, set: set}
		if !set.admit(newcomer) {
			t.Fatal("the newcomer has to wait")
		}
		if _, err := client.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the one that lingers goes on: %v", err)
		}
		synctest.Wait()
		if set.Open() != 2 || set.Closed() != 1 {
			t.Errorf("%d open, %d closed", set.Open(), set.Closed())
		}
	})
}

func TestAShutdownAwaitsThoseThatLinger(t *testing.T) {
	t.Parallel()
	const longest = 8 * time.Second
	for name, c := range map[string]struct {
		seconds int // that it goes on to send
		closes  bool
		want    time.Duration
	}{
		"the client is done":        {1, true, time.Second},
		"the client falls silent":   {1, false, time.Second + lingerSilence},
		"the client sends for long": {20, false, longest},
	} {
		synctest.Test(t, func(t *testing.T) {
			set := NewConnections(10, nil, stall)
			set.AwaitLingering(t.Context()) // nobody does
			client, _ := lingeringConn(t, set)
			var sending sync.WaitGroup
			sending.Go(func() {
				for range c.seconds {
					time.Sleep(time.Second)
					_, _ = client.Write([]byte("x"))
				}
				if c.closes {
					_ = client.Close()
				}
			})
			ctx, stop := context.WithTimeout(t.Context(), longest)
			defer stop()
			began := time.Now()
			set.AwaitLingering(ctx)
			if took := time.Since(began); took != c.want {
				t.Errorf("%s: %s", name, took)
			}
			_ = client.Close()
			sending.Wait()
		})
	}
}

func TestABodyThatNobodyReadsHasItsConnectionLinger(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body    string
		reads   int64
		lingers bool
	}{
		"no body":             {"", 0, false},
		"a body that is read": {"0123456789", 11, false},
		"one that is not":     {"0123456789", 0, true},
		"one that is begun":   {"0123456789", 5, true},
	} {
		set := NewConnections(10, nil, stall)
		_, there := net.Pipe()
		conn := &Conn{Conn: there, set: set}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(c.body))
		LingerUnread(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, c.reads)
		})).ServeHTTP(httptest.NewRecorder(), r.WithContext(WithConn(t.Context(), conn)))
		if lingers := conn.ending.Load() == unwanted; lingers != c.lingers {
			t.Errorf("%s: it lingers: %v", name, lingers)
		}
	}
}

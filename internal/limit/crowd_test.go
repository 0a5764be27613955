package limit

import (
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// waiting is a house in which every request waits until it is told to make room, the one that came last first.
func waiting(t *testing.T, limit int) (h *house, called *int) {
	t.Helper()
	leave := make(chan chan struct{}, 1024)
	h = newHouse(t, limit, nil, func(w http.ResponseWriter, r *http.Request) {
		told := make(chan struct{})
		leave <- told
		select {
		case <-told:
			w.Header().Set("Connection", "close")
		case <-r.Context().Done():
		}
	})
	called = new(int)
	h.set.OnCrowd(func() bool {
		*called++
		close(<-leave)
		return true
	})
	return h, called
}

func TestWhileNewcomersWaitRequestsThatWaitMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, called := waiting(t, 4)
		for range 4 {
			h.dial(t, get)
		}
		time.Sleep(time.Minute)
		if *called != 0 {
			t.Fatalf("%d made room for nobody", *called)
		}
		here, there := net.Pipe()
		defer here.Close()
		h.pipes.conns <- there
		go func() { _, _ = io.WriteString(here, get); _, _ = io.Copy(io.Discard, here) }()
		time.Sleep(crowded - 2*lookAgain)
		if synctest.Wait(); *called != 0 {
			t.Error("a newcomer need not wait at all")
		}
		time.Sleep(4 * lookAgain)
		if synctest.Wait(); *called != 1 || h.set.Open() != 4 || len(h.set.newcomers) != 0 {
			t.Errorf("%d made room, %d are open, %d wait", *called, h.set.Open(), len(h.set.newcomers))
		}
		// Those who come right behind it do not wait for so long again.
		began := time.Now()
		for range 10 {
			h.dial(t, get)
		}
		if took := time.Since(began); took > time.Second || *called != 11 {
			t.Errorf("ten more took %s, and %d made room", took, *called)
		}
	})
}

// TestABusyListenerLeavesPlacesToTheOthers has newcomers at two listeners, at one of them without end.
func TestABusyListenerLeavesPlacesToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewConnections(1, nil, stall)
		open := func() *Conn {
			_, there := net.Pipe()
			return &Conn{Conn: there, set: set}
		}
		first, quiet, busy := open(), open(), open()
		if !set.admit(first) {
			t.Fatal("there is no room for the first")
		}
		first.serving.Store(true)
		if set.admit(quiet) || set.admit(busy) {
			t.Fatal("there is room for more")
		}
		_ = first.end()
		if set.admit(busy) {
			t.Error("whoever came later is let in first")
		}
		if !set.admit(quiet) || len(set.newcomers) != 1 {
			t.Error("whoever came first is not let in")
		}
		_ = quiet.end()
		if !set.admit(busy) || len(set.newcomers) != 0 {
			t.Error("the other is not let in after it")
		}
	})
}

// TestWhoHasJustComeIsNotClosed: what it sends at once has still to be read.
func TestWhoHasJustComeIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 1, nil, nothing)
		_, first := h.dial(t, "")
		here, there := net.Pipe()
		defer here.Close()
		h.pipes.conns <- there
		time.Sleep(justCome / 2)
		if over(first) {
			t.Error("it was closed for the next one at once")
		}
		time.Sleep(2 * justCome)
		if !over(first) {
			t.Error("it keeps its place though it sends nothing")
		}
	})
}

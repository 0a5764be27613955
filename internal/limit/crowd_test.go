package limit

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/clock"
	"evergate/internal/pipetest"
)

// waiting is a house in which every request waits until it is told to make room, the one that came last first.
func waiting(t *testing.T, limit int) (h *house, called *atomic.Int32) {
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
	called = new(atomic.Int32)
	h.set.OnCrowd(func() bool {
		called.Add(1)
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
		if called.Load() != 0 {
			t.Fatalf("%d made room for nobody", called.Load())
		}
		here, there := net.Pipe()
		defer here.Close()
		h.pipes.Hand(there)
		go func() { _, _ = io.WriteString(here, get); _, _ = io.Copy(io.Discard, here) }()
		time.Sleep(crowded - 2*lookAgain)
		if synctest.Wait(); called.Load() != 0 {
			t.Error("a newcomer need not wait at all")
		}
		time.Sleep(4 * lookAgain)
		if synctest.Wait(); called.Load() != 1 || h.set.Open() != 4 || len(h.set.newcomers) != 0 {
			t.Errorf("%d made room, %d are open, %d wait", called.Load(), h.set.Open(), len(h.set.newcomers))
		}
		// Those who come right behind it do not wait for so long again.
		began := time.Now()
		for range 10 {
			h.dial(t, get)
		}
		if took := time.Since(began); took > time.Second || called.Load() != 11 {
			t.Errorf("ten more took %s, and %d made room", took, called.Load())
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
		h.set.justCome = justCome // as with many places
		_, first := h.dial(t, "")
		here, there := net.Pipe()
		defer here.Close()
		h.pipes.Hand(there)
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

// TestWhoDoesNotGoOnLeavesShortAnswersToOthers has clients that do not read, and some that do not send their body's rest.
func TestWhoDoesNotGoOnLeavesShortAnswersToOthers(t *testing.T) {
	for name, request := range map[string]string{
		"an answer that is not read": get,
		"a body that does not come":  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			set := NewConnections(1, nil, 0)
			h := &house{set: set, pipes: pipetest.Listen()}
			h.Server = &http.Server{ConnState: State, ConnContext: WithConn, Handler: LingerUnread(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = w.Write(make([]byte, 64<<10))
			}))}
			done := make(chan error)
			go func() { done <- h.Serve(set.Wrap(h.pipes)) }()
			here, there := net.Pipe()
			h.pipes.Hand(there)
			if _, err := io.WriteString(here, request); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if synctest.Wait(); set.Open() != 1 {
				t.Errorf("%s: closed while nobody waited", name)
			}
			began := time.Now()
			other, newcomer := h.dial(t, get)
			time.Sleep(50 * time.Millisecond)
			if synctest.Wait(); set.Closed() != 1 || over(newcomer) {
				t.Errorf("%s: after %s %d were closed", name, time.Since(began), set.Closed())
			}
			_, _, _ = here.Close(), other.Close(), h.Close()
			<-done
			time.Sleep(time.Minute) // in faked time, for the server's goroutines to end
		})
	}
}

// TestWhoHasMoreToAskLeavesItsPlaceAfterAnAnswer has a client send many requests at once, each of which takes a second.
func TestWhoHasMoreToAskLeavesItsPlaceAfterAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Int32
		h := newHouse(t, 1, nil, func(http.ResponseWriter, *http.Request) {
			served.Add(1)
			time.Sleep(time.Second)
		})
		_, busy := h.dial(t, strings.Repeat(get, 100))
		time.Sleep(2500 * time.Millisecond)
		if over(busy) || served.Load() != 3 {
			t.Errorf("closed: %v, %d served", over(busy), served.Load())
		}
		_, newcomer := h.dial(t, get)
		time.Sleep(time.Second)
		if !over(busy) || over(newcomer) || h.set.Closed() != 1 {
			t.Errorf("closed: %v %v", over(busy), over(newcomer))
		}
		time.Sleep(time.Minute) // the one that had been read is served, and nobody gets its answer
		if synctest.Wait(); served.Load() > 5 {
			t.Errorf("%d were served of a connection that is closed after three, and one of another's", served.Load())
		}
	})
}

// full has places for as many who are being served as there is room for, beside some who have come and said nothing.
func full(t *testing.T, places, late int) *Connections {
	t.Helper()
	set := NewConnections(places, nil, stall)
	for i := range places {
		c := &Conn{Conn: pipe(t), set: set}
		if !set.admit(c) {
			t.Fatalf("there is no room for the connection %d", i)
		}
		c.serving.Store(i >= late)
	}
	return set
}

func pipe(t *testing.T) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	return there
}

// TestWhoIsLateKeepsThePlaceWhileOthersEnd has newcomers who say nothing yet, where all others are being served.
func TestWhoIsLateKeepsThePlaceWhileOthersEnd(t *testing.T) {
	const places = 80
	for _, c := range []struct {
		name       string
		late       int
		othersEnd  bool
		keptPlaces bool // beyond the first second of the crowd
	}{
		{"one", 1, true, true},
		{"as many as are spared", places - places/leftByLate, true, true},
		{"more", places - places/leftByLate + 1, true, false},
		{"one, and nobody else's place becomes free", 1, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			set := full(t, places, c.late)
			set.OnCrowd(func() bool { return false })
			time.Sleep(2 * justCome)
			newcomer := &Conn{Conn: pipe(t), set: set}
			if got, want := set.admit(newcomer), c.late > places-places/leftByLate; got != want {
				t.Fatalf("%s: it is %v that a newcomer takes a place at once", c.name, got)
			} else if got {
				return
			}
			for range 2 * crowded / lookAgain { // the crowd lasts, and others come and go
				set.mu.Lock()
				for o := range set.open {
					if !o.serving.Load() {
						o.since.Store(clock.Mono() + int64(-2*justCome))
					}
				}
				if c.othersEnd {
					set.freed = time.Now()
				}
				set.mu.Unlock()
				if set.admit(newcomer) {
					break
				}
				time.Sleep(lookAgain)
			}
			if got := set.crowd.Load() > 0; got != c.keptPlaces {
				t.Errorf("%s: it is %v that they keep their places", c.name, got)
			}
		})
	}
}

// TestThoseWhoHardlyMoveGoBeforeAFewWhoAreLate: the latter may yet have something to say.
func TestThoseWhoHardlyMoveGoBeforeAFewWhoAreLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := full(t, 16, 2)
		var crawling *Conn
		for c := range set.open {
			if c.serving.Load() {
				crawling = c
			}
		}
		crawling.progress.begin()
		time.Sleep(2 * crawlWindow)
		for c := range set.open {
			if !c.serving.Load() {
				c.since.Store(clock.Mono() + int64(-2*justCome))
			}
		}
		set.mu.Lock()
		defer set.mu.Unlock()
		if c := set.pickForNewcomer(func(*Conn) bool { return true }); c != crawling {
			t.Errorf("another one is to be closed: %+v", c)
		}
	})
}

// TestTheTimeInTheQueueIsNotANewcomersOwn: what it sent may have been there all the while, and nobody has read it.
func TestTheTimeInTheQueueIsNotANewcomersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := full(t, 1, 0)
		newcomer := &Conn{Conn: pipe(t), set: set}
		newcomer.since.Store(clock.Mono())
		if set.admit(newcomer) {
			t.Fatal("there is room for more")
		}
		time.Sleep(time.Hour)
		for c := range set.open {
			_ = c.end()
		}
		if !set.admit(newcomer) {
			t.Fatal("there is no room")
		}
		if r, _ := newcomer.rank(time.Now()); r != never {
			t.Errorf("it has the rank %d at once", r)
		}
	})
}

// TestTheFirstByteIsWaitedForAndThenTheRest: both may be late, but a head that comes in pieces keeps nobody out for long.
func TestTheFirstByteIsWaitedForAndThenTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 1, nil, nothing)
		h.set.justCome = justCome
		first, ended := h.dial(t, "")
		time.Sleep(justCome - time.Millisecond)
		if _, err := io.WriteString(first, "G"); err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		defer here.Close()
		h.pipes.Hand(there)
		time.Sleep(justCome / 2)
		if over(ended) {
			t.Error("it was closed though its request had begun to come")
		}
		if _, err := io.WriteString(first, "E"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(justCome)
		if !over(ended) {
			t.Error("it keeps its place with a byte at a time")
		}
	})
}

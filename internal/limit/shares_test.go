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
)

// fromAddr is a connection that comes from somewhere.
type fromAddr struct {
	net.Conn
	addr net.Addr
}

func (c fromAddr) RemoteAddr() net.Addr { return c.addr }

// place is a connection with a request under way.
type place struct {
	caller string // empty: not known
	from   string // the client's address
	since  time.Duration
	rate   int // bytes a second of an answer; 0: it waits for Shopify
	told   bool
}

func TestWhoHasMoreThanItsPartMakesRoom(t *testing.T) {
	t.Parallel()
	repeat := func(n int, p place) (all []place) {
		for range n {
			all = append(all, p)
		}
		return all
	}
	for name, c := range map[string]struct {
		places []place
		want   place // its caller or address, and since; zero: nobody
	}{
		"of one caller alone the one that has waited longest": {
			append(repeat(8, place{caller: "a", since: 3 * time.Second}), place{caller: "a", since: 9 * time.Second}, place{caller: "a", since: time.Second}),
			place{caller: "a", since: 9 * time.Second}},
		"nobody before its turn is over": {repeat(10, place{caller: "a", since: turn - 1}), place{}},
		"nobody of a caller within its part": {
			append(repeat(9, place{caller: "a", since: 3 * time.Second}), place{caller: "b", since: time.Minute}),
			place{caller: "a", since: 3 * time.Second}},
		"nobody where all have equal parts": {
			append(repeat(3, place{caller: "a", since: time.Minute}), append(repeat(3, place{caller: "b", since: time.Minute}), repeat(3, place{since: time.Minute})...)...),
			place{}},
		"nobody where each has one": {[]place{{caller: "a", since: time.Minute}, {caller: "b", since: time.Minute}, {caller: "c", since: time.Minute}}, place{}},
		"strangers are one together, whatever their addresses": {
			append(repeat(2, place{caller: "a", since: time.Minute}), place{from: "10.0.0.1:1", since: 5 * time.Second}, place{from: "10.0.0.2:1", since: 7 * time.Second},
				place{from: "10.0.0.3:1", since: 6 * time.Second}, place{from: "10.0.0.4:1", since: 3 * time.Second}),
			place{from: "10.0.0.2:1", since: 7 * time.Second}},
		"among strangers the one with the most": {
			append(repeat(6, place{from: "10.0.0.1:1", since: 3 * time.Second}), place{from: "10.0.0.2:1", since: time.Minute}),
			place{from: "10.0.0.1:1", since: 3 * time.Second}},
		"a network of IPv6 is one peer": {
			[]place{{from: "[2001:db8::1]:1", since: 3 * time.Second}, {from: "[2001:db8::2]:1", since: 4 * time.Second}, {from: "[2001:db8:0:1::1]:1", since: time.Minute}},
			place{from: "[2001:db8::2]:1", since: 4 * time.Second}},
		"slow ones before those that wait, and these before fast ones": {
			[]place{{since: time.Minute}, {since: 5 * time.Second, rate: 40 << 10}, {since: 4 * time.Second, rate: 20 << 10}, {since: time.Minute, rate: 1 << 20}},
			place{since: 4 * time.Second}},
		"of fast ones the slowest": {
			[]place{{since: 3 * time.Second, rate: 2 << 20}, {since: 4 * time.Second, rate: 1 << 20}, {since: 5 * time.Second, rate: 3 << 20}},
			place{since: 4 * time.Second}},
		"not who has been told": {
			[]place{{since: time.Minute, told: true}, {since: 3 * time.Second}, {since: 4 * time.Second}},
			place{since: 4 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := NewConnections(len(c.places), nil, stall)
			now := time.Now()
			for _, p := range c.places {
				from := p.from
				if from == "" {
					from = "127.0.0.1:1"
				}
				addr, err := net.ResolveTCPAddr("tcp", from)
				if err != nil {
					t.Fatal(err)
				}
				conn := &Conn{Conn: fromAddr{addr: addr}, set: set}
				conn.serving.Store(true)
				conn.Hold(p.caller, p.caller != "", clock.MonoOf(now.Add(-p.since)))
				if p.rate > 0 {
					conn.progress.under.Store(1)
					conn.progress.from = clock.MonoOf(now) - int64(p.since)
					conn.progress.moved.Store(int64(p.rate) * int64(p.since/time.Second))
				}
				if p.told {
					conn.told.Store(clock.MonoOf(now))
				}
				set.open[conn] = struct{}{}
			}
			leaves := set.pickByShare(now)
			if leaves.conn == nil {
				if c.want.since != 0 {
					t.Fatal("nobody makes room")
				}
				return
			}
			since := time.Duration(clock.MonoOf(now) - leaves.conn.began.Load())
			key, from := leaves.conn.holder.key, leaves.conn.RemoteAddr().String()
			if since != c.want.since || key != c.want.caller || c.want.from != "" && from != c.want.from {
				t.Errorf("%v from %s makes room, under way for %s; want %+v", key, from, since, c.want)
			}
		})
	}
}

// held is a house in which every request waits for something else until it is told to make room, and says so.
func held(t *testing.T, limit int) *house {
	t.Helper()
	var came atomic.Int64
	h := newHouse(t, limit, nil, func(w http.ResponseWriter, r *http.Request) {
		conn := FromContext(r.Context())
		began := clock.Mono() + came.Add(1) // no two at the same time
		conn.Hold(r.Header.Get("Caller"), r.Header.Get("Caller") != "", began)
		<-r.Context().Done()
		if conn.MustLeave() {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	h.set.OnCrowd(func() bool { return false })
	return h
}

// heldBy opens a connection with a request of a caller's, and tells when it is answered or closed.
func (h *house) heldBy(t *testing.T, caller string) <-chan string {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _ = here.Close() })
	answer := make(chan string, 1)
	go func() {
		h.pipes.Hand(there)
		_, _ = io.WriteString(here, strings.Replace(get, "\r\n\r\n", "\r\nCaller: "+caller+"\r\n\r\n", 1))
		b, _ := io.ReadAll(here)
		answer <- string(b)
	}()
	synctest.Wait()
	return answer
}

func told(answers ...<-chan string) (n int) {
	synctest.Wait()
	for _, a := range answers {
		if len(a) > 0 {
			n++
		}
	}
	return n
}

func TestANewcomerTakesThePlaceOfARequestOfWhoeverHasTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 8
		h := held(t, limit)
		few := h.heldBy(t, "few")
		var many []<-chan string
		for range limit - 1 {
			many = append(many, h.heldBy(t, "many"))
		}
		time.Sleep(10 * time.Second)
		if n := told(append(many, few)...); n != 0 {
			t.Fatalf("%d made room for nobody", n)
		}
		// A newcomer alone waits for a second.
		h.heldBy(t, "new")
		time.Sleep(crowded - lookAgain)
		if n := told(many...); n != 0 {
			t.Errorf("%d made room at once", n)
		}
		time.Sleep(3 * lookAgain)
		if n := told(many...); n != 1 || len(h.set.newcomers) != 0 {
			t.Fatalf("%d made room for one newcomer, and %d wait", n, len(h.set.newcomers))
		}
		if answer := <-many[0]; !strings.HasPrefix(answer, "HTTP/1.1 503") {
			t.Errorf("the one that has waited longest was told %q", answer)
		}
		if told(few) != 0 {
			t.Error("a caller within its part made room")
		}
	})
}

// TestPlacesBecomeFreeInTurn has more of one caller wait than there are places.
func TestPlacesBecomeFreeInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, rounds = 8, 4
		h := held(t, limit)
		var all []<-chan string
		for range limit * rounds {
			all = append(all, h.heldBy(t, "many"))
		}
		time.Sleep(turn + crowded)
		before := told(all...)
		time.Sleep(turn)
		if n := told(all...) - before; n < limit-2 || n > limit+2 {
			t.Errorf("%d of %d places became free in a turn", n, limit)
		}
		time.Sleep(rounds * turn)
		if n := told(all...); n != limit*(rounds-1) {
			t.Errorf("%d made room for %d others", n, limit*(rounds-1))
		}
	})
}

// TestNobodyMakesRoomWherePlacesBecomeFree has calls of a caller's that end by themselves, some late.
func TestNobodyMakesRoomWherePlacesBecomeFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 8
		var made, calls atomic.Int32
		h := newHouse(t, limit, nil, func(w http.ResponseWriter, r *http.Request) {
			conn := FromContext(r.Context())
			conn.Hold("many", true, clock.Mono())
			w.Header().Set("Connection", "close")
			took := time.Second
			if calls.Add(1)%limit == 0 {
				took = 5 * time.Second
			}
			select {
			case <-time.After(took):
			case <-r.Context().Done():
				made.Add(1)
			}
		})
		h.set.OnCrowd(func() bool { return false })
		var all []<-chan string
		for range 20 * limit {
			all = append(all, h.heldBy(t, "many"))
		}
		time.Sleep(time.Minute)
		if n := told(all...); n != len(all) || made.Load() != 0 {
			t.Errorf("%d of %d were answered, and %d were told to make room", n, len(all), made.Load())
		}
	})
}

// TestWhoIsKnownAndHasFewPlacesKeepsThemBetweenItsCalls ends requests while newcomers wait, and a moment before one does.
func TestWhoIsKnownAndHasFewPlacesKeepsThemBetweenItsCalls(t *testing.T) {
	for _, c := range []struct {
		name, caller string
		places       int
		crowded      bool
		stays        bool
	}{
		{"a caller with few", "few", 2, true, true},
		{"one with more than its part", "many", 4, true, false},
		{"one that is alone", "alone", 8, true, false},
		{"a stranger", "", 1, true, false},
		{"a caller with few, a moment before", "few", 2, false, true},
		{"one with more than its part, a moment before", "many", 4, false, false},
		{"one that is alone, a moment before", "alone", 8, false, false},
		{"a stranger, a moment before", "", 1, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			set := NewConnections(8, nil, stall)
			set.OnCrowd(func() bool { return false })
			serve := func(caller string) *Conn {
				conn := &Conn{Conn: fromAddr{Conn: pipe(t), addr: &net.TCPAddr{}}, set: set}
				set.add(conn)
				State(conn, http.StateActive)
				conn.Hold(caller, caller != "", clock.Mono())
				return conn
			}
			var own []*Conn
			for range c.places {
				own = append(own, serve(c.caller))
			}
			for range set.Limit() - c.places {
				serve("another")
			}
			if c.crowded {
				set.crowd.Store(1)
			}
			State(own[0], http.StateIdle)
			if !c.crowded {
				time.Sleep(time.Millisecond)
				set.admit(&Conn{Conn: fromAddr{Conn: pipe(t), addr: &net.TCPAddr{}}, set: set})
				set.newcomers = nil
			}
			if own[0].gone.Load() == c.stays {
				t.Fatalf("%s: it stays: %v", c.name, !c.stays)
			}
			if !c.stays {
				return
			}
			newcomer := &Conn{Conn: fromAddr{Conn: pipe(t), addr: &net.TCPAddr{}}, set: set}
			time.Sleep(young - time.Duration(clock.Mono()-own[0].since.Load()))
			if set.admit(newcomer) {
				t.Errorf("%s: a newcomer takes its place in the first second", c.name)
			}
			time.Sleep(time.Millisecond)
			if !set.admit(newcomer) || !own[0].gone.Load() {
				t.Errorf("%s: it keeps a place in which it asks for nothing", c.name)
			}
		})
	}
}

// TestWhoMayStayHidesNobodyWhoMayNot has more callers that are known, whose answers ended first, than are asked about bytes in the kernel.
func TestWhoMayStayHidesNobodyWhoMayNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewConnections(24, nil, stall)
		set.OnCrowd(func() bool { return false })
		answered := func(caller any, known bool) *Conn {
			conn := &Conn{Conn: fromAddr{Conn: pipe(t), addr: &net.TCPAddr{}}, set: set}
			set.add(conn)
			State(conn, http.StateActive)
			conn.Hold(caller, known, clock.Mono())
			State(conn, http.StateIdle)
			return conn
		}
		for i := range 12 {
			answered(i, true)
		}
		time.Sleep(time.Millisecond)
		first := answered("stranger", false)
		for range 11 {
			time.Sleep(time.Millisecond)
			answered("stranger", false)
		}
		if !set.admit(&Conn{Conn: fromAddr{Conn: pipe(t), addr: &net.TCPAddr{}}, set: set}) || !first.gone.Load() {
			t.Error("a newcomer does not get the place of the stranger who has waited longest")
		}
	})
}

package limit

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/clock"
	"evergate/internal/pipetest"
)

// house is a server with a limit on its connections.
type house struct {
	*http.Server
	set   *Connections
	pipes *pipetest.Listener
}

const stall = 40 * time.Second

func newHouse(t *testing.T, limit int, budget *Budget, handler http.HandlerFunc) *house {
	h := &house{set: NewConnections(limit, budget, stall), pipes: pipetest.Listen()}
	h.Server = &http.Server{Handler: handler, ConnState: State, ConnContext: WithConn, ReadHeaderTimeout: time.Hour, MaxHeaderBytes: 1 << 20}
	done := make(chan error)
	go func() { done <- h.Serve(h.set.Wrap(h.pipes)) }()
	t.Cleanup(func() {
		_ = h.Close()
		<-done
		time.Sleep(time.Second) // net/http lingers half a second on a connection whose body it did not read
		synctest.Wait()
		if n := h.set.Open(); n != 0 {
			t.Errorf("%d connections are counted when all are closed", n)
		}
		if budget != nil && budget.Held() != 0 {
			t.Errorf("%d bytes are held when all are closed", budget.Held())
		}
	})
	return h
}

// dial connects and sends, and returns what tells that the other side has closed.
func (h *house) dial(t *testing.T, send string) (net.Conn, <-chan struct{}) {
	t.Helper()
	here, there := net.Pipe()
	h.pipes.Hand(there)
	t.Cleanup(func() { _ = here.Close() })
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, here); close(ended) }()
	go func() { _, _ = io.WriteString(here, send) }()
	synctest.Wait()
	return here, ended
}

func over(ended <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

func nothing(http.ResponseWriter, *http.Request) {}

func TestANewcomerTakesThePlaceOfWhoeverNeverAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 3, nil, nothing)
		_, asked := h.dial(t, get)
		time.Sleep(time.Second)
		_, silent := h.dial(t, "")
		time.Sleep(time.Second)
		_, other := h.dial(t, "")
		time.Sleep(2 * time.Second)
		_, newcomer := h.dial(t, get)
		if over(asked) || !over(silent) || over(other) || over(newcomer) || h.set.Open() != 3 || h.set.Closed() != 1 {
			t.Errorf("closed: %v %v %v %v, open %d", over(asked), over(silent), over(other), over(newcomer), h.set.Open())
		}
	})
}

func TestAmongThoseWhoAskedTheLongestSilentLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 2, nil, nothing)
		_, first := h.dial(t, get)
		time.Sleep(2 * time.Second)
		_, second := h.dial(t, get)
		time.Sleep(2 * time.Second)
		h.dial(t, get)
		if !over(first) || over(second) {
			t.Errorf("closed: %v %v", over(first), over(second))
		}
	})
}

func TestWhoIsServedIsNotClosedAndTheNewcomerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		h := newHouse(t, 1, nil, func(http.ResponseWriter, *http.Request) { <-answer })
		_, served := h.dial(t, get)
		here, there := net.Pipe()
		defer here.Close()
		h.pipes.Hand(there)
		time.Sleep(time.Minute)
		if over(served) || h.set.Open() != 1 {
			t.Error("the one that is served was closed, or there are two")
		}
		close(answer)
		if _, err := io.WriteString(here, get); err != nil {
			t.Errorf("the newcomer is not served when there is room: %v", err)
		}
	})
}

// answering passes on an answer of pieces, one each second, and reads a body first.
func answering(piece int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := FromContext(r.Context())
		if r.Method == http.MethodPost {
			c.BeginUpload()
			_, _ = io.Copy(io.Discard, r.Body)
			c.EndUpload()
		}
		if r.URL.Path == "/later" {
			<-r.Context().Done() // nothing has come of the answer
			return
		}
		c.BeginAnswer()
		defer c.EndAnswer()
		for {
			if _, err := w.Write(make([]byte, piece)); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
		}
	}
}

func TestWhatHardlyMovesMakesRoomForANewcomerAndOnlyThen(t *testing.T) {
	for name, c := range map[string]struct {
		request string
		piece   int
		upload  int // bytes each second
		closed  bool
	}{
		"an answer that trickles":     {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 16, 0, true},
		"an answer on a slow line":    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", slowestServed + 512, 0, false},
		"an answer that is not there": {"GET /later HTTP/1.1\r\nHost: x\r\n\r\n", 16, 0, false},
		"a body that trickles":        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 16, 64, true},
		"a body on a slow line":       {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 16, slowestServed + 512, false},
		"a whole body, and no answer": {"POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 16, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, 1, nil, answering(c.piece))
			conn, ended := h.dial(t, c.request)
			if c.upload > 0 {
				go func() {
					for {
						if _, err := conn.Write(make([]byte, c.upload)); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				}()
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if over(ended) {
				t.Fatalf("%s: closed while nobody waited", name)
			}
			other, newcomer := h.dial(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if over(ended) != c.closed || over(newcomer) {
				t.Errorf("%s: closed %v, want %v", name, over(ended), c.closed)
			}
			_, _ = conn.Close(), other.Close()
			time.Sleep(10 * time.Second) // for the handlers to see it, in faked time
		})
	}
}

// TestAReadThatOutlivesTheUploadIsNotWaitedFor: the server reads on at the end of a body to learn whether its client goes away.
func TestAReadThatOutlivesTheUploadIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		c := &Conn{Conn: there, set: NewConnections(1, nil, stall)}
		c.serving.Store(true)
		c.BeginUpload()
		done := make(chan struct{})
		go func() { defer close(done); _, _ = c.Read(make([]byte, 1)) }()
		time.Sleep(stuckFor + time.Second)
		synctest.Wait()
		if rank, _ := c.rank(time.Now()); rank != stuck {
			t.Fatalf("its rank is %d while a body is waited for, want stuck", rank)
		}
		c.EndUpload()
		if rank, _ := c.rank(time.Now()); rank != never {
			t.Errorf("its rank is %d when the body is over, want never", rank)
		}
		_ = here.Close()
		<-done
	})
}

// TestAFastBeginningBuysNoTime sends much at first, and then hardly anything.
func TestAFastBeginningBuysNoTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p progress
		p.begin()
		p.add(64<<20, clock.Mono())
		for i := range 10 {
			time.Sleep(time.Second)
			p.add(1, clock.Mono())
			_, slow := p.crawls(0, clock.Mono())
			if want := time.Duration(i+1)*time.Second >= 2*crawlWindow; slow != want {
				t.Errorf("after %d s: %v", i+1, slow)
			}
		}
		p.end()
		if _, slow := p.crawls(0, clock.Mono()); slow {
			t.Error("it crawls when it is over")
		}
		p.begin()
		if _, slow := p.crawls(2, clock.Mono()+int64(time.Hour)); slow {
			t.Error("it crawls though another request waits for something else")
		}
	})
}

func TestWhoDoesNotReadItsAnswerMakesRoomAndIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration, 2)
		h := newHouse(t, 1, nil, func(w http.ResponseWriter, _ *http.Request) {
			began := time.Now()
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					ended <- time.Since(began)
					return
				}
			}
		})
		dumb := func() {
			here, there := net.Pipe()
			t.Cleanup(func() { _ = here.Close() })
			h.pipes.Hand(there)
			_, _ = io.WriteString(here, get)
			synctest.Wait()
		}
		dumb()
		time.Sleep(stuckFor + time.Second)
		dumb() // takes the place
		if took := <-ended; took > stuckFor+2*time.Second {
			t.Errorf("it made room after %s", took)
		}
		if took := <-ended; took < stall || took > stall+time.Second {
			t.Errorf("it was given up after %s", took)
		}
	})
}

func TestABodyThatStandsStillIsGivenUpAndASlowOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type read struct {
			n    int64
			err  error
			took time.Duration
		}
		reads := make(chan read, 1)
		h := newHouse(t, 9, nil, func(_ http.ResponseWriter, r *http.Request) {
			began := time.Now()
			c := FromContext(r.Context())
			c.BeginUpload()
			n, err := io.Copy(io.Discard, r.Body)
			c.EndUpload()
			reads <- read{n, err, time.Since(began)}
			if err == nil {
				time.Sleep(time.Hour) // the deadline must not outlast the body
				err = r.Context().Err()
			}
			reads <- read{err: err}
		})
		const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20480\r\n\r\n"
		for name, c := range map[string]struct {
			piece int
			every time.Duration
			ok    bool
		}{
			"stands still": {1, time.Hour, false},
			"drips":        {1, time.Second, false},
			"slow":         {1024, 20 * time.Second, true},
		} {
			conn, _ := h.dial(t, head)
			var writing sync.WaitGroup
			writing.Go(func() {
				for range 20480 / c.piece {
					if _, err := conn.Write(make([]byte, c.piece)); err != nil {
						return
					}
					time.Sleep(c.every)
				}
			})
			got, after := <-reads, <-reads
			if (got.err == nil) != c.ok || !c.ok && (!errors.Is(got.err, os.ErrDeadlineExceeded) || got.took > stall+time.Second) {
				t.Errorf("%s: %d bytes, %v after %s", name, got.n, got.err, got.took)
			}
			if c.ok && after.err != nil {
				t.Errorf("%s: the request ended while it was served: %v", name, after.err)
			}
			_ = conn.Close()
			writing.Wait()
		}
	})
}

func TestLargeHeadsAreCountedUntilTheirRequestIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(1 << 20)
		answer := make(chan struct{})
		h := newHouse(t, 9, b, func(http.ResponseWriter, *http.Request) { <-answer })
		large := strings.TrimSuffix(get, "\r\n") + "X-A: " + strings.Repeat("a", 100<<10) + "\r\n\r\n"
		h.dial(t, get)
		if b.Held() != 0 {
			t.Errorf("a small head counts %d", b.Held())
		}
		h.dial(t, large)
		if b.Held() < 100<<10*headCost {
			t.Errorf("a large head counts %d", b.Held())
		}
		close(answer)
		synctest.Wait()
		if b.Held() != 0 {
			t.Errorf("after its answer it counts %d", b.Held())
		}
	})
}

func TestANewLargeHeadTakesThePlaceOfOneThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 9, NewBudget(500<<10), nothing)
		begin := strings.TrimSuffix(get, "\r\n") + "X-A: " + strings.Repeat("a", 100<<10)
		_, unfinished := h.dial(t, begin)
		time.Sleep(2 * time.Second)
		_, newcomer := h.dial(t, begin+"\r\n\r\n")
		if !over(unfinished) || over(newcomer) {
			t.Errorf("closed: %v %v", over(unfinished), over(newcomer))
		}
	})
}

func TestAHeadThatNothingMakesRoomForEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, 9, NewBudget(64<<10), nothing)
		_, ended := h.dial(t, strings.TrimSuffix(get, "\r\n")+"X-A: "+strings.Repeat("a", 100<<10))
		if !over(ended) {
			t.Error("it goes on")
		}
	})
}

func TestWhoCameBeforeTheListenerClosedIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipetest.Listen()
		set := NewConnections(1, nil, 0)
		l := set.Wrap(p)
		accepted := make(chan net.Conn)
		go func() {
			for range 2 {
				c, _ := l.Accept()
				accepted <- c
			}
		}()
		_, a := net.Pipe()
		p.Hand(a)
		first := ConnOf(<-accepted)
		first.serving.Store(true)
		_, b := net.Pipe()
		p.Hand(b)
		synctest.Wait()
		_ = l.Close()
		if second := <-accepted; second == nil {
			t.Error("it was dropped")
		} else {
			_ = second.Close()
		}
		_ = first.Close()
	})
}

// bare is a Conn without a server, and the other end of it.
func bare(t *testing.T, budget *Budget) (*Conn, net.Conn) {
	here, there := net.Pipe()
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	return &Conn{Conn: there, set: NewConnections(9, budget, stall)}, here
}

// gaveUp writes to somebody who does not read, and says how long that took.
func gaveUp(t *testing.T, c *Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the write ended with %v", err)
	}
	return time.Since(began)
}

func TestABoundOfOthersNeitherEndsNorOutlastsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := bare(t, nil)
		go func() { _, _ = client.Read(make([]byte, 1)) }()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		// As net/http does around a handshake, and when a connection is hijacked.
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_ = c.SetDeadline(time.Time{})
		if took := gaveUp(t, c); took != stall {
			t.Errorf("without another bound it takes %s", took)
		}
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second)) // as crypto/tls does to say that it closes
		if took := gaveUp(t, c); took != 5*time.Second {
			t.Errorf("within another's it takes %s", took)
		}
		_ = c.SetWriteDeadline(time.Now().Add(-time.Second))
		if took := gaveUp(t, c); took != 0 {
			t.Errorf("behind another's it takes %s", took)
		}
		_ = c.SetWriteDeadline(time.Now().Add(time.Hour))
		if took := gaveUp(t, c); took != stall {
			t.Errorf("with a long one it takes %s", took)
		}
	})
}

func TestWhatIsNotForUsIsNoHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(64 << 10)
		c, client := bare(t, b)
		go func() { _, _ = client.Write(make([]byte, 1<<20)) }()
		c.BeginTunnel()
		c.CarriesOthers()
		if n, err := io.Copy(io.Discard, io.LimitReader(c, 1<<20)); err != nil || n != 1<<20 || b.Held() != 0 {
			t.Errorf("%d bytes, %v, %d held", n, err, b.Held())
		}
	})
}

func TestATunnelInWhichNobodyAskedIsLikeAConnectionOnWhichNobodyDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := bare(t, nil)
		c.serving.Store(true)
		c.asked.Store(true)
		c.BeginTunnel()
		if r, _ := c.rank(time.Now()); r != never {
			t.Errorf("one that has just come has the rank %d", r)
		}
		time.Sleep(justCome)
		if r, _ := c.rank(time.Now()); r != asksFirst {
			t.Errorf("a new one has the rank %d", r)
		}
		time.Sleep(2 * time.Second)
		if r, _ := c.rank(time.Now()); r != neverAsked {
			t.Errorf("a silent one has the rank %d", r)
		}
		c.Moved()
		if r, _ := c.rank(time.Now()); r != waitsShortly {
			t.Errorf("one in use has the rank %d", r)
		}
	})
}

func TestAConnectionOfManyIsStuckWhenAllWaitForTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := bare(t, nil)
		c.many.Store(true)
		c.serving.Store(true)
		after := func(what string, want int) {
			t.Helper()
			time.Sleep(stuckFor + time.Second)
			if got, _ := c.rank(time.Now()); got != want {
				t.Errorf("%s: rank %d, want %d", what, got, want)
			}
		}
		after("nothing is known yet", never)
		c.BeginStream()
		after("one is served", never)
		c.BeginWait()
		if got, _ := c.rank(time.Now()); got != never {
			t.Errorf("it waits for a moment: rank %d", got)
		}
		after("it waits", stuck)
		c.BeginStream()
		after("another is served", never)
		c.EndStream()
		after("the other is answered", stuck)
		c.EndWait()
		after("it has got on", never)
		c.EndStream()
		after("all are answered, and nobody takes the answers", stuck)
		var none *Conn
		none.BeginStream()
		none.BeginWait()
		none.EndWait()
		none.EndStream()
		none.CarriesOthers()
	})
}

func TestRequestsBesideTheFirstOfAConnectionCountLikeConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewConnections(8, nil, stall)
		open := func() *Conn {
			here, there := net.Pipe()
			t.Cleanup(func() { _, _ = here.Close(), there.Close() })
			c := &Conn{Conn: there, set: set}
			if !set.admit(c) {
				return nil
			}
			return c
		}
		busy := open()
		busy.many.Store(true)
		busy.serving.Store(true)
		var counted []bool
		for range 6 {
			counted = append(counted, busy.BeginStream())
		}
		if got := [6]bool(counted); got != [6]bool{true, true, true, true, true, false} { // half of the room
			t.Errorf("%v", got)
		}
		idle := open()
		idle.asked.Store(true)
		for range 2 {
			open().serving.Store(true)
		}
		time.Sleep(2 * time.Second)
		if newcomer := open(); newcomer == nil || set.Closed() != 1 || !idle.gone.Load() {
			t.Errorf("a newcomer beside eight: %v, %d closed", newcomer, set.Closed())
		} else {
			newcomer.serving.Store(true)
		}
		if open() != nil {
			t.Error("there is room for a newcomer when all are served")
		}
		for _, c := range counted {
			if c {
				busy.EndStream()
			}
		}
		set.newcomers = nil // the last one has gone
		if open() == nil || set.streams.Load() != 0 {
			t.Errorf("%d are counted when all are over", set.streams.Load())
		}
	})
}

package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/clock"
)

// network is an upstream behind a way that can go silent for the connections there are: they take
// everything and answer nothing, as behind something that has forgotten them.
type network struct {
	transport *Transport
	resent    atomic.Int32

	mu       sync.Mutex
	conns    []*faraway
	requests []string // method and number of the connection
	slow     time.Duration
	cut      bool // nobody can be dialled
}

// faraway is the upstream's end of a connection.
type faraway struct {
	net.Conn
	number int
	silent atomic.Bool
	closed atomic.Bool
}

// newNetwork returns one that ends with the test, which has to be in a bubble.
func newNetwork(t *testing.T, o Options) *network {
	n := &network{}
	o.Base = &url.URL{Scheme: "http", Host: "shop.example"}
	n.transport = newTransport(o, &dialer{}, n.dial)
	n.transport.Resent = func() { n.resent.Add(1) }
	t.Cleanup(func() {
		n.transport.giveUp()
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, c := range n.conns {
			_ = c.Close()
		}
	})
	return n
}

func (n *network) dial(context.Context) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		return nil, &DialError{err: errors.New("no route")}
	}
	here, there := net.Pipe()
	f := &faraway{Conn: there, number: len(n.conns)}
	n.conns = append(n.conns, f)
	go n.serve(f)
	return here, nil
}

func (n *network) serve(f *faraway) {
	defer f.closed.Store(true)
	defer f.Close()
	for r := bufio.NewReader(f); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if f.silent.Load() {
			_, _ = io.Copy(io.Discard, r)
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		n.mu.Lock()
		slow := n.slow
		n.requests = append(n.requests, req.Method)
		n.mu.Unlock()
		time.Sleep(slow)
		if f.silent.Load() {
			continue
		}
		if _, err := io.WriteString(f, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"); err != nil {
			return
		}
	}
}

// goSilent silences the connections there are.
func (n *network) goSilent() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.conns {
		f.silent.Store(true)
	}
}

func (n *network) set(slow time.Duration, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slow, n.cut = slow, cut
}

func (n *network) served() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.requests)
}

// call makes a request and says how long the answer took.
func (n *network) call(t *testing.T, method, body string) (time.Duration, error) {
	began := time.Now()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://shop.example/x", reader)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := n.transport.RoundTrip(r)
	if err != nil {
		return time.Since(began), err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err == nil && method != "HEAD" && string(got) != "hi" {
		t.Errorf("%s got %q", method, got)
	}
	return time.Since(began), err
}

// warm leaves count connections in the pool.
func (n *network) warm(t *testing.T, count int) {
	n.set(time.Second, false)
	var wait sync.WaitGroup
	for range count {
		wait.Go(func() {
			if _, err := n.call(t, "GET", ""); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	n.set(0, false)
}

func TestSafeRequestOnASilentConnectionFindsALiveWay(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		idle   time.Duration
		within time.Duration
	}{
		"used a moment ago": {"GET", time.Second, silentRecent + lookAgain},
		"quiet for long":    {"GET", 20 * time.Second, silentSuspect + lookAgain},
		"HEAD":              {"HEAD", 20 * time.Second, silentSuspect + lookAgain},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, Options{HeaderTimeout: 2 * time.Minute})
				n.warm(t, 5)
				time.Sleep(c.idle)
				n.goSilent()
				before := n.served()
				if took, err := n.call(t, c.method, ""); err != nil || took > c.within {
					t.Errorf("after %s: %v", took, err)
				}
				synctest.Wait()
				if got := n.resent.Load(); got != 1 || n.served() != before+1 {
					t.Errorf("sent again %d times, executed %d times", got, n.served()-before)
				}
				for _, f := range n.conns[:5] {
					if !f.closed.Load() {
						t.Errorf("connection %d of the stalled pool was kept", f.number)
					}
				}
				for _, method := range []string{"GET", "POST", "GET"} {
					if took, err := n.call(t, method, ""); err != nil || took > 0 {
						t.Errorf("the next %s took %s: %v", method, took, err)
					}
				}
			})
		})
	}
}

func TestConnectionDialledAheadThatHasStalledIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, Options{HeaderTimeout: 2 * time.Minute, Warm: 2})
		keep(t, n.transport.warm)
		time.Sleep(time.Minute)
		n.goSilent()
		if took, err := n.call(t, "GET", ""); err != nil || took > silentSuspect+lookAgain {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

func TestRequestThatIsNotSafeIsNeverSentAgain(t *testing.T) {
	for method, body := range map[string]string{
		"POST": "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", "PUT": "x", "DELETE": "", "OPTIONS": "", "GET": "a body",
	} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, Options{HeaderTimeout: time.Minute})
				n.warm(t, 2)
				time.Sleep(20 * time.Second)
				n.goSilent()
				if took, err := n.call(t, method, body); err == nil || took < time.Minute {
					t.Errorf("after %s: %v", took, err)
				}
				if got := n.resent.Load(); got != 0 {
					t.Errorf("sent again %d times", got)
				}
			})
		})
	}
}

// After a sign of life a body may go on with what reads like a request; it is none.
func TestPieceOfABodyIsNoRequest(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	tr := New(Options{Base: parse(t, "http://shop.example")})
	c := &conn{Conn: here, hedges: &tr.hedges, watch: watch{heard: clock.Mono()}, ended: make(chan struct{})}
	defer c.Close()
	const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
	go func() {
		_, _ = there.Read(make([]byte, 100))
		_, _ = io.WriteString(there, "HTTP/1.1 100 Continue\r\n\r\n")
		_, _ = io.Copy(io.Discard, there)
	}()
	c.watch.begins.Store(true)
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100\r\n\r\n")
	_, _ = c.Read(make([]byte, 100))
	_, _ = io.WriteString(c, get)
	if c.watch.sent != nil {
		t.Error("a piece of a body is taken for a request")
	}
	c.watch.begins.Store(true) // and this is what a request is
	_, _ = io.WriteString(c, get)
	if c.watch.sent == nil {
		t.Error("a request is not noticed")
	}
}

func TestSlowShopifyCostsAtMostOneCallMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, Options{HeaderTimeout: 2 * time.Minute})
		n.warm(t, 1)
		n.set(4*time.Second, false)
		for range 10 { // the connection has just been used: that is no reason for a second sending
			if took, err := n.call(t, "GET", ""); err != nil || took != 4*time.Second {
				t.Errorf("after %s: %v", took, err)
			}
		}
		if got := n.resent.Load(); got != 0 {
			t.Errorf("sent again %d times", got)
		}
		n.set(12*time.Second, false)
		time.Sleep(30 * time.Second)
		for range 10 {
			if took, err := n.call(t, "GET", ""); err != nil || took != 12*time.Second {
				t.Errorf("after %s: %v", took, err)
			}
		}
		if got := n.resent.Load(); got != 0 { // the answers of 4 s were a warning
			t.Errorf("sent again %d times", got)
		}
		time.Sleep(slowFor)
		n.warm(t, 1)
		n.set(12*time.Second, false)
		for range 10 {
			if took, err := n.call(t, "GET", ""); err != nil || took != 12*time.Second {
				t.Errorf("the first answer must win, whichever: after %s: %v", took, err)
			}
		}
		if got := n.resent.Load(); got != 1 {
			t.Errorf("sent again %d times", got)
		}
	})
}

func TestConnectionIsLeftAloneWhileThereIsNoOtherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, Options{HeaderTimeout: 2 * time.Minute})
		n.warm(t, 1)
		time.Sleep(20 * time.Second)
		n.goSilent()
		n.set(0, true)
		go func() { time.Sleep(30 * time.Second); n.set(0, false) }()
		if took, err := n.call(t, "GET", ""); err != nil || took < 30*time.Second || took > 32*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

// The first connection ends while the second one's answer is on its way.
func TestEndOfTheStalledConnectionDoesNotEndTheRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, Options{HeaderTimeout: 2 * time.Minute})
		n.warm(t, 1)
		time.Sleep(20 * time.Second)
		n.goSilent()
		n.set(4*time.Second, false)
		first := n.conns[0]
		go func() { time.Sleep(4 * time.Second); _ = first.Close() }()
		before := n.served()
		if took, err := n.call(t, "GET", ""); err != nil || took > 7*time.Second || n.served() != before+1 {
			t.Errorf("after %s: %v, executed %d times", took, err, n.served()-before)
		}
		if synctest.Wait(); !n.transport.hedges.isSlow() {
			t.Error("the new connection took 4 s: that was Shopify, and is worth remembering")
		}
	})
}

func TestCallerWhoLeavesEndsTheRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, Options{HeaderTimeout: 2 * time.Minute})
		n.warm(t, 1)
		time.Sleep(20 * time.Second)
		n.goSilent()
		n.set(time.Minute, false)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		r := request(t, "GET", "http://shop.example").WithContext(ctx)
		if _, err := n.transport.RoundTrip(r); err == nil {
			t.Error("answered")
		}
		time.Sleep(2 * time.Minute)
		for _, f := range n.conns {
			if !f.closed.Load() {
				t.Errorf("connection %d was left open", f.number)
			}
		}
		if running := n.transport.hedges.running.Load(); running != 0 {
			t.Errorf("%d races go on", running)
		}
	})
}

func TestManyStalledRequestsAllFindALiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, Options{HeaderTimeout: 2 * time.Minute})
		n.warm(t, 100)
		time.Sleep(20 * time.Second)
		n.goSilent()
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				if took, err := n.call(t, "GET", ""); err != nil || took > 10*time.Second {
					t.Errorf("after %s: %v", took, err)
				}
			})
		}
		wait.Wait()
	})
}

func TestPoolIsGivenUpAfterASleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, Options{})
		n.warm(t, 3)
		base := now()
		after := func(wall, mono time.Duration) bool {
			n.transport.noticeSleep(instant{wall: base.wall.Add(wall), mono: base.mono + mono})
			synctest.Wait()
			return n.conns[0].closed.Load()
		}
		for _, awake := range []time.Duration{0, time.Second, time.Minute} {
			if after(awake, awake) {
				t.Fatalf("closed after %s awake", awake)
			}
		}
		if !after(time.Hour, time.Minute) {
			t.Error("the connections were kept over an hour's sleep")
		}
	})
}

func TestLiveConnectionCostsNoAllocation(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go func() { _, _ = io.Copy(there, there) }()
	tr := New(Options{Base: parse(t, "http://shop.example")})
	c := &conn{Conn: here, hedges: &tr.hedges, writeTimeout: time.Minute, watch: watch{heard: clock.Mono()}, ended: make(chan struct{})}
	defer c.Close()
	line, answer := []byte("GET / HTTP/1.1\r\n\r\n"), make([]byte, 100)
	if got := testing.AllocsPerRun(1000, func() {
		tr.noticeSleep(now())
		c.watch.begins.Store(true)
		if _, err := c.Write(line); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(answer); err != nil {
			t.Fatal(err)
		}
	}); got >= 1 {
		t.Errorf("%v allocations", got)
	}
}

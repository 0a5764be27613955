package upstream

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/trust"
)

// pipes dials in-memory connections and keeps their other ends.
type pipes struct {
	mu    sync.Mutex
	ends  []net.Conn
	fails bool
	calls int
}

func (p *pipes) dial(context.Context) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.fails {
		return nil, errors.New("no route")
	}
	here, there := net.Pipe()
	p.ends = append(p.ends, there)
	return here, nil
}

func (p *pipes) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

func (p *pipes) fail(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails = yes
}

// keep runs s until the bubble ends.
func keep(t *testing.T, s *pool) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func TestWarmConnectionsAreDialledAheadAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := newPool(p.dial, 2)
		keep(t, s)
		synctest.Wait()
		if got := p.count(); got != 2 {
			t.Fatalf("%d dialled ahead, want 2", got)
		}
		conn, _, err := s.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := p.count(); got != 3 {
			t.Errorf("%d dialled after one was taken, want 3", got)
		}
		go func() { _, _ = p.ends[1].Write([]byte("x")) }() // the newest is taken first
		b := make([]byte, 1)
		if _, err := conn.Read(b); err != nil || b[0] != 'x' {
			t.Errorf("a taken connection does not read: %v", err)
		}
	})
}

func TestWarmConnectionThatTheServerClosedIsNeverHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := newPool(p.dial, 2)
		keep(t, s)
		synctest.Wait()
		for _, end := range p.ends {
			_ = end.Close()
		}
		synctest.Wait()
		conn, _, err := s.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
			t.Errorf("took a dead connection: %v", err)
		}
	})
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestWarmConnectionsAreRenewedBeforeTheyAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := newPool(p.dial, 2)
		keep(t, s)
		time.Sleep(time.Hour)
		if got := p.count(); got < 20 || got > 40 {
			t.Errorf("%d connections in an idle hour", got)
		}
	})
}

// TestWarmConnectionsAreRenewedEarlyWhereSomebodyAsks has it asked each minute, and dialling take a while, or for ever.
func TestWarmConnectionsAreRenewedEarlyWhereSomebodyAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		var stuck atomic.Bool
		s := newPool(func(ctx context.Context) (net.Conn, error) {
			if stuck.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			time.Sleep(time.Second)
			return p.dial(ctx)
		}, 2)
		s.refresh(t.Context(), time.Hour) // nobody runs it
		keep(t, s)
		time.Sleep(10 * time.Second)
		for minute := range 12 {
			began, before := time.Now(), p.count()
			time.AfterFunc(1500*time.Millisecond, func() {
				if n := s.count(); n < 2 {
					t.Errorf("minute %d: %d are ready meanwhile", minute, n)
				}
			})
			s.refresh(t.Context(), time.Minute)
			took, made := time.Since(began), p.count()-before
			if due := minute%4 == 3; due && (took != 2*time.Second || made != 2) || !due && (took != 0 || made != 0) {
				t.Errorf("minute %d: %d were made in %s", minute, made, took)
			}
			time.Sleep(time.Until(began.Add(time.Minute)))
		}
		time.Sleep(maxWarmAge / 2)
		before := p.count()
		if s.refresh(t.Context(), time.Hour); p.count() != before+2 {
			t.Errorf("%d were made of those that would be due within an hour", p.count()-before)
		}
		time.Sleep(maxWarmAge / 2)
		stuck.Store(true)
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		began := time.Now()
		if s.refresh(ctx, time.Hour); time.Since(began) != 5*time.Second {
			t.Errorf("it was waited for %s", time.Since(began))
		}
	})
}

// TestABurstAfterAPauseFindsAsManyConnectionsAsTheLastOne has a shop 60 ms away, to which a connection takes three round trips.
func TestABurstAfterAPauseFindsAsManyConnectionsAsTheLastOne(t *testing.T) {
	t.Parallel()
	if !canTell {
		t.Skip("net/http carries everything here")
	}
	const trip, burst = 60 * time.Millisecond, 20
	synctest.Test(t, func(t *testing.T) {
		dial := func(context.Context) (net.Conn, error) {
			time.Sleep(3 * trip)
			here, there := net.Pipe()
			go func() {
				requests := bufio.NewReader(there)
				for {
					if _, err := http.ReadRequest(requests); err != nil {
						return
					}
					time.Sleep(trip)
					_, _ = io.WriteString(there, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
			return here, nil
		}
		tr := newTransport(Options{Base: parse(t, "http://acme.myshopify.com"), Warm: 2}, &dialer{}, dial)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); tr.KeepWarm(ctx) }()
		defer func() { stop(); <-ended; tr.CloseIdleConnections() }()
		call := func(n int) (took time.Duration) {
			began := time.Now()
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					if got := readAll(tr.RoundTrip(request(t, http.MethodGet, "http://acme.myshopify.com"))); got.body != "ok" {
						t.Errorf("%+v", got)
					}
				})
			}
			all.Wait()
			return time.Since(began)
		}
		for _, step := range []struct {
			pause time.Duration
			calls int
			took  time.Duration
		}{
			{time.Minute, burst, 4 * trip},
			{longIdle / 2, burst, trip}, // which rest
			{longIdle + time.Minute, burst, trip},
			{burstsOf - time.Minute, burst, trip},
			{burstsOf / 2, 1, trip}, // which takes the place of none of the others
			{burstsOf/2 - time.Minute, burst, trip},
			{2 * burstsOf, burst, 4 * trip},
		} {
			time.Sleep(step.pause)
			if took := call(step.calls); took != step.took {
				t.Errorf("%d calls after %s took %s, not %s", step.calls, step.pause, took, step.took)
			}
		}
		for _, quiet := range []struct {
			after time.Duration
			ready int // or they rest
		}{{longIdle / 2, burst}, {burstsOf / 2, burst}, {burstsOf - burstsOf/2, 2}} {
			time.Sleep(quiet.after)
			synctest.Wait()
			if _, there := tr.lane.load(); there+tr.warm.count() < quiet.ready || tr.warm.count() > max(quiet.ready, 2) {
				t.Errorf("%d are ready, and %d rest", tr.warm.count(), there)
			}
		}
	})
}

// TestRenewingBacksOff has the way be gone when connections are due, which stay until others take their places or they are too old.
func TestRenewingBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := newPool(p.dial, 2)
		keep(t, s)
		time.Sleep(maxWarmAge - time.Second)
		before := p.count()
		p.fail(true)
		for _, minute := range []struct{ most, ready int }{{7, 2}, {1, 2}, {2, 0}} {
			time.Sleep(time.Minute)
			synctest.Wait()
			tries := p.count() - before
			if before += tries; tries == 0 || tries > minute.most || s.count() != minute.ready {
				t.Errorf("%d tries in a minute, and %d are ready; %+v", tries, s.count(), minute)
			}
		}
	})
}

// TestRenewingBacksOffWhereOthersAreYoung has the ages of two differ, because one has been used.
func TestRenewingBacksOffWhereOthersAreYoung(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(p *pipes) func(context.Context) (net.Conn, error){
		"the way is gone": func(p *pipes) func(context.Context) (net.Conn, error) { p.fail(true); return p.dial },
		"what is dialled ends at once": func(p *pipes) func(context.Context) (net.Conn, error) {
			return func(ctx context.Context) (net.Conn, error) {
				_, _ = p.dial(ctx)
				here, there := net.Pipe()
				_ = there.Close()
				return here, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &pipes{}
				dial := atomic.Value{}
				dial.Store(p.dial)
				s := newPool(func(ctx context.Context) (net.Conn, error) {
					return dial.Load().(func(context.Context) (net.Conn, error))(ctx) //nolint:forcetypeassert // there is nothing else in it
				}, 2)
				keep(t, s)
				time.Sleep(time.Minute)
				c, _, err := s.get(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				time.Sleep(youngAge + time.Second)
				dial.Store(broken(p))
				if c, _, err = s.get(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				before := p.count()
				for _, most := range []int{7, 1, 2} {
					time.Sleep(time.Minute)
					synctest.Wait()
					tries := p.count() - before
					if before += tries; tries == 0 || tries > most || s.count() != 1 {
						t.Errorf("%d tries in a minute, and %d are ready; at most %d", tries, s.count(), most)
					}
				}
				p.fail(false)
				dial.Store(p.dial)
				time.Sleep(backoffMax + youngAge)
				if synctest.Wait(); s.count() != 2 {
					t.Errorf("the way is there again, and %d are ready", s.count())
				}
			})
		})
	}
}

// TestAFailureDelaysNothingForLong has one dial fail while others take and leave connections, and one long after the failures of an outage.
func TestAFailureDelaysNothingForLong(t *testing.T) {
	t.Parallel()
	t.Run("in traffic", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := &pipes{fails: true}
			s := newPool(p.dial, 8)
			keep(t, s)
			synctest.Wait()
			p.fail(false)
			time.Sleep(time.Second + 1)
			for range 5 {
				c, _, err := s.get(t.Context())
				if synctest.Wait(); err != nil || !s.keep(c) {
					t.Fatal(err)
				}
				time.Sleep(youngAge - time.Second)
			}
			if synctest.Wait(); s.count() < 8 {
				t.Errorf("%d are ready", s.count())
			}
		})
	})
	t.Run("after an outage", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := &pipes{fails: true}
			s := newPool(p.dial, 2)
			keep(t, s)
			time.Sleep(5 * time.Minute)
			p.fail(false)
			for range 2 { // requests have found the way
				if c, err := p.dial(t.Context()); err != nil || !s.keep(c) {
					t.Fatal(err)
				}
			}
			time.Sleep(forgotten)
			p.fail(true)
			if _, _, err := s.get(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			p.fail(false)
			time.Sleep(backoffMin)
			if synctest.Wait(); s.count() != 2 {
				t.Errorf("%d are ready a second after one dial failed", s.count())
			}
		})
	})
}

// TestNothingIsKeptForBurstsWhereSilentConnectionsEnd has somebody on the way end them after half a minute.
func TestNothingIsKeptForBurstsWhereSilentConnectionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int64
		s := newPool(func(context.Context) (net.Conn, error) {
			dials.Add(1)
			here, there := net.Pipe()
			time.AfterFunc(30*time.Second, func() { _ = there.Close() })
			return here, nil
		}, 2)
		s.load = func() (int, int) { return 20, 0 }
		keep(t, s)
		time.Sleep(time.Hour)
		if n := dials.Load(); n < 2*110 || n > 2*120+6*20 {
			t.Errorf("%d were dialled in an hour", n)
		}
	})
}

func TestNoBurstHasMoreConnectionsKeptThanTheMost(t *testing.T) {
	t.Parallel()
	p := newPool(nil, 2)
	for _, c := range []struct{ peak, there, wants int }{{0, 0, 2}, {10, 0, 10}, {5, 8, 2}, {1000, 0, maxKept}, {1, 10, maxKept - 10}, {0, 1000, 2}} {
		p.load = func() (int, int) { return c.peak, c.there }
		if n := p.wants(); n != c.wants {
			t.Errorf("%+v: %d", c, n)
		}
	}
	if len(p.peaks) > 4 {
		t.Errorf("%d bursts are remembered", len(p.peaks))
	}
}

func TestDiallingAheadBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		p.fail(true)
		s := newPool(p.dial, 2)
		keep(t, s)
		time.Sleep(time.Hour)
		if got := p.count(); got > 80 {
			t.Errorf("%d attempts in an hour without a network", got)
		}
		p.fail(false)
		time.Sleep(backoffMax + youngAge + time.Second)
		if s.count() < 2 {
			t.Error("no two connections a minute after the network came back")
		}
	})
}

func TestGetDialsWhenThePoolIsEmpty(t *testing.T) {
	p := &pipes{}
	s := newPool(p.dial, 0)
	if _, made, err := s.get(t.Context()); !made.IsZero() || err != nil || p.count() != 1 {
		t.Errorf("%v after %d dials", err, p.count())
	}
}

func TestFirstRequestFindsTheHandshakeDone(t *testing.T) {
	used := make(chan string, 1)
	shopify := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { used <- r.RemoteAddr }))
	opened := make(chan string, 8)
	shopify.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened <- c.RemoteAddr().String()
		}
	}
	shopify.StartTLS()
	t.Cleanup(shopify.Close)
	roots := x509.NewCertPool()
	roots.AddCert(shopify.Certificate())
	tr := keepWarm(t, Options{Base: parse(t, shopify.URL), Roots: trust.Only(roots), HeaderTimeout: testTimeout, Warm: 2})
	ahead := []string{<-opened, <-opened}
	for tr.warm.count() < 2 { // the handshake of the second ends a moment after its accept
		runtime.Gosched()
	}
	resp, err := tr.RoundTrip(request(t, "GET", shopify.URL))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	if got := <-used; !slices.Contains(ahead, got) {
		t.Error("the request went over a connection of its own")
	}
}

// testTimeout bounds what would otherwise hang; it is never waited for in a test that passes.
const testTimeout = 20 * time.Second

// keepWarm returns a Transport that keeps its warm pool filled until the test ends.
func keepWarm(t *testing.T, o Options) *Transport {
	tr := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tr.KeepWarm(ctx) }()
	t.Cleanup(func() { cancel(); <-done; tr.CloseIdleConnections() })
	return tr
}

func parse(t *testing.T, text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func request(t *testing.T, method, base string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), method, base+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An upstream that accepts and closes at once, a load balancer without backends say, must
// not be dialled in a loop.
func TestUpstreamThatClosesWhatItAcceptsIsLeftInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := newPool(func(ctx context.Context) (net.Conn, error) {
			c, err := p.dial(ctx)
			p.mu.Lock()
			defer p.mu.Unlock()
			_ = p.ends[len(p.ends)-1].Close()
			return c, err
		}, 2)
		keep(t, s)
		time.Sleep(time.Hour)
		if got := p.count(); got > 80 {
			t.Errorf("%d dials in an hour", got)
		}
	})
}

// forgetful answers requests, but resets a connection on which the first byte comes late:
// as something between that has forgotten it would.
func forgetful(t *testing.T, forgets <-chan struct{}) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	first := make(chan struct{}, 1)
	first <- struct{}{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerOrForget(c, first, forgets)
		}
	}()
	return "http://" + l.Addr().String()
}

// answerOrForget forgets the first connection that says something after forgets is closed.
func answerOrForget(c net.Conn, first, forgets <-chan struct{}) {
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		select {
		case <-first:
			<-forgets
			_ = c.(*net.TCPConn).SetLinger(0)
			return
		default:
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	}
}

func TestForgottenConnectionCostsAGetNothingAndAPostAnError(t *testing.T) {
	for method, want := range map[string]string{"GET": "200 OK", "POST": "connection reset by peer"} {
		t.Run(method, func(t *testing.T) {
			forgets := make(chan struct{})
			close(forgets)
			base := parse(t, forgetful(t, forgets))
			tr := keepWarm(t, Options{Base: base, HeaderTimeout: testTimeout, Warm: 1})
			for tr.warm.count() < 1 {
				runtime.Gosched()
			}
			got := ""
			if resp, err := tr.RoundTrip(request(t, method, base.String())); err != nil {
				got = err.Error()
			} else {
				_ = resp.Body.Close()
				got = resp.Status
			}
			if !strings.Contains(got, want) && !(method == "POST" && strings.Contains(got, "EOF")) {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

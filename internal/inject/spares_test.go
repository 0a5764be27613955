package inject

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
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
func keep(t *testing.T, s *spares) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func TestSparesAreDialledAheadAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := newSpares(p.dial, 2)
		keep(t, s)
		synctest.Wait()
		if got := p.count(); got != 2 {
			t.Fatalf("%d dialled ahead, want 2", got)
		}
		conn, err := s.take(t.Context())
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

func TestSpareThatTheServerClosedIsNeverTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := newSpares(p.dial, 2)
		keep(t, s)
		synctest.Wait()
		for _, end := range p.ends {
			_ = end.Close()
		}
		synctest.Wait()
		conn, err := s.take(t.Context())
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

func TestSparesAreRenewedBeforeTheyAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		s := newSpares(p.dial, 2)
		keep(t, s)
		time.Sleep(time.Hour)
		if got := p.count(); got < 20 || got > 40 {
			t.Errorf("%d connections in an idle hour", got)
		}
	})
}

func TestDiallingAheadBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{}
		p.fail(true)
		s := newSpares(p.dial, 2)
		keep(t, s)
		time.Sleep(time.Hour)
		if got := p.count(); got > 80 {
			t.Errorf("%d attempts in an hour without a network", got)
		}
		p.fail(false)
		time.Sleep(spareBackoffMax + time.Second)
		if s.missing() > 0 {
			t.Error("no spares a minute after the network came back")
		}
	})
}

func TestTakeDialsWhenThereIsNoSpare(t *testing.T) {
	p := &pipes{}
	s := newSpares(p.dial, 0)
	if _, err := s.take(t.Context()); err != nil || p.count() != 1 {
		t.Errorf("%v after %d dials", err, p.count())
	}
}

func TestFirstRequestFindsTheHandshakeDone(t *testing.T) {
	var connections atomic.Int64
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	opened := make(chan struct{}, 8)
	upstream.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
			opened <- struct{}{}
		}
	}
	upstream.StartTLS()
	r := newRigOn(t, upstream, func(_ *Options, to *TransportOptions) { to.Spares = 2 })
	transport := r.handler.opt.Transport.(*Transport)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); transport.KeepWarm(ctx) }()
	<-opened
	<-opened
	for transport.spares.missing() > 0 { // the handshake of the second ends a moment after its accept
		if ctx.Err() != nil {
			t.Fatal("no spares")
		}
	}
	cancel2 := stopKeeping(transport) // so that a replacement does not blur the count
	defer cancel2()
	if resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.StatusCode)
	}
	if got := connections.Load(); got > 3 {
		t.Errorf("%d connections: the request dialled one of its own", got)
	}
	cancel()
	<-done
}

// stopKeeping keeps run from replacing what is taken.
func stopKeeping(t *Transport) func() {
	t.spares.mu.Lock()
	want := t.spares.want
	t.spares.want = 0
	t.spares.mu.Unlock()
	return func() {
		t.spares.mu.Lock()
		t.spares.want = want
		t.spares.mu.Unlock()
	}
}

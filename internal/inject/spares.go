package inject

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// spareAge is how long a spare connection is kept before a new one takes its place, so
	// that a change of DNS, or a middlebox that forgot the old one, is met before a request is.
	spareAge = 4 * time.Minute
	// youngSpare is the age below which a spare's end counts as a failure to dial.
	youngSpare = 5 * time.Second
	// spareBackoff bounds the pause between attempts to dial ahead while dialling fails.
	spareBackoffMin, spareBackoffMax = time.Second, time.Minute
)

// spares keeps a few connections dialled ahead. A request that needs a new connection
// takes one and finds the handshake done. Its lock is taken when a connection is made,
// not when a request is.
type spares struct {
	dial func(context.Context) (net.Conn, error)
	want int
	wake chan struct{}

	diedYoung atomic.Bool

	mu    sync.Mutex
	ready []*spare // oldest first
}

// spare is a connection nobody uses yet. A goroutine reads from it, and so learns at once
// when the other side closes it.
type spare struct {
	conn   net.Conn
	made   time.Time
	result chan error // what the read ended with
}

func newSpares(dial func(context.Context) (net.Conn, error), want int) *spares {
	return &spares{dial: dial, want: want, wake: make(chan struct{}, 1)}
}

// take returns the newest spare that is alive, or dials. The bool tells which.
func (p *spares) take(ctx context.Context) (net.Conn, bool, error) {
	for {
		s := p.pop()
		if s == nil {
			c, err := p.dial(ctx)
			return c, false, err
		}
		if s.claim() {
			return s.conn, true, nil
		}
	}
}

func (p *spares) pop() *spare {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.ready)
	if n == 0 {
		return nil
	}
	s := p.ready[n-1]
	p.ready = p.ready[:n-1]
	p.poke()
	return s
}

func (p *spares) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run keeps want spares ready until ctx ends, then closes them. An upstream that cannot be
// reached, or closes what has just been opened, is left in peace for longer and longer.
func (p *spares) run(ctx context.Context) {
	defer p.retire(func(*spare) bool { return true })
	failures, last := 0, time.Time{}
	for ctx.Err() == nil {
		p.retire(func(s *spare) bool { return time.Since(s.made) >= spareAge })
		if p.diedYoung.Swap(false) {
			failures++
		}
		wait, wake := spareAge/4, (<-chan struct{})(p.wake)
		switch rest := backoffOf(failures) - time.Since(last); {
		case failures > 0 && p.count() > 0:
			wait = youngSpare // if it lives that long, all is well again
		case failures > 0 && rest > 0:
			wait, wake = rest, nil // a burst of requests must not make this pause none
		case p.count() >= p.want:
		default:
			last = time.Now()
			if p.add(ctx) != nil {
				failures++
			}
			continue
		}
		if !rested(ctx, wait, wake) && p.count() > 0 && !p.diedYoung.Load() {
			failures = 0
		}
	}
}

func backoffOf(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return min(spareBackoffMin<<min(failures-1, 10), spareBackoffMax)
}

// rested waits for d, for wake or for ctx; it reports whether it was disturbed.
func rested(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-wake:
	case <-ctx.Done():
	}
	return true
}

func (p *spares) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready)
}

// add dials one spare and watches it.
func (p *spares) add(ctx context.Context) error {
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	s := &spare{conn: conn, made: time.Now(), result: make(chan error, 1)}
	p.mu.Lock()
	p.ready = append(p.ready, s)
	p.mu.Unlock()
	go p.watch(s)
	return nil
}

// watch reads from a spare. Anything but the time-out that claim sets means that it is of
// no use: a server does not speak first in HTTP/1.1.
func (p *spares) watch(s *spare) {
	var b [1]byte
	n, err := s.conn.Read(b[:])
	if n > 0 {
		err = errors.New("the server spoke first")
	}
	s.result <- err
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		if time.Since(s.made) < youngSpare {
			p.diedYoung.Store(true)
		}
		p.retire(func(other *spare) bool { return other == s })
	}
}

// retire closes the spares that are due and lets run replace them.
func (p *spares) retire(due func(*spare) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = slices.DeleteFunc(p.ready, func(s *spare) bool {
		if !due(s) {
			return false
		}
		_ = s.conn.Close()
		p.poke()
		return true
	})
}

// claim ends the watch and reports whether the connection is alive.
func (s *spare) claim() bool {
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
	err := <-s.result
	if !errors.Is(err, os.ErrDeadlineExceeded) || s.conn.SetReadDeadline(time.Time{}) != nil {
		_ = s.conn.Close()
		return false
	}
	return true
}

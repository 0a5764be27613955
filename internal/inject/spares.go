package inject

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// spareAge is how long a spare connection is kept before a new one takes its place, so
	// that a change of DNS, or a middlebox that forgot the old one, is met before a request is.
	spareAge = 4 * time.Minute
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

// take returns the newest spare that is alive, or dials.
func (p *spares) take(ctx context.Context) (net.Conn, error) {
	for {
		s := p.pop()
		if s == nil {
			return p.dial(ctx)
		}
		if s.claim() {
			return s.conn, nil
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

// run keeps want spares ready until ctx ends, then closes them.
func (p *spares) run(ctx context.Context) {
	defer p.retire(func(*spare) bool { return true })
	backoff := spareBackoffMin
	for ctx.Err() == nil {
		p.retire(func(s *spare) bool { return time.Since(s.made) >= spareAge })
		wait := spareAge / 4
		if p.missing() > 0 {
			if err := p.add(ctx); err == nil {
				backoff = spareBackoffMin
				continue
			}
			wait, backoff = backoff, min(2*backoff, spareBackoffMax)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-p.wakeUnlessFailing(backoff):
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// wakeUnlessFailing keeps a burst of requests from turning the pause after a failure into none.
func (p *spares) wakeUnlessFailing(backoff time.Duration) <-chan struct{} {
	if backoff > spareBackoffMin {
		return nil
	}
	return p.wake
}

func (p *spares) missing() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.want - len(p.ready)
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

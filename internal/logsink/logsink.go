// Package logsink writes a log so that whoever reads it cannot stop or end the process.
//
// Invariants:
//
//   - Write takes no longer than a copy, whatever the reader does: it is slow, has stopped, has gone
//     away, or its disk is full. It never fails.
//   - What is written comes out whole, line by line and in order. What cannot be written is dropped
//     and counted, and later lines are tried again.
//   - The memory that waits for a reader is bounded. While nothing waits, a Sink holds one goroutine
//     and a small buffer.
//   - However often somebody outside causes a line, a FloodGuard passes on a few of its kind a minute, each
//     of bounded length, and the number of the others.
package logsink

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// most bounds what waits for a reader, in bytes.
	most = 1 << 20
	// kept is the largest buffer that is kept when nothing waits any more.
	kept = 16 << 10
)

// Sink is an io.Writer. It is safe for concurrent use.
type Sink struct {
	to      io.Writer
	dropped atomic.Uint64

	mu      sync.Mutex
	waiting []byte        // whole lines
	idle    chan struct{} // closed when nothing waits and nothing is being written; nil then
	wake    chan struct{}
	spare   []byte // the goroutine's, while it writes nothing
}

// New returns a Sink that writes to w from a goroutine of its own, for the life of the process:
// a write that has begun cannot be taken back.
func New(w io.Writer) *Sink {
	s := &Sink{to: w, wake: make(chan struct{}, 1)}
	go s.run()
	return s
}

// Write takes whole lines. It always succeeds; what there is no room for is dropped.
func (s *Sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting)+len(p) > most {
		s.dropped.Add(lines(p))
		return len(p), nil
	}
	s.waiting = append(s.waiting, p...)
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return len(p), nil
}

// Unwrap is what the Sink writes to.
func (s *Sink) Unwrap() io.Writer { return s.to }

// Dropped is how many lines could not be written so far.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Flush waits until everything is written or dropped, or for the given time: the reader may
// never come back.
func (s *Sink) Flush(within time.Duration) {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	if idle == nil {
		return
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}

func (s *Sink) run() {
	torn := false // the last write ended within a line
	for range s.wake {
		for {
			batch := s.take()
			if batch == nil {
				break
			}
			torn = s.write(batch, torn)
			if cap(batch) <= kept {
				s.spare = batch[:0]
			}
		}
	}
}

// take returns what waits; nil when nothing does.
func (s *Sink) take() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		if s.idle != nil {
			close(s.idle)
			s.idle = nil
		}
		return nil
	}
	batch := s.waiting
	s.waiting, s.spare = s.spare, nil
	return batch
}

// write writes lines and counts those that did not get out. It reports whether the last of them is there in part.
func (s *Sink) write(batch []byte, torn bool) bool {
	if torn {
		if n, err := s.to.Write([]byte{'\n'}); err != nil || n == 0 {
			s.dropped.Add(lines(batch))
			return true
		}
	}
	n, err := s.to.Write(batch)
	if err == nil && n >= len(batch) {
		return false
	}
	s.dropped.Add(lines(batch[n:]))
	return n > 0 && batch[n-1] != '\n'
}

// lines is how many lines begin or go on in p.
func lines(p []byte) uint64 {
	n := bytes.Count(p, []byte{'\n'})
	if len(p) > 0 && p[len(p)-1] != '\n' {
		n++
	}
	return uint64(n)
}

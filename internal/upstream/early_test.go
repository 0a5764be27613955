package upstream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// broken is a connection whose writes fail, and whose reads bring one byte at each of comes and then end.
type broken struct {
	net.Conn
	failure error
	comes   []time.Duration
	closed  chan struct{}
	once    sync.Once
}

func (b *broken) Write([]byte) (int, error) { return 0, b.failure }

func (b *broken) Read(p []byte) (int, error) {
	var next <-chan time.Time
	if len(b.comes) > 0 {
		timer := time.NewTimer(b.comes[0])
		defer timer.Stop()
		next = timer.C
	}
	select {
	case <-b.closed:
		return 0, net.ErrClosed
	case <-next:
	}
	if b.comes = b.comes[1:]; len(b.comes) == 0 {
		return 0, io.EOF
	}
	return 1, nil
}

func (b *broken) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func TestFailedWriteWaitsForWhatComes(t *testing.T) {
	t.Parallel()
	reset := errors.New("reset")
	for name, c := range map[string]struct {
		failure error
		comes   []time.Duration
		close   time.Duration
		want    time.Duration
	}{
		"the end comes":   {reset, []time.Duration{time.Second, time.Second}, time.Hour, 2 * time.Second},
		"a long answer":   {reset, []time.Duration{time.Second, time.Second, time.Second, time.Second, time.Second}, time.Hour, 5 * time.Second},
		"nothing comes":   {reset, nil, time.Hour, answerPatience},
		"it stands still": {reset, []time.Duration{time.Second, time.Hour}, time.Hour * 2, 2 * answerPatience},
		"it is closed":    {reset, nil, time.Second, time.Second},
		"a time-out":      {os.ErrDeadlineExceeded, nil, time.Hour, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &broken{failure: c.failure, comes: c.comes, closed: make(chan struct{})}
			sub := &conn{Conn: b, ended: make(chan struct{}), hedges: &hedges{}}
			go func() {
				for err := error(nil); err == nil; {
					_, err = sub.Read(make([]byte, 1))
				}
				_ = sub.Close() // as net/http does
			}()
			closing := time.AfterFunc(c.close, func() { _ = sub.Close() })
			began := time.Now()
			if _, err := sub.Write([]byte("x")); !errors.Is(err, c.failure) {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took != c.want {
				t.Errorf("%s: after %s, want %s", name, took, c.want)
			}
			if closing.Stop() {
				_ = sub.Close()
			}
		})
	}
}

package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestEveryRequestEndsAndEveryConnectionIsSomebodys has many requests dial, fail, leave and share in every order.
func TestEveryRequestEndsAndEveryConnectionIsSomebodys(t *testing.T) {
	t.Parallel()
	if !canTell {
		t.Skip("net/http carries everything here")
	}
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { crowdTheLane(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func crowdTheLane(t *testing.T, draw *rand.Rand) {
	var mu sync.Mutex
	within := func(n int) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(draw.IntN(n)) * time.Millisecond
	}
	var open atomic.Int64
	failed := errors.New("not dialled")
	slots := make(chan struct{}, 3)
	l := bareLane()
	l.connect = func(ctx context.Context, _ laneKey) (*conn, error) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		time.Sleep(within(50))
		if within(3) == 0 {
			<-slots
			return nil, failed
		}
		answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		if within(3) == 0 {
			answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
		}
		open.Add(1)
		c := newConn(newScripted([]byte(answer), 1000), time.Time{}, Options{}, &Transport{}, nil)
		c.inLane, c.abort, c.closed = true, func() { _ = c.Close() }, func() { open.Add(-1); <-slots }
		return c, nil
	}
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			time.Sleep(within(300))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if within(3) == 0 {
				time.AfterFunc(within(60), cancel)
			}
			resp, err, _ := l.carry(aRequest(t, http.MethodGet).WithContext(ctx))
			switch {
			case err == nil:
				time.Sleep(within(20))
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			case errors.Is(err, failed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), ctx.Err() != nil:
			default:
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Hour):
		t.Fatal("a request waits for ever")
	}
	time.Sleep(time.Second) // who still dials
	l.mu.Lock()
	waiting := 0
	for _, p := range l.places {
		waiting += len(p.waiting)
	}
	if waiting != 0 || open.Load() != int64(l.count) {
		t.Errorf("%d wait, %d connections are open and %d rest", waiting, open.Load(), l.count)
	}
	l.mu.Unlock()
	l.closeAll()
	if len(l.places) > 0 {
		t.Errorf("%d places are left where nothing is", len(l.places))
	}
}

package upstream

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
)

// counted counts what a pool makes while a test runs beside which no other does.
func counted(t *testing.T, pool *sync.Pool) (made *atomic.Int32) {
	t.Helper()
	was := pool.New
	made = new(atomic.Int32)
	pool.New = func() any { made.Add(1); return was() }
	t.Cleanup(func() { pool.New = was })
	return made
}

// Many requests wait at once, and their answers come one after the other: what one of them is written from, and read to, is the next one's. Once over new
// connections, and once over those.
func TestARequestThatWaitsHoldsNothingForItsAnswer(t *testing.T) { //nolint:paralleltest // it counts what everybody uses
	if !canTell {
		t.Skip("net/http carries everything here")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))  // each has a part of a pool to itself
	const many = 60
	here, answers := make(chan struct{}, many), make(chan struct{})
	server, tr := beforeTLS(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until then the server does not see that the client has gone
		here <- struct{}{}
		select {
		case <-answers:
		case <-r.Context().Done():
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	for _, over := range []string{"new", "used"} {
		for range 2 {
			runtime.GC() // of what others have left in the pools
		}
		outs, ins := counted(t, &writings), counted(t, &readings)
		done := make(chan read, many)
		for range many {
			r := request(t, http.MethodPost, server.URL).WithContext(ctx)
			setBody(r, "hello")
			go func() { done <- readAll(tr.RoundTrip(r)) }()
			select {
			case <-here: // it has been written, and waits
			case got := <-done:
				t.Fatalf("%+v", got)
			}
		}
		for range many {
			answers <- struct{}{}
			if got := <-done; got.status != "200 OK" || got.broke {
				t.Fatalf("%+v", got)
			}
		}
		// Some: the race detector has a pool forget on purpose.
		if w, r := outs.Load(), ins.Load(); w > many/2 || r > many/2 {
			t.Errorf("over %s connections %d requests that wait had %d places to be written from, and %d for their answers", over, many, w, r)
		}
	}
}

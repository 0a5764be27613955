package upstream

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"

	"evergate/internal/trust"
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

// Many requests wait at once, and their answers come one after the other: what one of them is written from, and read to, is the next one's.
func TestARequestThatWaitsHoldsNothingForItsAnswer(t *testing.T) { //nolint:paralleltest // it counts what everybody uses
	if !canTell {
		t.Skip("net/http carries everything here")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools
	const many = 60
	here, answers := make(chan struct{}, many), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		here <- struct{}{}
		<-answers
	}))
	server.EnableHTTP2 = false
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	tr := New(Options{Base: parse(t, server.URL), Roots: trust.Only(roots), HeaderTimeout: testTimeout})
	t.Cleanup(tr.CloseIdleConnections)
	outs, ins := counted(t, &writings), counted(t, &readings)
	done := make(chan read)
	for range many {
		go func() {
			r := request(t, http.MethodPost, server.URL)
			setBody(r, "hello")
			resp, err := tr.RoundTrip(r)
			done <- readAll(resp, err)
		}()
		<-here // it has been written, and waits
	}
	for range many {
		answers <- struct{}{}
		if got := <-done; got.status != "200 OK" || got.broke {
			t.Fatalf("%+v", got)
		}
	}
	// Some: the race detector has a pool forget on purpose.
	if w, r := outs.Load(), ins.Load(); w > many/2 || r > many/2 {
		t.Errorf("%d requests that wait had %d places to be written from, and %d for their answers", many, w, r)
	}
}

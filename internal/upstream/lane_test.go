package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestNobodyWaitsForAConnectionThatNobodyMakes has the second of two requests' connections be ready first, and given to the first request,
// whose own cannot be made then.
func TestNobodyWaitsForAConnectionThatNobodyMakes(t *testing.T) {
	t.Parallel()
	if !canTell {
		t.Skip("net/http carries everything here")
	}
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		dials := []chan func() (*conn, error){make(chan func() (*conn, error)), make(chan func() (*conn, error))}
		var begun atomic.Int32
		l := bareLane()
		l.connect = func(context.Context, laneKey) (*conn, error) { return (<-dials[begun.Add(1)-1])() }
		carry := func() (said chan error) {
			said = make(chan error, 1)
			go func() {
				resp, err, _ := l.carry(aRequest(t, http.MethodGet))
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
				}
				said <- err
			}()
			synctest.Wait()
			return said
		}
		first := carry()
		second := carry()
		dials[1] <- func() (*conn, error) {
			c := newConn(newScripted([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"), 1000), time.Time{}, Options{}, &Transport{}, nil)
			c.inLane, c.abort = true, func() { _ = c.Close() }
			return c, nil
		}
		synctest.Wait()
		dials[0] <- func() (*conn, error) { return nil, refused }
		if err := <-first; err != nil {
			t.Error(err)
		}
		select {
		case err := <-second:
			if !errors.Is(err, refused) {
				t.Error(err)
			}
		case <-time.After(time.Hour):
			t.Fatal("the second request waits for a connection that nobody makes")
		}
	})
}

// TestConnectionsThatThePoolCannotReplaceAreNoLoadOfIts has some upstreams of a family have connections of their own.
func TestConnectionsThatThePoolCannotReplaceAreNoLoadOfIts(t *testing.T) {
	t.Parallel()
	l := bareLane()
	l.one = false
	l.at(laneKey{"https", sharedHost}).resting = make([]*conn, 3)
	l.at(laneKey{"https", "own.example"}).resting = make([]*conn, 5)
	l.busy.Add(2)
	if peak, there := l.load(); peak != 2 || there != 2+3 {
		t.Errorf("%d at a time, %d there", peak, there)
	}
	r := aRequest(t, http.MethodGet)
	l.connect = func(context.Context, laneKey) (*conn, error) {
		if n := l.busy.Load(); n != 2 {
			t.Errorf("a request of another host counts: %d", n)
		}
		return nil, io.EOF
	}
	if _, err, ok := l.carry(r); err == nil && ok {
		t.Error("it was carried")
	}
	if n := l.busy.Load(); n != 2 {
		t.Errorf("%d are under way when it is over", n)
	}
}

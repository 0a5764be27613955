package front

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// waiting has a house whose requests for /wait are answered when their clients are gone, and says when that was noticed.
func waiting(t *testing.T) (h *house, gone chan time.Time) {
	t.Helper()
	h, gone = newHouse(t, time.Hour, nil), make(chan time.Time, 1)
	answer := h.handler
	h.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			select {
			case <-r.Context().Done():
				gone <- time.Now()
			case <-time.After(time.Minute):
				close(gone)
			}
		}
		answer.ServeHTTP(w, r)
	})
	return h, gone
}

// TestAClientIsWatchedInEachOfItsRequests has requests come before the one whose client goes away, at all kinds of times after the timer was started.
func TestAClientIsWatchedInEachOfItsRequests(t *testing.T) {
	t.Parallel()
	for _, pauses := range [][]time.Duration{
		{}, {0}, {0, 0, 0}, {unwatched / 2}, {unwatched - 1}, {unwatched + 1}, {0, unwatched + 1}, {unwatched - 1, 2}, {2 * silence}, {0, 2 * silence, unwatched - 1, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, gone := waiting(t)
			c := h.dial(t)
			for _, pause := range pauses {
				_, _ = io.WriteString(c, getA)
				c.mustHear("/a ")
				time.Sleep(pause)
			}
			_, _ = io.WriteString(c, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
			began := time.Now()
			_ = c.Close()
			switch at, ok := <-gone; {
			case !ok:
				t.Errorf("behind %v nobody notices that the client has gone", pauses)
			case at.Sub(began) < unwatched || at.Sub(began) > 2*unwatched+answersAsk:
				t.Errorf("behind %v it is noticed after %s", pauses, at.Sub(began))
			}
		})
	}
}

//go:build linux

package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	silent = api + "silent.json"
	steady = api + "steady.json"
)

// newPatientShopify never answers one path, and answers another as fast as it is asked to in bytes a second.
func newPatientShopify(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case silent:
			<-r.Context().Done()
		case steady:
			tick := time.NewTicker(time.Second / 4)
			defer tick.Stop()
			rate := 0
			_, _ = fmt.Sscan(r.URL.Query().Get("rate"), &rate)
			for piece := make([]byte, rate/4); ; {
				if _, err := w.Write(piece); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		default:
			_, _ = io.WriteString(w, "{}")
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// TestPlacesThatAreHeld has strangers hold every place, and more wait for one, in ways in which each by itself may be honest.
func TestPlacesThatAreHeld(t *testing.T) {
	for _, c := range []struct {
		name, target string
		again        bool
	}{
		{"requests that Shopify does not answer", silent, false},
		{"the same by those who come again", silent, true},
		{"answers of 5 KiB a second", steady + "?rate=5120", false},
		{"answers of 100 KiB a second", steady + "?rate=102400", false},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel() // most of it is waiting
			s := start(t, 256, "EVERGATE_UPSTREAM_URL="+newPatientShopify(t).URL)
			var told, ended atomic.Int64
			s.keepOn(t, 200, func(ctx context.Context) {
				s.stranger(ctx, nil, func(conn net.Conn) {
					_ = conn.SetDeadline(time.Now().Add(time.Minute))
					_, _ = io.WriteString(conn, "GET "+c.target+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
					resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err == nil {
						if resp.StatusCode == http.StatusGatewayTimeout && resp.Close && resp.Header.Get("X-Evergate-Error") == "too_many_connections" {
							told.Add(1)
						}
						_, _ = io.Copy(io.Discard, resp.Body)
					}
					ended.Add(1)
					if !c.again {
						<-ctx.Done()
					}
				})
			})
			s.awaitCrowd(t)
			began, slowest, calls := time.Now(), time.Duration(0), rounds
			if c.again {
				calls = 2 // each waits behind all the others
			}
			for range calls {
				sent := time.Now()
				s.mustAnswer(t, http.MethodGet, api+"shop.json", "")
				slowest = max(slowest, time.Since(sent))
			}
			t.Logf("%d calls in %s, the slowest in %s, beside strangers of whom %d were told to make room, of %d that ended", calls, time.Since(began), slowest, told.Load(), ended.Load())
			if c.target == silent && (told.Load() < 50 || told.Load() < ended.Load()*9/10) {
				t.Errorf("%d of %d that ended were told why", told.Load(), ended.Load())
			}
			s.mustHoldLittle(t, 256)
			if n := len(s.Err.String()); n > mostLog {
				t.Errorf("the log has %d bytes", n)
			}
		})
	}
}

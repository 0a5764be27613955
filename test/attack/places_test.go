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
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	silent = api + "silent.json"
	steady = api + "steady.json"
	// turn is how long a request keeps its place in any case.
	turn = 2 * time.Second
)

// newPatientShopify never answers one path, and answers another as fast as it is asked to in bytes a second, without end.
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
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "{}")
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// sendSteadily sends a body until somebody no longer takes it.
func sendSteadily(ctx context.Context, conn net.Conn, rate int) {
	tick := time.NewTicker(time.Second / 4)
	defer tick.Stop()
	for piece := make([]byte, rate/4); ; {
		if _, err := conn.Write(piece); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// TestPlacesThatAreHeld has strangers hold every place, and more wait for one, in ways in which each by itself may be honest.
func TestPlacesThatAreHeld(t *testing.T) {
	t.Parallel() // most of it is waiting
	get := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }
	for _, c := range []struct {
		name, text string
		rate       int // of the body, in bytes a second
		again      bool
		code       int // of most answers; 0: they are cut off
	}{
		{"requests that Shopify does not answer", get(silent), 0, false, http.StatusGatewayTimeout},
		{"the same by those who come again", get(silent), 0, true, http.StatusGatewayTimeout},
		{"answers of 5 KiB a second", get(steady + "?rate=5120"), 0, false, 0},
		{"answers of 100 KiB a second", get(steady + "?rate=102400"), 0, false, 0},
		{"bodies of 5 KiB a second that are kept", post(1 << 20), 5 << 10, false, http.StatusServiceUnavailable},
		{"bodies of 100 KiB a second that are passed on", post(1 << 30), 100 << 10, false, http.StatusGatewayTimeout},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := start(t, 256, "EVERGATE_UPSTREAM_URL="+newPatientShopify(t).URL)
			var told, ended atomic.Int64
			s.keepOn(t, 200, func(ctx context.Context) {
				s.stranger(ctx, nil, func(conn net.Conn) {
					_ = conn.SetDeadline(time.Now().Add(time.Minute))
					_, _ = io.WriteString(conn, c.text)
					sent := time.Now()
					if c.rate > 0 {
						ctx, stop := context.WithCancel(ctx)
						defer stop()
						go sendSteadily(ctx, conn, c.rate)
					}
					resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err == nil {
						if resp.StatusCode == c.code && resp.Close && resp.Header.Get("X-Evergate-Error") == "too_many_connections" {
							told.Add(1)
						}
						_, _ = io.Copy(io.Discard, resp.Body)
					}
					// On a busy machine a stranger may write so late that its connection is closed as one that asks for nothing.
					if err == nil || time.Since(sent) >= turn {
						ended.Add(1)
					}
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
			if c.code != 0 && (told.Load() < 50 || told.Load() < ended.Load()*9/10) {
				t.Errorf("%d of %d that ended were told why", told.Load(), ended.Load())
			}
			s.mustHoldLittle(t, 256)
			if n := len(s.Err.String()); n > mostLog {
				t.Errorf("the log has %d bytes", n)
			}
		})
	}
}

// TestACallerWithinItsPartKeepsItsPlaces has a caller with a key in the middle of slow answers, and behind Shopify's silence, while strangers
// make room.
func TestACallerWithinItsPartKeepsItsPlaces(t *testing.T) {
	t.Parallel()
	s := start(t, 256, "EVERGATE_UPSTREAM_URL="+newPatientShopify(t).URL, "EVERGATE_CLIENT_KEYS_FILE="+keysFile(t))
	const own = 12
	var mine []*bufio.Reader
	for i := range own {
		conn, err := net.DialTimeout("tcp", s.tools, answered)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		target := []string{silent, steady + "?rate=6144", steady + "?rate=102400"}[i%3]
		if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+key+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		mine = append(mine, bufio.NewReader(conn))
		if target != silent {
			_, err = mine[i].ReadByte() // it has begun
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// They go on reading.
	ended := make(chan int, own)
	for i, r := range mine {
		go func() { _, _ = io.Copy(io.Discard, r); ended <- i }()
	}
	var made atomic.Int64
	s.keepOn(t, 200, func(ctx context.Context) {
		s.stranger(ctx, nil, func(conn net.Conn) {
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			_ = request(conn, "GET "+silent+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
			made.Add(1)
		})
	})
	s.awaitCrowd(t)
	s.mustAnswer(t, http.MethodGet, api+"shop.json", "")
	// It need not wait behind the others for each call.
	client := &http.Client{Transport: &http.Transport{}, Timeout: answered}
	defer client.CloseIdleConnections()
	for i := range 10 {
		if reused := s.callWithKey(t, client); i > 0 && !reused {
			t.Errorf("its connection was closed before call %d", i)
		}
	}
	select {
	case i := <-ended:
		t.Errorf("answer %d of a caller within its part has ended", i)
	default:
	}
	t.Logf("%d strangers made room", made.Load())
	if made.Load() < 100 {
		t.Error("this is no crowd")
	}
}

// callWithKey makes a call and reports whether its connection was there already.
func (s *sidecar) callWithKey(t *testing.T, client *http.Client) (reused bool) {
	t.Helper()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.tools+api+"shop.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	return reused
}

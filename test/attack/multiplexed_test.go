//go:build linux

package attack

import (
	"context"
	bigendian "encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// tally counts what a flood of HTTP/2 was told.
type tally struct {
	connections, asked, resets atomic.Int64

	mu    sync.Mutex
	codes map[string]int // of answers that are Evergate's own
	// late is how many refusals came later than a second after the request.
	late int
}

func (t *tally) refused(code string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.codes[code]++
	if took > time.Second {
		t.late++
	}
}

// refusals is how many requests have been refused, and how many of them with a code.
func (t *tally) refusals(code string) (all, with int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all = int(t.resets.Load())
	for _, n := range t.codes {
		all += n
	}
	return all, t.codes[code]
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("%d requests on %d connections, of which %d were reset and refused: %v; %d later than after a second",
		t.asked.Load(), t.connections.Load(), t.resets.Load(), t.codes, t.late)
}

// keepAsking has n requests under way at a time, and asks again for each that ends, until the connection does.
func (s *stranger) keepAsking(n int, t *tally, all ...string) error {
	t.connections.Add(1)
	began := map[uint32]time.Time{}
	ask := func() error {
		id, err := s.begin(true, all...)
		began[id] = time.Now()
		t.asked.Add(1)
		return err
	}
	if err := s.frame(8, 0, 0, []byte{0x3f, 0xff, 0, 0}); err != nil { // WINDOW_UPDATE: no answer waits for its client
		return err
	}
	for range n {
		if err := ask(); err != nil {
			return err
		}
	}
	code := ""
	decoder := hpack.NewDecoder(4<<10, func(f hpack.HeaderField) {
		if f.Name == "x-evergate-error" {
			code = f.Value
		}
	})
	for {
		var head [9]byte
		if _, err := io.ReadFull(s, head[:]); err != nil {
			return err
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(s, payload); err != nil {
			return err
		}
		kind, id := head[3], bigendian.BigEndian.Uint32(head[5:])
		switch kind {
		case 1: // HEADERS
			code = ""
			if _, err := decoder.Write(payload); err != nil {
				return err
			}
			if code != "" {
				t.refused(code, time.Since(began[id]))
			}
		case 3: // RST_STREAM
			t.resets.Add(1)
		}
		if kind < 2 && head[4]&1 != 0 || kind == 3 {
			delete(began, id)
			if err := ask(); err != nil {
				return err
			}
		}
	}
}

// TestStreamsThatWaitForTheRateLimit has thirty-two strangers keep a hundred requests under way on each connection of HTTP/2, all of which wait for
// the rate limit or are refused at once, beside a caller with a key who connects for each call.
func TestStreamsThatWaitForTheRateLimit(t *testing.T) {
	for _, c := range []struct {
		name        string
		descriptors int
		beside      int // strangers with HTTP/1.1
		wait        time.Duration
		code        string // of most refusals
	}{
		{"few places", 256, 0, time.Minute, "memory_budget"},
		{"few places and others beside", 256, 200, time.Minute, "memory_budget"},
		{"little patience", plenty, 0, 5 * time.Second, "rate_limit_queue_full"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			s, config := startTunnels(t, c.descriptors, "EVERGATE_UPSTREAM_URL="+newFullShopify(t).URL, "EVERGATE_PACE=on", "EVERGATE_PACE_MAX_WAIT="+c.wait.String(),
				"EVERGATE_CLIENT_KEYS_FILE="+keysFile(t))
			s.mustAnswer(t, http.MethodGet, api+"shop.json", "") // from now on it knows that the bucket is full
			told := tally{codes: map[string]int{}}
			s.keepOn(t, 32, func(ctx context.Context) {
				s.stranger(ctx, nil, func(conn net.Conn) {
					inner, err := secured(conn, config, "h2")
					if err == nil {
						_ = conn.SetDeadline(time.Now().Add(time.Minute))
						_ = newStranger(inner).keepAsking(100, &told, pseudo("GET", api+"shop.json")...)
					}
				})
			})
			s.keepOn(t, c.beside, func(ctx context.Context) {
				s.stranger(ctx, nil, func(conn net.Conn) {
					_ = conn.SetDeadline(time.Now().Add(time.Minute))
					_ = request(conn, "GET "+api+"shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
				})
			})
			began, slowest := time.Now(), time.Duration(0)
			refused := func() int { _, with := told.refusals(c.code); return with }
			for calls := 0; calls < 3 || refused() < 1000; calls++ {
				sent := time.Now()
				s.mustAnswer(t, http.MethodGet, api+"shop.json", "")
				slowest = max(slowest, time.Since(sent))
				if time.Since(began) > 6*answered {
					t.Fatalf("this is no flood: %v", &told)
				}
			}
			t.Logf("the slowest of the calls in %s took %s, beside %v", time.Since(began), slowest, &told)
			if all, _ := told.refusals(""); told.late > all/10 {
				t.Error("more than a tenth of the refusals came late")
			}
			s.mustHoldLittle(t, c.descriptors)
			if n := len(s.Err.String()); n > mostLog {
				t.Errorf("the log has %d bytes", n)
			}
		})
	}
}

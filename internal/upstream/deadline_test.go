package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/clock"
)

// noting is a connection that remembers the deadlines of its reads.
type noting struct {
	scripted
	set []time.Time
}

func (n *noting) SetReadDeadline(t time.Time) error {
	n.set = append(n.set, t)
	return nil
}

func TestADeadlineIsSetAgainWhereTheOneInForceWillNotDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const d = 8 * time.Minute
		on := &noting{}
		c := newConn(on, time.Time{}, Options{HeaderTimeout: d}, &Transport{}, nil)
		begin := time.Now()
		mustSet := func(what string, want ...time.Time) {
			t.Helper()
			if len(on.set) != len(want) {
				t.Fatalf("%s: set %d times, want %d", what, len(on.set), len(want))
			}
			for i, at := range want {
				if !on.set[i].Equal(at) {
					t.Errorf("%s: it ends %s later, want %s", what, on.set[i].Sub(begin), at.Sub(begin))
				}
			}
			on.set = nil
		}
		bound := func() {
			t.Helper()
			if err := c.boundAnswer(clock.Mono()); err != nil {
				t.Fatal(err)
			}
		}
		bound()
		mustSet("the first", begin.Add(d+time.Second))
		time.Sleep(time.Second)
		bound()
		mustSet("one that leaves enough")
		time.Sleep(1)
		bound()
		mustSet("one that leaves too little", begin.Add(d+2*time.Second+1))
		_ = c.SetReadDeadline(time.Time{})
		bound()
		mustSet("another one's", time.Time{}, begin.Add(d+2*time.Second+1))
		c.writeTimeout = 0
		time.Sleep(time.Hour)
		bound()
		mustSet("none where nothing bounds it")
	})
}

// TestTheTimeForAHeadBoundsNoBody has pauses in an answer's body that are longer than its head may take, and then a head that does not come.
func TestTheTimeForAHeadBoundsNoBody(t *testing.T) {
	t.Parallel()
	const d = 10 * time.Second
	for name, answer := range map[string][]string{
		"a body of known length":   {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab", "cd", "ef"},
		"one in chunks":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\n", "cdef\r\n", "0\r\n\r\n"},
		"one that is cut anywhere": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\na", "bcdef\r\n0\r", "\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				go func() {
					defer there.Close()
					r := bufio.NewReader(there)
					for range 3 {
						if _, err := http.ReadRequest(r); err != nil {
							t.Error(err)
						}
						for i, piece := range answer {
							if i > 0 {
								time.Sleep(3 * d)
							}
							_, _ = io.WriteString(there, piece)
						}
					}
					_, _ = io.Copy(io.Discard, r)
				}()
				c := newConn(here, time.Time{}, Options{HeaderTimeout: d}, &Transport{}, nil)
				c.inLane, c.abort = true, func() { _ = c.Close() }
				l := bareLane()
				ask := func() (*http.Response, error) {
					r, x := aRequest(t, http.MethodPost), exchanges.Get().(*exchange)
					if x.lane = l; !x.prepare(r) {
						t.Fatal("it is no ordinary request")
					}
					return x.run(t.Context(), r, c, false)
				}
				for range 3 {
					if got := readAll(ask()); got.body != "abcdef" || got.broke {
						t.Fatalf("%+v", got)
					}
				}
				time.Sleep(3 * d)
				began := time.Now()
				_, err := ask()
				if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took < d || took > d*9/8 {
					t.Errorf("after %s: %v", took, err)
				}
			})
		})
	}
}

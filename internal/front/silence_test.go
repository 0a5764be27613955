package front

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/certtest"
	"evergate/internal/pipetest"
)

// house is a Server whose time is a bubble's. It answers with the request's target and body.
type house struct {
	*Server
	pipes *pipetest.Listener
	asked atomic.Int64 // how much the last read of a connection asks for
}

// asking is a connection that says how much is asked of it.
type asking struct {
	net.Conn
	of *house
}

func (a asking) Read(p []byte) (int, error) {
	a.of.asked.Store(int64(len(p)))
	return a.Conn.Read(p)
}

// newHouse returns one that closes what is silent for so long, and ends with its test. Without that it bounds no head either.
func newHouse(t *testing.T, idle time.Duration, wrap func(net.Listener) net.Listener) *house {
	t.Helper()
	h := &house{pipes: pipetest.Listen()}
	h.Server = New(&http.Server{
		ReadHeaderTimeout: min(idle, 10*time.Second), IdleTimeout: idle, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s", r.RequestURI, b)
		}),
	}, refused{})
	var l net.Listener = h.pipes
	if wrap != nil {
		l = wrap(l)
	}
	over := make(chan error, 1)
	go func() { over <- h.Serve(l) }()
	t.Cleanup(func() {
		_, _ = h.pipes.Close(), h.Close()
		if err := <-over; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return h
}

// holding is how many connections hold what they serve with. All of them are silent.
func (h *house) holding() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.conns {
		if c.head != nil || c.in != nil || c.same != nil || c.next != nil || c.spare != nil || c.resp.header != nil || c.gone.body != nil {
			n++
		}
	}
	return n
}

func (h *house) dial(t *testing.T) *client {
	t.Helper()
	c, there := net.Pipe()
	h.pipes.Hand(asking{there, h})
	t.Cleanup(func() { _ = c.Close() })
	return &client{c, t, bufio.NewReader(c)}
}

func (c *client) mustHear(want string) {
	c.t.Helper()
	if status, body := c.hear(); status != http.StatusOK || body != want {
		c.t.Fatalf("%d %q, want %q", status, body, want)
	}
}

const (
	getA  = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
	postB = "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
)

func TestASilentConnectionHoldsNothingAndIsServedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, time.Hour, nil)
		c := h.dial(t)
		for range 3 {
			for range 2 { // what the same client says again is kept
				_, _ = io.WriteString(c, getA)
				c.mustHear("/a ")
			}
			time.Sleep(silence - 1)
			synctest.Wait()
			if n := h.asked.Load(); n != usualHead {
				t.Errorf("it can take %d bytes before it was silent", n)
			}
			time.Sleep(1)
			synctest.Wait()
			if h.holding() != 0 {
				t.Error("it is silent, and holds something")
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestASilentConnectionOfTLSHoldsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		certificate := certtest.SelfSigned(t, x509.Certificate{})
		h := newHouse(t, time.Hour, func(l net.Listener) net.Listener {
			return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}})
		})
		c := h.dial(t)
		c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
		c.r.Reset(c.Conn)
		for range 3 {
			_, _ = io.WriteString(c, postB)
			c.mustHear("/b hi")
			time.Sleep(silence)
			synctest.Wait()
			if h.holding() != 0 {
				t.Error("it is silent, and holds something")
			}
		}
	})
}

// TestASilentConnectionHoldsNothingWhateverItsLastRequestWas asks with heads of any length, alone and with another request behind.
func TestASilentConnectionHoldsNothingWhateverItsLastRequestWas(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 4000, 4060, 5000, 12_200, 16_000, 20_000} {
		for _, behind := range []string{"", getA} {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, time.Hour, nil)
				c := h.dial(t)
				for _, said := range []string{getA, "GET /a HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", size) + "\r\n\r\n" + behind, getA} {
					go func() { _, _ = io.WriteString(c, said) }()
					for range strings.Count(said, "GET") {
						c.mustHear("/a ")
					}
					time.Sleep(silence)
					synctest.Wait()
					if h.holding() != 0 {
						t.Errorf("behind a head of %d it holds something", len(said))
					}
				}
			})
		}
	}
}

func TestABusyConnectionLetsGoOfNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, time.Hour, nil)
		c := h.dial(t)
		for range 100 {
			_, _ = io.WriteString(c, postB)
			c.mustHear("/b hi")
			time.Sleep(silence / 2)
			synctest.Wait()
			if n := h.asked.Load(); n != usualHead {
				t.Fatalf("it can take %d bytes", n)
			}
		}
	})
}

// TestASilenceIsMeasuredWhateverCameBeforeIt has a request of some kind come right behind an ordinary one, which has set a deadline for the silence.
func TestASilenceIsMeasuredWhateverCameBeforeIt(t *testing.T) {
	t.Parallel()
	for name, pieces := range map[string][]string{
		"an ordinary one":             {getA},
		"one in pieces":               {"GET", " /a HTTP/1.1\r\nHost: x\r\n\r\n"},
		"one whose body comes late":   {postB[:len(postB)-2], "hi"},
		"one with an empty line":      {postB + "\r\n"},
		"one that is net/http's":      {chunks},
		"one that sets a deadline":    {"GET /deadline HTTP/1.1\r\nHost: x\r\n\r\n"},
		"one that takes long":         {"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"},
		"two, of which one is behind": {getA + getA},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, time.Hour, nil)
				answer := h.handler
				h.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/deadline":
						_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Minute))
					case "/slow":
						time.Sleep(2*unwatched + 1)
					}
					answer.ServeHTTP(w, r)
				})
				c := h.dial(t)
				for range 3 {
					_, _ = io.WriteString(c, getA)
					c.mustHear("/a ")
					go func() {
						for _, piece := range pieces {
							time.Sleep(time.Millisecond)
							_, _ = io.WriteString(c, piece)
						}
					}()
					for range max(1, strings.Count(pieces[0], getA)) {
						if status, _ := c.hear(); status != http.StatusOK {
							t.Fatal(status)
						}
					}
					time.Sleep(silence*3/4 - 1)
					if synctest.Wait(); h.asked.Load() == 1 {
						t.Error("it has let go too soon")
					}
					time.Sleep(silence/4 + 1)
					if synctest.Wait(); h.holding() != 0 {
						t.Error("it is silent, and holds something")
					}
				}
			})
		})
	}
}

// TestWhereThereAreManyTheyLetGoSooner has one of them ask, before the others come and after.
func TestWhereThereAreManyTheyLetGoSooner(t *testing.T) {
	t.Parallel()
	for others, asked := range map[int]int64{few - 1: usualHead, few: 1} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, time.Hour, nil)
			c := h.dial(t)
			_, _ = io.WriteString(c, getA)
			c.mustHear("/a ")
			for range others {
				h.dial(t)
			}
			synctest.Wait() // they have asked for their first bytes
			_, _ = io.WriteString(c, getA)
			c.mustHear("/a ")
			time.Sleep(silenceOfMany)
			synctest.Wait()
			if n := h.asked.Load(); n != asked {
				t.Errorf("beside %d others it can take %d bytes, not %d", others, n, asked)
			}
		})
	}
}

// TestNoByteIsLostWhereverTheSilenceFalls has a part of a request, or of two, come before it.
func TestNoByteIsLostWhereverTheSilenceFalls(t *testing.T) {
	t.Parallel()
	const stream = getA + postB + "\r\nPOST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + getA
	for cut := 1; cut < len(stream); cut++ {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, time.Hour, nil)
			c := h.dial(t)
			go func() {
				_, _ = io.WriteString(c, stream[:cut])
				time.Sleep(2 * silence)
				_, _ = io.WriteString(c, stream[cut:])
			}()
			for _, want := range []string{"/a ", "/b hi", "/c abc", "/a "} {
				c.mustHear(want)
			}
		})
	}
}

func TestAConnectionThatIsSilentForTooLongIsClosed(t *testing.T) {
	t.Parallel()
	for _, idle := range []time.Duration{time.Minute, silence / 2} {
		for _, request := range []string{getA, postB + "\r\n"} { // an empty line behind it begins nothing
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, idle, nil)
				c := h.dial(t)
				go func() { _, _ = io.WriteString(c, request) }()
				c.hear()
				began := time.Now()
				if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				if took := time.Since(began); took != idle {
					t.Errorf("closed after %s", took)
				}
			})
		}
	}
}

func TestAHeadThatDoesNotEndIsCutOffBehindASilenceAsWell(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{0, silence / 2, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, time.Hour, nil)
			c := h.dial(t)
			_, _ = io.WriteString(c, getA)
			c.mustHear("/a ")
			time.Sleep(pause)
			_, _ = io.WriteString(c, "G")
			began := time.Now()
			if b, err := io.ReadAll(c.r); err != nil || strings.HasPrefix(string(b), "HTTP/1.1 2") {
				t.Errorf("%q %v", b, err)
			}
			if took := time.Since(began); took != h.http.ReadHeaderTimeout {
				t.Errorf("closed after %s", took)
			}
		})
	}
}

// TestNothingBoundsAHeadWhereNothingIsToBoundIt has a server without time-outs.
func TestNothingBoundsAHeadWhereNothingIsToBoundIt(t *testing.T) {
	t.Parallel()
	for _, request := range []string{getA, postB, chunks} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, 0, nil)
			c := h.dial(t)
			for range 3 {
				for _, part := range []string{request[:1], request[1:20], request[20 : len(request)-1], request[len(request)-1:]} {
					time.Sleep(time.Hour)
					_, _ = io.WriteString(c, part)
				}
				if status, _ := c.hear(); status != http.StatusOK {
					t.Fatal(status)
				}
			}
		})
	}
}

func TestClosingTheServerClosesWhatIsSilent(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*Server) error{
		"close":    (*Server).Close,
		"shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
	} {
		for _, pause := range []time.Duration{silence / 2, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, time.Hour, nil)
				c := h.dial(t)
				go func() { _, _ = io.WriteString(c, postB+"\r\n") }()
				c.mustHear("/b hi")
				time.Sleep(pause)
				if err := stop(h.Server); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
}

// TestAClientThatGoesWhileItIsSilentLeavesNothingBehind ends when nobody is left in its bubble.
func TestAClientThatGoesWhileItIsSilentLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, time.Hour, nil)
		c := h.dial(t)
		_, _ = io.WriteString(c, getA)
		c.mustHear("/a ")
		time.Sleep(time.Minute)
		_ = c.Close()
		synctest.Wait()
		if n := len(h.conns); n != 0 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// TestAFirstPieceOfAnySizeBeginsARequest has pieces as small as a client likes. Some send an empty line behind the body of a POST (RFC 9112, section 2.2).
func TestAFirstPieceOfAnySizeBeginsARequest(t *testing.T) {
	t.Parallel()
	const empty = "\r\n"
	for name, c := range map[string]struct {
		before, within time.Duration // pauses
		first, then    string
	}{
		"a byte at once":         {0, 3 * silence, "G", getA[1:]},
		"three bytes at once":    {silence / 2, 3 * silence, "GET", getA[3:]},
		"a byte late":            {3 * silence, 3 * silence, "G", getA[1:]},
		"an empty line at once":  {silence / 2, 3 * silence, empty, getA},
		"an empty line late":     {3 * silence, 3 * silence, empty, getA},
		"half an empty line":     {3 * silence, 3 * silence, "\r", "\n" + getA},
		"an empty line and more": {3 * silence, 3 * silence, empty + "G", getA[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, time.Minute, nil)
				conn := h.dial(t)
				_, _ = io.WriteString(conn, postB)
				conn.mustHear("/b hi")
				time.Sleep(c.before)
				_, _ = io.WriteString(conn, c.first)
				time.Sleep(c.within)
				_, _ = io.WriteString(conn, c.then)
				conn.mustHear("/a ")
			})
		})
	}
}

// TestAnEmptyLineIsNoRequestOfASilentClient has an old client send one behind the body of its POST, late.
func TestAnEmptyLineIsNoRequestOfASilentClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told := map[http.ConnState]int{}
		h := newHouse(t, time.Hour, nil)
		h.connState = func(_ net.Conn, s http.ConnState) { told[s]++ }
		c := h.dial(t)
		say := func(text string, wants int) {
			t.Helper()
			_, _ = io.WriteString(c, text)
			if strings.HasSuffix(text, "abc") {
				if status, _ := c.hear(); status != http.StatusOK {
					t.Fatal(status)
				}
			}
			time.Sleep(time.Second)
			if synctest.Wait(); told[http.StateNew] != wants {
				t.Errorf("%q: told %d times of one that begins, want %d", text, told[http.StateNew], wants)
			}
		}
		const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
		say(post, 1)
		say("\r\n", 1)
		say("\r", 1)
		say(post, 2)
	})
}

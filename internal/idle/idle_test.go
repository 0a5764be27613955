package idle

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/pipetest"
)

const after = 50 * time.Millisecond

// house is a server behind a Listener. It answers with the request's target and body.
type house struct {
	*http.Server
	pipes  *pipetest.Listener
	opened atomic.Int64 // servings begun
	with   atomic.Int64 // servings under way
	done   chan error
}

func newHouse(idle time.Duration) *house {
	h := &house{pipes: pipetest.Listen(), done: make(chan error, 1)}
	h.Server = &http.Server{
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idle, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s", r.RequestURI, b)
		}),
		ConnState: func(c net.Conn, s http.ConnState) {
			State(c, s)
			switch s {
			case http.StateNew:
				h.opened.Add(1)
				h.with.Add(1)
			case http.StateClosed:
				h.with.Add(-1)
			}
		},
	}
	go func() { h.done <- h.Serve(Wrap(h.pipes, after)) }()
	return h
}

func (h *house) end(t *testing.T) {
	t.Helper()
	_ = h.Close()
	if err := <-h.done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func mustWrite(t *testing.T, c io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func mustAnswer(t *testing.T, from *bufio.Reader, want string) {
	t.Helper()
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != want {
		t.Fatalf("%q %v, want %q", b, err, want)
	}
}

const get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

func TestSilentConnectionLeavesTheServerAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(time.Hour)
		defer h.end(t)
		c := h.pipes.Dial()
		defer c.Close()
		answers := bufio.NewReader(c)
		for round := range int64(3) {
			mustWrite(t, c, get)
			mustAnswer(t, answers, "/a ")
			time.Sleep(after - 1)
			synctest.Wait()
			if h.with.Load() != 1 || h.opened.Load() != round+1 {
				t.Errorf("round %d: %d with the server before it was silent, after %d servings", round, h.with.Load(), h.opened.Load())
			}
			time.Sleep(1)
			synctest.Wait()
			if h.with.Load() != 0 {
				t.Errorf("round %d: a silent connection is still with the server", round)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestBusyConnectionStaysWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(time.Hour)
		defer h.end(t)
		c := h.pipes.Dial()
		defer c.Close()
		answers := bufio.NewReader(c)
		for range 100 {
			mustWrite(t, c, "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
			mustAnswer(t, answers, "/b hi")
			time.Sleep(after / 2)
		}
		if n := h.opened.Load(); n != 1 {
			t.Errorf("it was served %d times", n)
		}
	})
}

// A part of the next request may be in the server's hands already, and silence follows.
func TestNoByteIsLostWhereverTheSilenceFalls(t *testing.T) {
	const stream = get + "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get
	for cut := 1; cut < len(stream); cut++ {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(time.Hour)
			defer h.end(t)
			c := h.pipes.Dial()
			defer c.Close()
			go func() {
				_, _ = io.WriteString(c, stream[:cut])
				time.Sleep(2 * after)
				_, _ = io.WriteString(c, stream[cut:])
			}()
			answers := bufio.NewReader(c)
			for _, want := range []string{"/a ", "/b hello", "/c abc", "/a "} {
				mustAnswer(t, answers, want)
			}
		})
	}
}

func TestManyRequestsInRandomPiecesAreAllAnswered(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			h := newHouse(time.Hour)
			defer h.end(t)
			c := h.pipes.Dial()
			defer c.Close()
			var stream strings.Builder
			var want []string
			for i := range 1 + random.IntN(6) {
				body := strings.Repeat("x", random.IntN(9000)) // larger than the server's buffer, too
				fmt.Fprintf(&stream, "POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body)
				want = append(want, fmt.Sprintf("/%d %s", i, body))
			}
			go func() {
				for rest := stream.String(); rest != ""; {
					n := min(len(rest), 1+random.IntN(200)<<random.IntN(7))
					time.Sleep(time.Duration(random.IntN(3)) * after)
					_, _ = io.WriteString(c, rest[:n])
					rest = rest[n:]
				}
			}()
			answers := bufio.NewReader(c)
			for _, w := range want {
				mustAnswer(t, answers, w)
			}
		})
	}
}

func TestConnectionThatIsSilentForTooLongIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(time.Minute)
		defer h.end(t)
		c := h.pipes.Dial()
		defer c.Close()
		answers := bufio.NewReader(c)
		mustWrite(t, c, get)
		mustAnswer(t, answers, "/a ")
		began := time.Now()
		if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("closed after %s", took)
		}
	})
}

func TestHeaderThatDoesNotEndIsCutOffAfterAWaitAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(time.Hour)
		defer h.end(t)
		c := h.pipes.Dial()
		defer c.Close()
		answers := bufio.NewReader(c)
		mustWrite(t, c, get)
		mustAnswer(t, answers, "/a ")
		time.Sleep(time.Minute)
		mustWrite(t, c, "G")
		began := time.Now()
		if b, err := io.ReadAll(answers); err != nil || bytes.HasPrefix(b, []byte("HTTP/1.1 2")) {
			t.Errorf("%q %v", b, err)
		}
		if took := time.Since(began); took != h.ReadHeaderTimeout {
			t.Errorf("closed after %s", took)
		}
	})
}

func TestClosingTheServerClosesWhatWaits(t *testing.T) {
	for name, stop := range map[string]func(*http.Server) error{
		"close":    (*http.Server).Close,
		"shutdown": func(s *http.Server) error { return s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(time.Hour)
				defer h.end(t)
				c := h.pipes.Dial()
				defer c.Close()
				answers := bufio.NewReader(c)
				mustWrite(t, c, get)
				mustAnswer(t, answers, "/a ")
				time.Sleep(time.Minute)
				if err := stop(h.Server); err != nil {
					t.Error(err)
				}
				if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// The bubble ends only when nobody is left in it.
func TestClientThatGoesWhileWaitingLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := pipetest.Listen()
		lot := Wrap(pipes, after)
		server := &http.Server{Handler: http.NotFoundHandler(), ConnState: State, IdleTimeout: time.Hour}
		go func() { _ = server.Serve(lot) }()
		c := pipes.Dial()
		mustWrite(t, c, get)
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_ = c.Close()
		synctest.Wait()
		lot.mu.Lock()
		if n := len(lot.clients); n != 0 {
			t.Errorf("%d clients are remembered", n)
		}
		lot.mu.Unlock()
		_ = server.Close()
	})
}

func TestErrorsOfTheListenerReachTheServer(t *testing.T) {
	broken := &brokenListener{Listener: pipetest.Listen(), errs: []error{errors.New("too many files"), errors.New("the end")}}
	lot := Wrap(broken, after)
	for _, want := range []string{"too many files", "the end"} {
		if _, err := lot.Accept(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	_ = lot.Close()
	if _, err := lot.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

type brokenListener struct {
	*pipetest.Listener
	errs []error
}

func (b *brokenListener) Accept() (net.Conn, error) {
	if len(b.errs) == 0 {
		return b.Listener.Accept()
	}
	err := b.errs[0]
	b.errs = b.errs[1:]
	return nil, err
}

// A client may write a request in pieces as small as it likes, and some send an empty line
// after the body of a POST (RFC 9112, section 2.2).
func TestAFirstPieceOfAnySizeBeginsARequest(t *testing.T) {
	t.Parallel()
	const empty = "\r\n"
	for _, c := range []struct {
		name           string
		silence, pause time.Duration // before the request, and within it
		first, then    string
	}{
		{"a_byte_at_once", 0, 3 * after, "G", get[1:]},
		{"three_bytes_at_once", after / 2, 3 * after, "GET", get[3:]},
		{"a_byte_late", 3 * after, 3 * after, "G", get[1:]},
		{"an_empty_line_at_once", after / 2, 3 * after, empty, get},
		{"an_empty_line_late", 3 * after, 3 * after, empty, get},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(time.Minute)
				defer h.end(t)
				conn := h.pipes.Dial()
				defer conn.Close()
				from := bufio.NewReader(conn)
				mustWrite(t, conn, "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
				mustAnswer(t, from, "/p hi")
				time.Sleep(c.silence)
				mustWrite(t, conn, c.first)
				time.Sleep(c.pause)
				mustWrite(t, conn, c.then)
				mustAnswer(t, from, "/a ")
			})
		})
	}
}

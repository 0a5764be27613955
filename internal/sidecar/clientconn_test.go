package sidecar

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/front"
	"evergate/internal/limit"
	"evergate/internal/pipetest"
)

// tool is a client whose connection goes through all that a tool's goes through.
type tool struct {
	net.Conn
	answers *bufio.Reader
}

// silence is how long a connection waits before it lets go of what it serves with.
const silence = 250 * time.Millisecond

// callTools returns a tool's connection to a handler. A request's body may stand still for stall; zero: for ever.
func callTools(t *testing.T, stall time.Duration, handler http.HandlerFunc) tool {
	t.Helper()
	p := pipetest.Listen()
	server := front.New(&http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: clientIdle, ErrorLog: log.New(io.Discard, "", 0),
		ConnState: limit.State, ConnContext: limit.WithConn,
	}, &refusedHere{t})
	l := limit.NewConnections(10, limit.NewBudget(1<<30), stall).Wrap(p)
	over := make(chan error, 1)
	go func() { over <- server.Serve(l) }()
	here := p.Dial()
	t.Cleanup(func() {
		_, _, _ = here.Close(), l.Close(), server.Close()
		<-over
		time.Sleep(time.Second) // who turns a client away waits for him to read that
		synctest.Wait()
	})
	return tool{here, bufio.NewReader(here)}
}

// refusedHere are Refusals that no test expects.
type refusedHere struct{ t *testing.T }

func (r *refusedHere) Ambiguous(_ http.ResponseWriter, doubt string) { r.t.Error("it has " + doubt) }
func (r *refusedHere) Stopping(http.ResponseWriter)                  { r.t.Error("stopping") }

// TestABodyThatStandsStillIsCutOffWhateverCameBeforeIt has four bytes of a thousand come.
func TestABodyThatStandsStillIsCutOffWhateverCameBeforeIt(t *testing.T) {
	t.Parallel()
	const (
		stall = time.Second
		get   = "GET /before HTTP/1.1\r\nHost: x\r\n\r\n"
		lent  = "POST /before HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		post  = "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabcd"
		parts = "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\nabcd"
	)
	for name, pieces := range map[string][]string{
		"alone":                        {post},
		"behind a request":             {get, post},
		"pipelined":                    {get + post},
		"pipelined behind one lent":    {lent + post},
		"pipelined behind two":         {get + lent + post},
		"pipelined, its head in two":   {get + post[:40], post[40:]},
		"pipelined, its first byte":    {get + post[:1], post[1:]},
		"lent, and pipelined":          {get + parts},
		"lent, behind one lent":        {lent + parts},
		"lent, its head in two":        {get + parts[:40], parts[40:]},
		"behind a pipelined request":   {get + get, post},
		"lent, behind one that pauses": {lent, parts},
	} {
		synctest.Test(t, func(t *testing.T) {
			took := make(chan time.Duration, 1)
			c := callTools(t, stall, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/upload" {
					return
				}
				began, conn := time.Now(), limit.FromContext(r.Context())
				conn.BeginUpload()
				defer conn.EndUpload()
				if n, err := io.Copy(io.Discard, r.Body); n != 4 || err == nil {
					t.Errorf("%s: %d bytes, %v", name, n, err)
				}
				took <- time.Since(began)
			})
			go func() { _, _ = io.Copy(io.Discard, c.answers) }()
			for _, p := range pieces {
				if _, err := io.WriteString(c, p); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * silence)
			}
			select {
			case d := <-took:
				if d > stall+silence {
					t.Errorf("%s: it was cut off after %v", name, d)
				}
			case <-time.After(time.Minute):
				t.Errorf("%s: it is waited for still", name)
			}
		})
	}
}

// told is what a handler was told.
func told(method, target string, body []byte) string {
	return fmt.Sprintf("%s %s %d %08x", method, target, len(body), crc32.ChecksumIEEE(body))
}

// TestRequestsInAnyPiecesAreServedInTurn writes stories of requests, of either lane, with pauses in any place.
func TestRequestsInAnyPiecesAreServedInTurn(t *testing.T) {
	t.Parallel()
	stories := 300
	if testing.Short() {
		stories = 30
	}
	for seed := range stories {
		synctest.Test(t, func(t *testing.T) { tellRequests(t, rand.New(rand.NewPCG(uint64(seed), 0))) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func tellRequests(t *testing.T, r *rand.Rand) {
	var said []byte
	var want []string
	for i := range 1 + r.IntN(6) {
		method, target := http.MethodPost, fmt.Sprintf("/%d", i)
		if r.IntN(3) == 0 {
			target += "?slow"
		}
		body := make([]byte, []int{0, 1, 100, 3000, 20_000, 100_000}[r.IntN(6)])
		for j := range body {
			body[j] = byte(r.Uint32())
		}
		switch r.IntN(4) {
		case 0:
			method, body = http.MethodGet, nil
			said = fmt.Appendf(said, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target)
		case 1:
			half := r.IntN(len(body) + 1)
			said = fmt.Appendf(said, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", target)
			for _, part := range [][]byte{body[:half], body[half:]} {
				if len(part) > 0 {
					said = fmt.Appendf(said, "%x\r\n%s\r\n", len(part), part)
				}
			}
			said = append(said, "0\r\n\r\n"...)
		default:
			long := strings.Repeat("a", []int{1, 1000, 4000, 5000, 12_000, 20_000}[r.IntN(6)]+r.IntN(100))
			said = fmt.Appendf(said, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nA: %s\r\n\r\n%s", target, len(body), long, body)
		}
		want = append(want, told(method, target, body))
	}
	c := callTools(t, 0, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			time.Sleep(2 * silence) // long enough for a look whether the client goes away
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s %s: %v after %d bytes", r.Method, r.RequestURI, err, len(body))
		}
		_, _ = io.WriteString(w, told(r.Method, r.RequestURI, body))
	})
	go func() {
		for len(said) > 0 {
			n := min(1+r.IntN([]int{10, 1000, 200_000}[r.IntN(3)]), len(said))
			if _, err := c.Write(said[:n]); err != nil {
				t.Errorf("%v, with %d bytes to say", err, len(said))
				return
			}
			said = said[n:]
			time.Sleep([]time.Duration{0, 0, silence / 2, 2 * silence, time.Second}[r.IntN(5)])
		}
	}()
	_ = c.SetReadDeadline(time.Now().Add(time.Hour))
	for _, w := range want {
		resp, err := http.ReadResponse(c.answers, nil)
		if err != nil {
			t.Errorf("%v, want %s", err, w)
			return
		}
		if got, err := io.ReadAll(resp.Body); string(got) != w || err != nil {
			t.Errorf("%d %.200q %v, want %s", resp.StatusCode, got, err, w)
			return
		}
	}
}

// TestWhoBeginsARequestIsNotTheFirstToMakeRoom has two places, a connection that has been silent for longest and begins to ask, another one, and a newcomer.
func TestWhoBeginsARequestIsNotTheFirstToMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pipetest.Listen()
		server := front.New(&http.Server{
			Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: headerTimeout, IdleTimeout: clientIdle, ErrorLog: log.New(io.Discard, "", 0),
			ConnState: limit.State, ConnContext: limit.WithConn,
		}, &refusedHere{t})
		l := limit.NewConnections(2, limit.NewBudget(1<<30), 0).Wrap(p)
		over := make(chan error, 1)
		go func() { over <- server.Serve(l) }()
		defer func() {
			_, _ = l.Close(), server.Close()
			<-over
		}()
		const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
		hear := func(c net.Conn) error {
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err == nil && resp.StatusCode != http.StatusOK {
				t.Error(resp.Status)
			}
			return err
		}
		begins, silent := p.Dial(), p.Dial()
		for _, c := range []net.Conn{begins, silent} {
			_, _ = io.WriteString(c, request)
			if err := hear(c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		_, _ = io.WriteString(begins, request[:10])
		newcomer := p.Dial()
		_, _ = io.WriteString(newcomer, request)
		if err := hear(newcomer); err != nil {
			t.Errorf("the newcomer: %v", err)
		}
		_, _ = io.WriteString(begins, request[10:])
		if err := hear(begins); err != nil {
			t.Errorf("who had begun: %v", err)
		}
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Error("nobody has made room")
		}
		_, _, _ = begins.Close(), silent.Close(), newcomer.Close()
	})
}

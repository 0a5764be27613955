package front

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/wire"
)

const (
	ordinary = "GET /ordinary HTTP/1.1\r\nHost: x\r\n\r\n"
	chunks   = "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n2\r\nbc\r\n0\r\nA: b\r\n\r\n"
	expects  = "POST /expects HTTP/1.1\r\nHost: x\r\nX-A: \x80\r\nContent-Length: 3\r\n\r\nabc"
	empty    = "GET http://x/empty HTTP/1.1\r\nHost: x\r\n\r\n"
)

// doubtful are heads that can be read in two ways, and what is said of them.
var doubtful = map[string]wire.Doubt{
	"GET / HTTP/1.1\nHost: x\r\n\r\n":                                                                    wire.BareLF,
	"GET / HTTP/1.1\r\nHost: x\r\nA: b\n\r\n":                                                            wire.BareLF,
	"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n":                                                        wire.BareCR,
	"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n":                                                    wire.Folded,
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":     wire.TwoLengths,
	"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n":     wire.TwoLengths,
	"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n0\r\n\r\n":    wire.TwoLengths,
	"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", wire.MaxHead) + "\r\n c\r\n\r\n":            wire.Folded,
	"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", wire.MaxHead) + "\r\nTransfer-E: x\n\r\n\r": wire.BareLF,
}

// client is a connection that asks and reads answers.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, to net.Addr) *client {
	t.Helper()
	c, err := net.Dial(to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{c, t, bufio.NewReader(c)}
}

// ask sends what it is given, and returns the next answer's status and body.
func (c *client) ask(request string) (int, string) {
	c.t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		c.t.Fatal(err)
	}
	return c.hear()
}

func (c *client) hear() (int, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestAHeadThatCanBeReadInTwoWaysIsNotServed has it come first, and behind requests that either lane has served.
func TestAHeadThatCanBeReadInTwoWaysIsNotServed(t *testing.T) {
	t.Parallel()
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	for request, want := range doubtful {
		for _, before := range [][]string{{}, {ordinary}, {chunks}, {expects}, {empty}, {chunks, ordinary, expects, chunks}} {
			c := dial(t, both.front)
			for _, b := range before {
				if status, body := c.ask(b); status != 200 {
					t.Fatalf("%q: %d %s", b, status, body)
				}
			}
			if status, body := c.ask(request); status != http.StatusBadRequest || body != "it has "+string(want) {
				t.Errorf("%.80q behind %d: %d %q", request, len(before), status, body)
			}
			if _, err := c.r.ReadByte(); err == nil {
				t.Errorf("%.80q: the connection goes on", request)
			}
		}
	}
}

// TestWhatIsBehindAnUnusualRequestIsServedInTurn sends all at once.
func TestWhatIsBehindAnUnusualRequestIsServedInTurn(t *testing.T) {
	t.Parallel()
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.URL.Path+string(body))
	}))
	c := dial(t, both.front)
	if _, err := io.WriteString(c, ordinary+expects+empty+empty+ordinary+expects+chunks+chunks+ordinary+chunks); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/ordinary", "/expectsabc", "/empty", "/empty", "/ordinary", "/expectsabc", "/chunksabc", "/chunksabc", "/ordinary", "/chunksabc"} {
		if status, body := c.hear(); status != 200 || body != want {
			t.Errorf("%d %q, want %q", status, body, want)
		}
	}
}

// TestWhatNobodyHasLookedAtIsNotServed has net/http find a request where we found none.
func TestWhatNobodyHasLookedAtIsNotServed(t *testing.T) {
	t.Parallel()
	s := New(&http.Server{Handler: http.HandlerFunc(echo)}, refused{})
	g := newGiven(&conn{server: s})
	for _, want := range []int{http.StatusOK, http.StatusBadRequest} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		s.http.Handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), givenKey{}, g)))
		if w.Code != want || want != http.StatusOK && (w.Header().Get("Connection") != "close" || w.Body.String() != "it has "+string(wire.Unseen)) {
			t.Errorf("%d %v %q, want %d", w.Code, w.Header(), w.Body, want)
		}
	}
}

// TestAConnectionComesBackFromNetHTTP tells by the ResponseWriter who serves.
func TestAConnectionComesBackFromNetHTTP(t *testing.T) {
	t.Parallel()
	if !enabled {
		t.Skip("net/http serves everything")
	}
	var states sync.Map
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var told atomic.Value
	told.Store("")
	s := New(&http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, ours := w.(*response)
			_, _ = io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, ours, " ", r.Context().Value(connKey{}))
		}),
		ConnState: func(c net.Conn, state http.ConnState) {
			states.Store(c, state)
			told.Store(told.Load().(string) + " " + state.String())
		},
	}, refused{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _, _ = l.Close(), s.Close() })
	c := dial(t, l.Addr())
	for request, want := range map[string]string{ordinary: "true", chunks: "false", expects: "false"} {
		for range 3 {
			if _, body := c.ask(request); body != want+" <nil>" {
				t.Errorf("%.20q: served here: %s", request, body)
			}
		}
	}
	states.Range(func(key, _ any) bool {
		if _, ok := key.(*net.TCPConn); !ok {
			t.Errorf("hooks are told of a %T", key)
		}
		return true
	})
	if got, want := told.Load().(string), " new"+strings.Repeat(" active idle", 9); !strings.HasPrefix(want, got) || len(got) < len(want)-len(" idle") {
		t.Errorf("told:%s", got)
	}
}

type connKey struct{}

// TestAConnectionThatIsTakenOverIsNobodyElses has a handler take it, with what came behind its request.
func TestAConnectionThatIsTakenOverIsNobodyElses(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"at once", "while it is served", "afterwards"} {
		began, goOn := make(chan struct{}), make(chan struct{})
		both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(began)
			<-goOn
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, "taken ")
				ahead, _ := rw.Reader.Peek(rw.Reader.Buffered())
				_, _ = io.Copy(c, io.MultiReader(strings.NewReader(string(ahead)), c))
			}()
		}))
		c := dial(t, both.front)
		const request, behind = "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", "whatever"
		if at == "at once" {
			_, _ = io.WriteString(c, request+behind)
			<-began
			close(goOn)
		} else {
			_, _ = io.WriteString(c, request)
			<-began
			if at == "afterwards" {
				close(goOn)
			}
			_, _ = io.WriteString(c, behind)
			if at == "while it is served" {
				time.AfterFunc(unwatched, func() { close(goOn) })
			}
		}
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(c); string(got) != "taken "+behind || err != nil {
			t.Errorf("%s: %q, %v", at, got, err)
		}
	}
}

// TestAClientOfNetHTTPsThatGoesAwayIsNoticed has a request served there.
func TestAClientOfNetHTTPsThatGoesAwayIsNoticed(t *testing.T) {
	t.Parallel()
	for _, request := range []string{empty, expects, chunks} {
		began, ended := make(chan struct{}), make(chan struct{})
		both := serveBoth(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			close(began)
			<-r.Context().Done()
			close(ended)
		}))
		c := dial(t, both.front)
		_, _ = io.WriteString(c, request)
		<-began
		_ = c.Close()
		<-ended
	}
}

// TestWhatComesWhileNetHTTPServesIsTheNextRequest has its look at the client read a byte.
func TestWhatComesWhileNetHTTPServesIsTheNextRequest(t *testing.T) {
	t.Parallel()
	for _, first := range []string{empty, expects, chunks} {
		began, goOn := make(chan struct{}, 2), make(chan struct{})
		both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			began <- struct{}{}
			<-goOn
			_, _ = io.WriteString(w, r.URL.Path)
		}))
		c := dial(t, both.front)
		_, _ = io.WriteString(c, first)
		<-began
		_, _ = io.WriteString(c, ordinary)
		time.AfterFunc(unwatched, func() { close(goOn) })
		for _, want := range []string{"", "/ordinary"} {
			if status, body := c.hear(); status != 200 || want != "" && body != want {
				t.Errorf("%.30q: %d %q", first, status, body)
			}
		}
	}
}

// TestManyClientsChangeLanes is for the race detector.
func TestManyClientsChangeLanes(t *testing.T) {
	t.Parallel()
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path)%2 == 0 {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			c := dial(t, both.front)
			for i := range 60 {
				request, want := chunks, "/chunks"
				switch (n*i + i) % 4 {
				case 1:
					request, want = ordinary, "/ordinary"
				case 2:
					request, want = expects, "/expects"
				case 3:
					request, want = empty, "/empty"
				}
				if status, body := c.ask(request); status != 200 || body != want {
					t.Errorf("%d %q, want %q", status, body, want)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestAShutdownWithoutTimeEndsWhatWaits has nothing under way, and no time at all.
func TestAShutdownWithoutTimeEndsWhatWaits(t *testing.T) {
	t.Parallel()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := New(&http.Server{Handler: http.HandlerFunc(echo)}, refused{})
		go func() { _ = s.Serve(l) }()
		c := dial(t, l.Addr())
		c.ask(ordinary)
		for s.serves() { // the answer is here before its writer knows
			runtime.Gosched()
		}
		over, stop := context.WithCancel(t.Context())
		stop()
		_ = l.Close()
		if err := s.Shutdown(over); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAHeadThatComesTooLateIsAnswered has the rest of a head come when net/http has shut down, of a request that it would have served.
func TestAHeadThatComesTooLateIsAnswered(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(&http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: time.Minute}, refused{})
	go func() { _ = s.Serve(l) }()
	c := dial(t, l.Addr())
	c.ask(ordinary)
	for s.serves() { // the first request is not over when it has been answered
		runtime.Gosched()
	}
	_, _ = io.WriteString(c.Conn, chunks[:20])
	for !s.serves() {
		runtime.Gosched()
	}
	_ = l.Close()
	over, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Shutdown(over); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, _ = io.WriteString(c.Conn, chunks[20:])
	if status, body := c.hear(); status != http.StatusServiceUnavailable || body != "stopping" {
		t.Errorf("%d %q", status, body)
	}
}

// TestWhatNetHTTPDropsIsAnswered has it close a connection without a word, as it does with a request that it reads when it shuts down.
func TestWhatNetHTTPDropsIsAnswered(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		have func(g *given)
		want fate
	}{
		{"shutting down", func(g *given) { g.of.server.ended.Store(true) }, dropped},
		{"otherwise", func(*given) {}, ended},
		{"it was handled", func(g *given) { g.of.server.ended.Store(true); g.handled.Store(true) }, ended},
		{"it was answered", func(g *given) {
			g.of.server.ended.Store(true)
			_, _ = g.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		}, ended},
	} {
		here, there := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, there) }()
		g := newGiven(&conn{net: here, server: New(&http.Server{Handler: http.HandlerFunc(echo)}, refused{})})
		tc.have(g)
		_ = g.Close()
		if got := <-g.back; got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
		if _, err := here.Write([]byte("x")); (err == nil) != (tc.want == dropped) {
			t.Errorf("%s: to the client: %v", tc.name, err)
		}
	}
}

package upstream

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/trust"
)

// scripted is a connection whose peer says what it has to say in pieces, whatever it is sent, and then ends.
type scripted struct {
	net.Conn // nil: nothing else is called
	pieces   [][]byte
	asked    chan struct{} // closed by the first write
	once     sync.Once
	closed   chan struct{}
	ending   sync.Once

	mu    sync.Mutex
	wrote bytes.Buffer
}

// parrot says the same whenever it is asked.
type parrot struct {
	scripted
	answer []byte
}

func (p *parrot) Read(b []byte) (int, error)  { return copy(b, p.answer), nil }
func (p *parrot) Write(b []byte) (int, error) { return len(b), nil }

func newScripted(answer []byte, every int) *scripted {
	s := &scripted{asked: make(chan struct{}), closed: make(chan struct{})}
	for len(answer) > 0 {
		n := min(len(answer), max(every, 1))
		s.pieces = append(s.pieces, answer[:n])
		answer = answer[n:]
	}
	return s
}

func (s *scripted) Read(p []byte) (int, error) {
	select {
	case <-s.asked:
	case <-s.closed:
		return 0, net.ErrClosed
	}
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.wrote.Write(p)
	s.mu.Unlock()
	s.once.Do(func() { close(s.asked) })
	return len(p), nil
}

func (s *scripted) Close() error                     { s.ending.Do(func() { close(s.closed) }); return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// read is what came of an answer.
type read struct {
	status   string
	header   http.Header
	length   int64
	encoding string
	trailer  http.Header
	body     string
	failed   bool // no answer
	broke    bool // its body broke off
	kept     bool // the connection may be used again
}

func readAll(resp *http.Response, err error) read {
	if err != nil {
		return read{failed: true}
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	got := read{status: resp.Status, header: resp.Header, length: resp.ContentLength, encoding: fmt.Sprint(resp.TransferEncoding), body: string(body), broke: err != nil}
	for name, values := range resp.Trailer {
		if len(values) > 0 {
			if got.trailer == nil {
				got.trailer = http.Header{}
			}
			got.trailer[name] = values
		}
	}
	return got
}

func aRequest(t testing.TB, method string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://acme.myshopify.com/admin", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// bareLane is a lane that has to be told how to connect.
func bareLane() *lane {
	return &lane{places: map[laneKey]*place{}, one: true, spare: func(c *conn) { _ = c.Close() }, aged: func() {}}
}

// here carries a request in a lane, on one connection.
func here(t testing.TB, method string, on *scripted) read {
	t.Helper()
	l := bareLane()
	l.connect = func(context.Context, laneKey) (*conn, error) {
		c := newConn(on, time.Time{}, Options{}, &Transport{}, nil)
		c.inLane, c.abort = true, func() { _ = c.Close() }
		return c, nil
	}
	resp, err, ok := l.carry(aRequest(t, method))
	if !ok {
		t.Skip("net/http carries all requests on this system")
	}
	got := readAll(resp, err)
	got.kept = l.count == 1
	l.closeAll()
	return got
}

// there has net/http do the same.
func there(t testing.TB, method string, on *scripted) read {
	t.Helper()
	tr := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return on, nil },
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
	defer tr.CloseIdleConnections()
	return readAll(tr.RoundTrip(aRequest(t, method)))
}

// odd are answers, ordinary ones among them.
var odd = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyand more",
	"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo",
	"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close\r\nx-a: 1\r\nX-A: 2\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n3\r\nody\r\n00\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-T: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-T: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=\"b\"\r\nbody\r\n2 \r\nxy\r\n0;x\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbodyXX0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\nbody\n0\n\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\rX",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000000\r\nbody\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\n\r\nto the end",
	"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\nHTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=\nb\r\nbody\r\n0\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
	"HTTP/1.1 200 OK\nContent-Length: 4\n\nbody",
	"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody5",
	"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nbody",
	"HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 200 OK\r\nX: \xff\x80\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 200 OK\r\nPragma: no-cache\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 999 Strange\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 20<<10) + "\r\nContent-Length: 4\r\n\r\nbody",
	"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + strings.Repeat("y", 70000),
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n" + strings.Repeat("z", 70000) + "\r\n0\r\n\r\n",
	"", "garbage", "H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n",
}

func compareAnswer(t testing.TB, method string, answer []byte, every int) {
	t.Helper()
	got, want := here(t, method, newScripted(answer, every)), there(t, method, newScripted(answer, every))
	kept := got.kept
	got.kept = false
	if strings.HasPrefix(want.status, "101") { // net/http hands over what is behind it, to whoever has asked for the change
		want.body = ""
		if kept {
			t.Errorf("%.200q: the connection is used again", answer)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s, %d bytes at a time, %.200q:\n%.300v\nnet/http:\n%.300v", method, every, answer, got, want)
	}
	if kept && (got.failed || got.broke) {
		t.Errorf("%s, %.200q: the connection is used again", method, answer)
	}
}

func TestAnswersAreReadAsNetHTTPReadsThem(t *testing.T) {
	t.Parallel()
	for _, answer := range odd {
		for _, every := range []int{1, 3, 1 << 20} {
			if every == 1 && len(answer) > 10000 {
				continue
			}
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
				compareAnswer(t, method, []byte(answer), every)
			}
		}
	}
}

// FuzzExchange compares what a lane makes of an answer with what net/http makes of it.
func FuzzExchange(f *testing.F) {
	for _, answer := range odd {
		if len(answer) < 1000 {
			f.Add([]byte(answer), uint8(0), uint16(7))
			f.Add([]byte(answer), uint8(1), uint16(1000))
		}
	}
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete}
	f.Fuzz(func(t *testing.T, answer []byte, method uint8, every uint16) {
		if len(answer) > 4096 {
			return
		}
		compareAnswer(t, methods[int(method)%len(methods)], answer, int(every))
	})
}

// What goes out is what net/http would send, but for the order of fields.
func TestRequestsAreWrittenAsNetHTTPWritesThem(t *testing.T) {
	t.Parallel()
	const answer = "HTTP/1.1 204 No Content\r\n\r\n"
	for name, change := range map[string]func(*http.Request){
		"plain":               func(*http.Request) {},
		"a body":              func(r *http.Request) { setBody(r, "hello") },
		"another length":      func(r *http.Request) { r.Header.Set("Content-Length", "7"); r.Header.Set("Host", "y") },
		"no user agent":       func(r *http.Request) { r.Header["User-Agent"] = nil },
		"fields":              func(r *http.Request) { r.Header["X-A"], r.Header["x-b"] = []string{"1", "2"}, []string{"", "a b\tc"} },
		"the bytes of a path": func(r *http.Request) { r.URL.Opaque, r.URL.RawQuery = "/a%2Fb;c=d/%7e", "x=%20&y=/" },
		"an empty query":      func(r *http.Request) { r.URL.ForceQuery = true },
		"a host":              func(r *http.Request) { r.Host = "other.example:8443" },
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"} {
			first, second := newScripted([]byte(answer), 1000), newScripted([]byte(answer), 1000)
			r, same := aRequest(t, method), aRequest(t, method)
			change(r)
			change(same)
			l := bareLane()
			l.connect = func(context.Context, laneKey) (*conn, error) {
				return newConn(first, time.Time{}, Options{}, &Transport{}, nil), nil
			}
			_, err, ok := l.carry(r)
			if !ok && canTell {
				t.Errorf("%s %s: it is not carried", name, method)
			}
			if err != nil || !ok {
				continue
			}
			l.closeAll()
			tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return second, nil }, DisableCompression: true}
			if _, err := tr.RoundTrip(same); err != nil {
				t.Fatal(err)
			}
			tr.CloseIdleConnections()
			if got, want := sorted(first.wrote.String()), sorted(second.wrote.String()); got != want {
				t.Errorf("%s %s: %q, net/http: %q", name, method, got, want)
			}
		}
	}
}

func setBody(r *http.Request, body string) {
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
}

// sorted is a message with its fields in order.
func sorted(message string) string {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	first, rest, _ := strings.Cut(head, "\r\n")
	fields := strings.Split(rest, "\r\n")
	for i := range fields {
		for j := i + 1; j < len(fields); j++ {
			if fields[j] < fields[i] {
				fields[i], fields[j] = fields[j], fields[i]
			}
		}
	}
	return first + "\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n" + body
}

func TestWhatIsOutOfTheOrdinaryIsLeftToNetHTTP(t *testing.T) {
	t.Parallel()
	l := &lane{one: true}
	for name, change := range map[string]func(*http.Request){
		"a body that is not in memory": func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 },
		"a long body":                  func(r *http.Request) { setBody(r, strings.Repeat("x", largestBuffered+1)) },
		"a body of unknown length":     func(r *http.Request) { setBody(r, "x"); r.ContentLength = -1 },
		"another method":               func(r *http.Request) { r.Method = "PROPFIND" },
		"a method in lower case":       func(r *http.Request) { r.Method = "get" },
		"a trailer":                    func(r *http.Request) { r.Trailer = http.Header{"X": nil} },
		"Connection":                   func(r *http.Request) { r.Header.Set("Connection", "close") },
		"Close":                        func(r *http.Request) { r.Close = true },
		"Expect":                       func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"Upgrade":                      func(r *http.Request) { r.Header.Set("Upgrade", "x") },
		"a line end in a value":        func(r *http.Request) { r.Header.Set("X", "a\r\nB: c") },
		"a name that is none":          func(r *http.Request) { r.Header["X y"] = []string{"1"} },
		"a blank in the path":          func(r *http.Request) { r.URL.Opaque = "/a b" },
		"a line end in the query":      func(r *http.Request) { r.URL.RawQuery = "a\r\nb" },
		"two slashes":                  func(r *http.Request) { r.URL.Opaque = "//a/b" },
		"a host with a path":           func(r *http.Request) { r.Host = "a/b" },
		"a host with a line end":       func(r *http.Request) { r.Host = "a\r\nb: c" },
	} {
		r := aRequest(t, "GET")
		change(r)
		if _, _, ok := l.carry(r); ok {
			t.Errorf("%s: it was carried", name)
		}
	}
}

func TestACancelledRequestEndsItsConnection(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo"} {
		mine, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Read(make([]byte, 4096))
			_, _ = io.WriteString(theirs, answer)
		}()
		l := bareLane()
		l.connect = func(context.Context, laneKey) (*conn, error) {
			c := newConn(mine, time.Time{}, Options{}, &Transport{}, nil)
			c.abort = func() { _ = c.Close() }
			return c, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		resp, err, ok := l.carry(aRequest(t, "GET").WithContext(ctx))
		if !ok {
			return
		}
		if err == nil {
			_, err = io.ReadAll(resp.Body)
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("%q: %v", answer, err)
		}
		if err == nil || l.count != 0 {
			t.Errorf("%q: %v, %d connections rest", answer, err, l.count)
		}
		if _, err := theirs.Read(make([]byte, 1)); err == nil {
			t.Errorf("%q: the connection lives", answer)
		}
	}
}

func TestOnlyWhatHasAHostIsCarried(t *testing.T) {
	t.Parallel()
	r := aRequest(t, "GET")
	r.URL = &url.URL{Path: "/a"}
	if _, _, ok := (&lane{one: true}).carry(r); ok {
		t.Error("carried")
	}
}

// beforeTLS is a Transport before an upstream with TLS that the handler answers for.
func beforeTLS(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *Transport) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	tr := New(Options{Base: parse(t, server.URL), Roots: trust.Only(roots), HeaderTimeout: testTimeout})
	t.Cleanup(tr.CloseIdleConnections)
	return server, tr
}

// A peer may close a connection that rests at any time; what was sent on it then nobody knows.
func TestAConnectionThatEndedWhileItRestedCarriesNothing(t *testing.T) {
	t.Parallel()
	if !canTell {
		t.Skip("net/http carries everything here, and may notice too late")
	}
	var taken atomic.Int32
	server, tr := beforeTLS(t, func(w http.ResponseWriter, r *http.Request) {
		taken.Add(1)
		_, _ = io.Copy(w, r.Body)
	})
	for i := range 20 {
		r := request(t, http.MethodPost, server.URL)
		setBody(r, "hello")
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if got := readAll(resp, nil); got.body != "hello" {
			t.Fatalf("request %d: %+v", i, got)
		}
		server.CloseClientConnections()
	}
	if n := taken.Load(); n != 20 {
		t.Errorf("%d requests were taken, want 20", n)
	}
}

// TestAnEarlyAnswerToAShortBodyCounts has a peer that reads the head alone, refuses, and ends the connection with the body unread.
func TestAnEarlyAnswerToAShortBodyCounts(t *testing.T) {
	t.Parallel()
	if !canTell {
		t.Skip("net/http carries everything here, and loses one now and then")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 200))
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n")
			_ = c.Close()
		}
	}()
	tr := New(Options{Base: parse(t, "http://"+l.Addr().String()), HeaderTimeout: testTimeout})
	for i := range 50 {
		r := request(t, http.MethodPost, "http://"+l.Addr().String())
		setBody(r, strings.Repeat("x", largestBuffered))
		got := readAll(tr.RoundTrip(r))
		if got.status != "413 Content Too Large" || got.body != "no\n" {
			t.Fatalf("request %d: %+v", i, got)
		}
	}
}

func TestConnectionsRestForAsLongAsTheyMay(t *testing.T) {
	t.Parallel()
	if !canTell {
		t.Skip("net/http carries everything here")
	}
	synctest.Test(t, func(t *testing.T) {
		l := bareLane()
		for range 2 * keptLong {
			c := newConn(newScripted(nil, 1), time.Time{}, Options{}, &Transport{}, nil)
			c.used = true
			l.rest(c)
			time.Sleep(time.Millisecond)
		}
		for _, want := range []struct {
			after time.Duration
			rest  int
		}{{idleTimeout - time.Second, 2 * keptLong}, {5 * time.Second, keptLong}, {longIdle - idleTimeout - 10*time.Second, keptLong}, {10 * time.Second, 0}} {
			time.Sleep(want.after)
			synctest.Wait()
			l.mu.Lock()
			if l.count != want.rest {
				t.Errorf("%d connections rest, want %d", l.count, want.rest)
			}
			l.mu.Unlock()
		}
	})
}

// An answer that nobody reads, such as a refusal whose request is sent again, costs a connection only if its rest is still to come.
func TestAnUnreadAnswerThatHasComeKeepsItsConnection(t *testing.T) {
	t.Parallel()
	for answer, kept := range map[string]int{
		"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nbody":               1,
		"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 5\r\n\r\nbody":               0,
		"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 3\r\n\r\nbody":               0,
		"HTTP/1.1 429 Too Many Requests\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 0,
	} {
		l := bareLane()
		l.connect = func(context.Context, laneKey) (*conn, error) {
			c := newConn(newScripted([]byte(answer), 1000), time.Time{}, Options{}, &Transport{}, nil)
			c.inLane, c.abort = true, func() { _ = c.Close() }
			return c, nil
		}
		resp, err, ok := l.carry(aRequest(t, "GET"))
		if !ok {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if l.count != kept {
			t.Errorf("%q: %d connections rest, want %d", answer, l.count, kept)
		}
		l.closeAll()
	}
}

// TestWhatComesUnaskedEndsAConnectionThatRests has a peer say something more when its answer has been read.
func TestWhatComesUnaskedEndsAConnectionThatRests(t *testing.T) {
	t.Parallel()
	if !canTell {
		t.Skip("net/http carries everything here")
	}
	more := make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-more
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
		_, _ = c.Read(make([]byte, 1000)) // until it is closed
	}()
	tr := New(Options{Base: parse(t, "http://"+l.Addr().String()), HeaderTimeout: testTimeout})
	if got := readAll(tr.RoundTrip(request(t, http.MethodGet, "http://"+l.Addr().String()))); got.body != "ok" {
		t.Fatalf("%+v", got)
	}
	rest := func() int {
		tr.lane.closeOld()
		tr.lane.mu.Lock()
		defer tr.lane.mu.Unlock()
		return tr.lane.count
	}
	if n := rest(); n != 1 {
		t.Fatalf("%d connections rest, want 1", n)
	}
	close(more)
	until(t, "the connection has been given up", func() bool { return rest() == 0 })
}

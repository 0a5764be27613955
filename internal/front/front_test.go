package front

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/wire"
	"evergate/test/corpus"
)

// lanes are the two ways in which a handler may be served.
type lanes struct{ front, plain net.Addr }

func serveBoth(t testing.TB, handler http.Handler) lanes {
	t.Helper()
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	server := func() *http.Server {
		return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), DisableGeneralOptionsHandler: true}
	}
	l, m := listen(), listen()
	one, two := New(server(), refused{}), server()
	one.HandlerOnlyReads()
	go func() { _ = one.Serve(l) }()
	go func() { _ = two.Serve(m) }()
	t.Cleanup(func() { _, _, _, _ = l.Close(), m.Close(), one.Close(), two.Close() })
	return lanes{l.Addr(), m.Addr()}
}

// refused are the Refusals.
type refused struct{}

func (refused) Ambiguous(w http.ResponseWriter, doubt string) {
	sayRefused(w, http.StatusBadRequest, "it has "+doubt)
}

func (refused) Stopping(w http.ResponseWriter) {
	sayRefused(w, http.StatusServiceUnavailable, "stopping")
}

func sayRefused(w http.ResponseWriter, status int, text string) {
	w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// say sends pieces and returns all that comes until the other side ends, or nothing comes any more.
func say(t testing.TB, to net.Addr, pieces ...string) string {
	t.Helper()
	c, err := net.Dial(to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, p := range pieces {
		if _, err := io.WriteString(c, p); err != nil {
			break // it may have ended
		}
	}
	_ = c.(*net.TCPConn).CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	got, _ := io.ReadAll(c)
	return dates.ReplaceAllString(string(got), "Date: now\r\n")
}

// dates are those of net/http's own answers, which change from one second to the next.
var dates = regexp.MustCompile(`Date: \w{3}, [^\r]* GMT\r\n`)

// echo answers with what it was given.
func echo(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s host=%s len=%d close=%v te=%v path=%s query=%s force=%v\n", r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.Close, r.TransferEncoding, r.URL.Path, r.URL.RawQuery, r.URL.ForceQuery)
	var names []string
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s=%q\n", name, r.Header[name])
	}
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(&b, "%d %x %v", len(body), body[:min(len(body), 500)], err)
	w.Header()["Date"] = nil
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, b.String())
}

var requests = [][]string{
	{"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nx-a: 1\r\nX-A: 2\r\n\r\n"},
	{"GET /a%20b?c=%2f HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"GET /? HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"GET //a HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"},
	{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", "he", "llo"},
	{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"},
	{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 700000\r\n\r\nhe"}, // so much is left that the answer says so
	{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"},
	{"POST /a HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET /c HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	{"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	{"GET /a HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n"},
	{"GET /a HTTP/1.1\nHost: x\n\n"},
	{"GET /a HTTP/1.0\r\n\r\n"},
	{"GET /a HTTP/1.1\r\n\r\n"},
	{"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
	{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"garbage\r\n\r\n"}, {"G"}, {""},
	{"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"},
	{"GET /a HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", 20000) + "\r\n\r\n"},
	{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000)},
}

// agree reports whether the front said what net/http said, up to a request that it refused, and had a reason to.
func agree(sent, got, want string) bool {
	if got == want {
		return true
	}
	lower := strings.ToLower(sent)
	if strings.Contains(lower, " http/1.0\r\n") && strings.Contains(lower, "transfer-encoding") && strings.HasPrefix(want, got) {
		return true // what such a client has announced is no request
	}
	before, refusal, is := strings.Cut(got, "HTTP/1.1 400 Bad Request\r\n")
	if !is || !strings.HasPrefix(want, before) {
		return false
	}
	_, doubt, _ := strings.Cut(refusal, "\r\n\r\nit has ")
	switch wire.Doubt(doubt) {
	case wire.BareLF:
		return strings.Contains(strings.ReplaceAll(sent, "\r\n", ""), "\n")
	case wire.BareCR:
		return strings.Contains(strings.ReplaceAll(sent, "\r\n", ""), "\r")
	case wire.Folded:
		return strings.Contains(sent, "\n ") || strings.Contains(sent, "\n\t")
	case wire.TwoLengths:
		return strings.Contains(lower, "transfer-encoding") && strings.Contains(lower, "content-length")
	case wire.Unseen:
		return before != "" && strings.Contains(lower, "transfer-encoding")
	default: // net/http says of what is behind a request what it says of a first one
		return before != "" && strings.HasPrefix(refusal, "Content-Type: text/plain; charset=utf-8\r\nConnection: close")
	}
}

func TestAHandlerIsGivenWhatNetHTTPGivesIt(t *testing.T) {
	t.Parallel()
	both := serveBoth(t, http.HandlerFunc(echo))
	for _, pieces := range requests {
		got, want := say(t, both.front, pieces...), say(t, both.plain, pieces...)
		if !agree(strings.Join(pieces, ""), got, want) {
			t.Errorf("%.200q:\n%.600q\nnet/http:\n%.600q", pieces, got, want)
		}
	}
}

// TestAnAnswerIsWrittenAsNetHTTPWritesIt compares what goes out for what handlers do.
func TestAnAnswerIsWrittenAsNetHTTPWritesIt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("y", 70000)
	do := map[string]http.HandlerFunc{
		"nothing":           func(http.ResponseWriter, *http.Request) {},
		"a status":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"an unknown status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(799) },
		"204":               func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"204 with a length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(204)
		},
		"304 with a length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.WriteHeader(304)
		},
		"a body": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"a body of a length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "hello")
		},
		"too long a body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			_, _ = io.WriteString(w, "hello")
		},
		"too short a body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "hello")
		},
		"a flush": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "he")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "llo")
		},
		"a flush of nothing": func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"a long body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "70000")
			_, _ = io.WriteString(w, long)
		},
		"Connection: close": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			_, _ = io.WriteString(w, "hello")
		},
		"fields": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X-A"] = []string{"1", " 2\r\n3 "}
			w.Header()["x-b"] = []string{""}
			w.Header()["b c"] = []string{"1"}
			w.WriteHeader(200)
		},
		"a trailer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-T")
			_, _ = io.WriteString(w, "hello")
			w.Header().Set("X-T", "1")
		},
		"an unannounced trailer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"X-T", "1")
		},
		"giving up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"giving up in the middle": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "he")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"giving up after a short body": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "he")
			panic(http.ErrAbortHandler)
		},
		"giving up after a part": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "he")
			panic(http.ErrAbortHandler)
		},
		"a panic": func(http.ResponseWriter, *http.Request) { panic("x") },
	}
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
		name, _ := strings.CutPrefix(r.URL.Path, "/")
		do[name](w, r)
	}))
	for name := range do {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			for _, body := range []string{"", "Content-Length: 3\r\n"} {
				if body != "" && method != "POST" {
					continue
				}
				first := method + " /" + strings.ReplaceAll(name, " ", "%20") + " HTTP/1.1\r\nHost: x\r\n" + body + "\r\n"
				if body != "" {
					first += "abc"
				}
				second := "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" // shows whether the connection goes on
				got, want := one(t, both.front, first, second), one(t, both.plain, first, second)
				if got != want {
					t.Errorf("%s %s %q:\n%.300q\nnet/http:\n%.300q", method, name, body, got, want)
				}
			}
		}
	}
}

func TestLinesThatArePassedAreFieldsOfTheirAnswer(t *testing.T) {
	t.Parallel()
	do := map[string]func(w http.ResponseWriter){
		"/nothing": func(http.ResponseWriter) {},
		"/length":  func(w http.ResponseWriter) { w.Header().Set("Content-Length", "2"); _, _ = io.WriteString(w, "ok") },
		"/pieces": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "o")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "k")
		},
		"/none":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotModified) },
		"/close": func(w http.ResponseWriter) { w.Header().Set("Connection", "close") },
	}
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
		if r.URL.RawQuery == "" {
			return
		}
		if p, ok := w.(interface {
			PassFields(lines []byte, dated bool)
		}); ok {
			p.PassFields([]byte("Z-A: 1\r\nZ-A: 2\r\nZ-B: \r\n"), false)
		} else {
			w.Header()["Z-A"], w.Header()["Z-B"] = []string{"1", "2"}, []string{""}
		}
		do[r.URL.Path](w)
	}))
	for path := range do {
		for _, method := range []string{"GET", "HEAD"} {
			first, second := method+" "+path+"?lines HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
			got, want := one(t, both.front, first, second), one(t, both.plain, first, second)
			if got != want || strings.Count(got, "Z-A") != 2 {
				t.Errorf("%s %s:\n%.300q\nnet/http:\n%.300q", method, path, got, want)
			}
		}
	}
}

func TestAnAnswerHasOneDate(t *testing.T) {
	t.Parallel()
	const date = "Sun, 29 Nov 2026 00:00:00 GMT"
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := w.(interface {
			PassFields(lines []byte, dated bool)
		})
		switch r.URL.Path {
		case "/passed":
			if ok {
				p.PassFields([]byte("Date: "+date+"\r\n"), true)
			} else {
				w.Header().Set("Date", date)
			}
		case "/none":
			if ok {
				p.PassFields([]byte("Z-A: 1\r\n"), false)
			}
		}
	}))
	for path, want := range map[string]string{"/passed": "Date: " + date + "\r\n", "/none": "Date: "} {
		request := "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"
		for _, addr := range []net.Addr{both.front, both.plain} {
			if got := one(t, addr, request, request); strings.Count(got, "Date: ") != 2 || strings.Count(got, want) != 2 {
				t.Errorf("%s: %q", path, got)
			}
		}
	}
}

func TestWhoSaysTheSameAgainIsGivenTheSameHeader(t *testing.T) {
	t.Parallel()
	both := serveBoth(t, http.HandlerFunc(echo))
	var all strings.Builder
	for i, fields := range []string{"A: 1\r\n", "A: 1\r\n", "A: 1\r\n", "a: 1\r\n", "a: 1\r\n", "A: 1\r\nB: 2\r\n", "A: 1\r\n", "A: 1\r\n", "A: 2\r\n", "A: 2\r\n"} {
		body := strings.Repeat("x", 7+i/2*i)
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: x\r\n%s\r\n", i, fields)
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nContent-Length: %d\r\nHost: x\r\n%s\r\n%s", i, len(body), fields, body)
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nContent-Length: %d\r\nHost: x\r\n%s\r\n%s", i, len(body)-i/3, fields, body[i/3:])
	}
	got, want := say(t, both.front, all.String()), say(t, both.plain, all.String())
	if got != want || strings.Count(got, "HTTP/1.1 200") != 30 {
		t.Errorf("got\n%s\nnet/http:\n%s", got, want)
	}
}

func TestAnAnswerHasNothingOfTheOneBefore(t *testing.T) {
	t.Parallel()
	answers := []http.Header{
		{"X-B": {"1"}, "X-A": {"2"}},
		{"X-B": {"3"}, "X-A": {"4", "5"}},
		{"X-C": {"6"}, "X-A": {"7"}}, // as many names, and others
		{"X-A": {"8"}},
		{"Content-Length": {"0"}, "X-A": {"9"}},
		{"Content-Length": {"0"}, "X-B": {"10"}},
		{"X-A": {}, "X-B": {"11"}},
		{},
		{"Date": {"then"}, "X-A": {"13"}},
		{"X-A": {"14"}, "Connection": {"close"}},
	}
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Path[1:])
		w.Header()["Content-Type"] = nil
		maps.Copy(w.Header(), answers[n])
	}))
	var all strings.Builder
	for i := range 5 * len(answers) {
		n := i * 3 % len(answers) // each is followed by another one than in the list, too
		if i < len(answers) {
			n = i
		}
		if n != len(answers)-1 {
			fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", n)
		}
	}
	fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", len(answers)-1)
	got, want := say(t, both.front, all.String()), say(t, both.plain, all.String())
	if got != want || strings.Count(got, "HTTP/1.1 200") < 4*len(answers) {
		t.Errorf("got\n%s\nnet/http:\n%s", got, want)
	}
}

// one sends the second request when the first is answered.
func one(t testing.TB, to net.Addr, first, second string) string {
	t.Helper()
	c, err := net.Dial(to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	var seen bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &seen))
	method, _, _ := strings.Cut(first, " ")
	var said []string
	for _, request := range []string{first, second} {
		_, _ = io.WriteString(c, request)
		seen.Reset()
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return fmt.Sprint(said, seen.String(), " failed")
		}
		body, err := io.ReadAll(resp.Body)
		said = append(said, seen.String(), strconv.Itoa(len(body)), fmt.Sprint(err))
		method = "GET"
	}
	return fmt.Sprint(said)
}

// TestWhatIsOrdinaryIsServedHere would notice a front that gives everything away.
func TestWhatIsOrdinaryIsServedHere(t *testing.T) {
	t.Parallel()
	if !enabled {
		t.Skip("net/http serves everything")
	}
	var here atomic.Bool
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, ours := w.(*response)
		here.Store(ours)
	}))
	for request, want := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                                         true,
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc":                true,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": false,
		"GET / HTTP/1.1\nHost: x\n\n":                                               false,
	} {
		_ = say(t, both.front, request)
		if here.Load() != want {
			t.Errorf("%q: served here: %v", request, here.Load())
		}
	}
}

func TestARequestIsCancelledWhenItsClientGoesAway(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan error, 1)
	both := serveBoth(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		ended <- r.Context().Err()
	}))
	c, err := net.Dial("tcp", both.front.String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-began
	_ = c.Close()
	if err := <-ended; err == nil {
		t.Error("it was not cancelled")
	}
}

// TestWhatComesWhileARequestIsServedIsTheNextOne has the watch over the client read a byte of it.
func TestWhatComesWhileARequestIsServedIsTheNextOne(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-goOn
		}
		w.Header()["Date"] = nil
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	c, err := net.Dial("tcp", both.front.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	time.AfterFunc(3*unwatched, func() {
		_, _ = io.WriteString(c, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
		time.AfterFunc(unwatched, func() { close(goOn) })
	})
	r := bufio.NewReader(c)
	for _, want := range []string{"/slow", "/next"} {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != want {
			t.Errorf("%q, want %q", body, want)
		}
	}
}

// TestABodyIsNotReadAfterItsRequest has somebody read on behind the handler, as a transport may whose request was given up.
func TestABodyIsNotReadAfterItsRequest(t *testing.T) {
	t.Parallel()
	bodies := make(chan io.Reader, 1)
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
		if r.URL.Path == "/first" {
			bodies <- r.Body
			return
		}
		b := make([]byte, 10)
		n, err := (<-bodies).Read(b)
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%q %v %q", b[:n], err, body)
	}))
	const head = " HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
	got, want := one(t, both.front, "POST /first"+head+"abc", "POST /second"+head+"def"), one(t, both.plain, "POST /first"+head+"abc", "POST /second"+head+"def")
	if got != want || !strings.Contains(got, `"def"`) {
		t.Errorf("%q\nnet/http:\n%q", got, want)
	}
}

// attentive is a connection that knows how much was asked for before its first byte came.
type attentive struct {
	net.Conn
	asked atomic.Int64
	once  sync.Once
}

func (a *attentive) Read(p []byte) (int, error) {
	a.once.Do(func() { a.asked.Store(int64(len(p))) })
	return a.Conn.Read(p)
}

type attentiveListener struct {
	net.Listener
	came chan *attentive
}

func (l *attentiveListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	a := &attentive{Conn: c}
	l.came <- a
	return a, nil
}

// TestWhoSaysNothingHasNoBuffer has requests longer and shorter than the first read.
func TestWhoSaysNothingHasNoBuffer(t *testing.T) {
	t.Parallel()
	if !enabled {
		t.Skip("net/http serves everything")
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &attentiveListener{inner, make(chan *attentive, 1)}
	s := New(&http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: 5 * time.Second}, refused{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _, _ = l.Close(), s.Close() })
	both := serveBoth(t, http.HandlerFunc(echo))
	for _, n := range []int{1, hears - 60, hears, hears + 200} {
		request := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nA: " + strings.Repeat("a", n) + "\r\n\r\nabc"
		if got, want := say(t, l.Addr(), request), say(t, both.plain, request); got != want {
			t.Errorf("%d:\n%.300q\nnet/http:\n%.300q", n, got, want)
		}
		if asked := (<-l.came).asked.Load(); asked > hears {
			t.Errorf("%d bytes were kept for who may say nothing", asked)
		}
	}
}

// TestABodyMayTakeItsTime has the watch over the client wait for the body, which it must not read.
func TestABodyMayTakeItsTime(t *testing.T) {
	t.Parallel()
	both := serveBoth(t, http.HandlerFunc(echo))
	c, err := net.Dial("tcp", both.front.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
	time.AfterFunc(3*unwatched, func() { _, _ = io.WriteString(c, "hello") })
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(body), fmt.Sprintf("5 %x <nil>", "hello")) {
		t.Errorf("%q, %v", body, err)
	}
}

// TestTheWatchsDeadlineIsNotTheNextRequests has a server that bounds nothing.
func TestTheWatchsDeadlineIsNotTheNextRequests(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
		goOn := make(chan struct{})
		time.AfterFunc(3*unwatched, func() { close(goOn) })
		<-goOn
		_, _ = io.WriteString(w, "done")
	})}, refused{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _, _ = l.Close(), s.Close() })
	const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	if got := one(t, l.Addr(), request, request); strings.Count(got, "done") != 2 {
		t.Error(got)
	}
}

// TestShutdownEndsWhatWaitsAndLetsTheRestEnd has a request served in either lane.
func TestShutdownEndsWhatWaitsAndLetsTheRestEnd(t *testing.T) {
	t.Parallel()
	for _, slow := range []string{"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", "POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
		began, goOn := make(chan struct{}), make(chan struct{})
		s := New(&http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/slow" {
				close(began)
				<-goOn
			}
			_, _ = io.WriteString(w, "done")
		})}, refused{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		rests, serves := dial(t, l.Addr()), dial(t, l.Addr())
		rests.ask(ordinary)
		_, _ = io.WriteString(serves, slow)
		<-began
		_ = l.Close()
		<-served
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		if b, err := io.ReadAll(rests.r); err != nil || len(b) > 0 {
			t.Errorf("the one that rests: %q, %v", b, err)
		}
		select {
		case <-done:
			t.Error("it did not wait for the request")
		default:
		}
		close(goOn)
		if status, body := serves.hear(); status != 200 || body != "done" {
			t.Errorf("the one that is served: %d %q", status, body)
		}
		if _, err := serves.r.ReadByte(); err == nil {
			t.Error("its connection goes on")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// FuzzFront compares what handlers are given, and what clients get, for any bytes in two pieces.
func FuzzFront(f *testing.F) {
	for _, pieces := range requests {
		all := strings.Join(pieces, "")
		if len(all) < 1000 {
			f.Add([]byte(all), uint16(len(pieces[0])))
		}
	}
	for _, a := range corpus.All() {
		if sent := a.Bytes(); len(sent) < 1000 {
			f.Add([]byte(sent+corpus.Probe), uint16(len(sent)/2))
		}
	}
	f.Add([]byte("GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"+corpus.Smuggled), uint16(80)) // bytes behind an upgrade
	both := serveBoth(f, http.HandlerFunc(echo))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		at := min(int(cut), len(b))
		for _, pieces := range [][]string{{string(b[:at]), string(b[at:])}, {string(b), string(b), string(b)}} { // who says the same again is served otherwise
			got, want := say(t, both.front, pieces...), say(t, both.plain, pieces...)
			if !agree(strings.Join(pieces, ""), got, want) {
				t.Errorf("%q:\n%q\nnet/http:\n%q", pieces, got, want)
			}
		}
	})
}

// A request's context and body are the next one's only if the handler has said so, and nobody has asked for the context's end.
func TestWhatNobodyUsesIsTheNextRequests(t *testing.T) {
	t.Parallel()
	if !enabled {
		t.Skip("net/http serves everything here")
	}
	var asks, says atomic.Bool
	type used struct {
		ctx  context.Context
		body io.Reader
		text string
	}
	var all []used // by one request after the other
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		all = append(all, used{r.Context(), r.Body, string(text)})
		if asks.Load() && r.Context().Err() != nil {
			t.Error("it has ended")
		}
		if says.Load() {
			w.(interface{ Unused() }).Unused()
		}
	}))
	c, err := net.Dial("tcp", both.front.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	send := func(text string) {
		t.Helper()
		if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(text), text); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		_ = resp.Body.Close()
	}
	send("a")
	send("bb")
	says.Store(true)
	send("ccc")
	send("dd")
	asks.Store(true)
	send("e")
	send("f")
	same := func(i, j int) bool { return all[i].ctx == all[j].ctx }
	if len(all) != 6 || same(0, 1) || same(1, 2) || !same(2, 3) || !same(3, 4) || same(4, 5) {
		t.Errorf("%v", all)
	}
	for i, want := range []string{"a", "bb", "ccc", "dd", "e", "f"} {
		if all[i].text != want {
			t.Errorf("request %d had the body %q", i, all[i].text)
		}
		if n, err := all[i].body.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("the body of request %d is read on", i)
		}
	}
}

// A body of which the handler has read a part is nobody else's, whatever it says.
func TestAHalfReadBodyIsNotTheNextRequests(t *testing.T) {
	t.Parallel()
	if !enabled {
		t.Skip("net/http serves everything here")
	}
	s := New(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 2))
		w.(*response).Unused()
	})}, refused{})
	s.HandlerOnlyReads()
	mine, theirs := net.Pipe()
	c := &conn{server: s, hand: &handover{}, net: theirs}
	c.head = new(wire.Request)
	c.take(usualHead)
	c.w = copy(c.in, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
	if v := c.read(); v != wire.Understood {
		t.Fatal(v)
	}
	c.ctx = t.Context()
	go func() { _, _ = io.Copy(io.Discard, mine) }()
	if c.serve() || c.own != nil {
		t.Error("its context and its body are kept")
	}
	_, _ = mine.Close(), theirs.Close()
}

// A body that has come with its head may be read where it lies, and stays there for who has not said that nobody uses it.
func TestABodyStaysWhereItLies(t *testing.T) {
	t.Parallel()
	if !enabled {
		t.Skip("net/http serves everything here")
	}
	var kept [][]byte // by one request after the other
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		here, ok := r.Body.(interface{ Here() ([]byte, bool) }).Here()
		rest, err := io.ReadAll(r.Body)
		if ok {
			kept = append(kept, here)
		}
		again, taken := r.Body.(interface{ Here() ([]byte, bool) }).Here()
		fmt.Fprintf(w, "%v %s,%s,%v,%s,%v", ok, here, rest, err, again, taken)
		if r.URL.Path == "/panics" {
			panic(http.ErrAbortHandler)
		}
	}))
	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", both.front.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		return c, bufio.NewReader(c)
	}
	c, r := dial()
	read := func(want string) {
		t.Helper()
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(text) != want {
			t.Errorf("%q, %v, in place of %q", text, err, want)
		}
	}
	send := func(c net.Conn, path, body, next string) {
		t.Helper()
		if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s%s", path, len(body), body, next); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"first", "other", strings.Repeat("x", 3<<10)} {
		send(c, "/", text, "")
		read("true " + text + ",,<nil>,,false")
	}
	send(c, "/", "ahead", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nnext") // which comes behind it
	read("true ahead,,<nil>,,false")
	read("true next,,<nil>,,false")
	gone, _ := dial()
	send(gone, "/panics", "broken", "")
	_, _ = io.Copy(io.Discard, gone)
	late, lateReader := dial()
	r = lateReader
	if _, err := io.WriteString(late, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _, _ = io.WriteString(late, "late") })
	read("false ,late,<nil>,,false")
	for i, want := range []string{"first", "other", strings.Repeat("x", 3<<10), "ahead", "next", "broken"} {
		if string(kept[i]) != want {
			t.Errorf("what was kept of request %d has become %.20q", i, kept[i])
		}
	}
}

// Whoever reads a body into the room that there is sends what he has read, however much that is and whatever is flushed between.
func TestWhatIsReadIntoTheRoomIsSent(t *testing.T) {
	t.Parallel()
	text := make([]byte, 200<<10)
	for i := range text {
		text[i] = byte('a' + i*i%23)
	}
	both := serveBoth(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		length, _ := strconv.Atoi(r.URL.Query().Get("n"))
		step, _ := strconv.Atoi(r.URL.Query().Get("step"))
		if r.URL.Path == "/whole" {
			w.Header().Set("Content-Length", strconv.Itoa(length))
		}
		w.WriteHeader(http.StatusOK)
		own, has := w.(interface{ AvailableBuffer() []byte })
		rest := text[:length]
		for i := 0; len(rest) > 0; i++ {
			var b []byte
			if has {
				b = own.AvailableBuffer()
			}
			if (cap(b) > 0) != (r.URL.Path == "/whole" && r.Method == http.MethodGet && has) && len(rest) == length {
				t.Errorf("%s %s has room for %d", r.Method, r.URL, cap(b))
			}
			if len(b) != 0 {
				t.Errorf("%d bytes are in the room", len(b))
			}
			if cap(b) == 0 {
				if b = make([]byte, 0, step); i%2 == 0 {
					w.(http.Flusher).Flush()
				}
			}
			n := copy(b[:min(cap(b), step)], rest)
			rest = rest[n:]
			if i%3 == 2 {
				w.(http.Flusher).Flush() // then it lies behind nothing
			}
			if _, err := w.Write(b[:n]); err != nil && r.Method != http.MethodHead {
				t.Error(err)
			}
		}
	}))
	client := &http.Transport{ResponseHeaderTimeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/whole", "/pieces"} {
		for _, length := range []int{0, 1, 5000, outSize, bulkSize - 100, bulkSize, bulkSize + 1, 200 << 10} {
			for _, step := range []int{999, 8 << 10, bulkSize} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					r, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://%s%s?n=%d&step=%d", both.front, path, length, step), http.NoBody)
					if err != nil {
						t.Fatal(err)
					}
					resp, err := client.RoundTrip(r)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					want := text[:length]
					if method == http.MethodHead {
						want = nil
					}
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s %s: %d bytes, %v", method, r.URL, len(got), err)
					}
				}
			}
		}
	}
}

// oneConn is a listener of one connection.
type oneConn struct {
	net.Listener // nil: nothing else is called
	conn         net.Conn
}

func (l *oneConn) Accept() (net.Conn, error) {
	c := l.conn
	if l.conn = nil; c == nil {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Whoever ends a server waits until all who came have been heard: when nobody is accepted any more he has to know them.
func TestWhoWasAcceptedIsKnownWhenServeReturns(t *testing.T) {
	t.Parallel()
	for range 200 {
		mine, theirs := net.Pipe()
		var news atomic.Int64
		s := New(&http.Server{Handler: http.NotFoundHandler(), ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				news.Add(1)
			}
		}}, refused{})
		_ = s.Serve(&oneConn{conn: theirs})
		if news.Load() != 1 {
			t.Fatal("somebody has been accepted and is not known")
		}
		_, _ = mine.Close(), s.Close()
	}
}

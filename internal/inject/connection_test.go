package inject

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/token"
	"evergate/internal/upstream"
)

// What happens on a client's connection after an answer that was not the end of everything:
// bytes of a body must never be taken for a request, and a connection that can be used
// again must be.

// journal is what net/http's server complains of.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// listen serves the rig's handler on a front of its own, whose complaints are kept.
func (r *rig) listen(t *testing.T) *journal {
	j := &journal{}
	front := httptest.NewUnstartedServer(r.handler)
	front.Config.ErrorLog = log.New(j, "", 0)
	front.Start()
	t.Cleanup(front.Close)
	r.url, r.host = front.URL, strings.TrimPrefix(front.URL, "http://")
	return j
}

func answer(t *testing.T, answers *bufio.Reader) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp, text(t, resp)
}

func TestConnectionGoesOnAfterA503(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) {}, withTokenError(&token.UnavailableError{Err: errors.New("none yet")}))
	complaints := r.listen(t)
	conn, answers := r.raw(t, "")
	for range 10 {
		fmt.Fprint(conn, "POST /admin/api/2026-10/products.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
		if resp, _ := answer(t, answers); resp.StatusCode != http.StatusServiceUnavailable || resp.Close {
			t.Fatalf("%d, close %v", resp.StatusCode, resp.Close)
		}
	}
	if s := complaints.String(); s != "" {
		t.Error(s)
	}
}

func TestBytesAfterAMalformedBodyAreNoRequest(t *testing.T) {
	seen := make(chan string, 4)
	r := newRig(t, func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		seen <- req.Method
	})
	_, answers := r.raw(t, "POST /admin/api/2026-10/products.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"5\r\nfirst\r\nzz\r\nDELETE /admin/api/2026-10/products/1.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if resp, _ := answer(t, answers); resp.StatusCode != http.StatusBadRequest || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
	if resp, err := http.ReadResponse(answers, nil); err == nil {
		t.Errorf("a second answer: %s", resp.Status)
	}
	r.upstream.Close() // waits for its handlers
	close(seen)
	for method := range seen {
		if method == http.MethodDelete {
			t.Error("bytes of a body were carried out as a request, with the token")
		}
	}
}

// net/http does not read the chunks of an HTTP/1.0 client, and would read them as requests.
func TestConnectionOfAnHTTP10ClientCarriesOneRequest(t *testing.T) {
	for _, path := range []string{"/admin/api/2026-10/products.json", "/admin/oauth/access_token"} {
		upstream, requests := recordingUpstream(t)
		r := newRig(t, upstream)
		_, answers := r.raw(t, "POST "+path+" HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"+
			"DELETE /admin/api/2026-10/products/1.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if resp, _ := answer(t, answers); !resp.Close {
			t.Errorf("%s: the connection goes on", path)
		}
		if resp, err := http.ReadResponse(answers, nil); err == nil {
			t.Errorf("%s: a second answer: %s", path, resp.Status)
		}
		r.upstream.Close() // waits for its handlers
		for len(requests) > 0 {
			if got := <-requests; got.uri != path {
				t.Errorf("%s arrived, which was a body", got.uri)
			}
		}
	}
}

func TestBytesAfterAnEarlyAnswerAreNoRequest(t *testing.T) {
	for name, header := range map[string]string{"chunked": "Transfer-Encoding: chunked\r\n\r\n1000\r\n", "length": "Content-Length: 4096\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex()
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			}, withReplayBuffer(10))
			complaints := r.listen(t)
			conn, answers := r.raw(t, "POST /admin/api/2026-10/products.json HTTP/1.1\r\nHost: localhost\r\n"+header+"hello")
			if resp, _ := answer(t, answers); resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
				t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
			}
			_, _ = io.WriteString(conn, "DELETE /admin/api/2026-10/products/1.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
			_ = conn.(*net.TCPConn).CloseWrite() // the server waits for the rest of the body
			if resp, err := http.ReadResponse(answers, nil); err == nil {
				t.Errorf("a second answer: %s", resp.Status)
			}
			if s := complaints.String(); s != "" {
				t.Error(s)
			}
		})
	}
}

func TestClientThatStoppedSendingGetsNoInventedSuccess(t *testing.T) {
	arrived := make(chan struct{})
	r := newRig(t, func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		close(arrived)
		<-req.Context().Done()
	})
	conn, answers := r.raw(t, "POST /admin/api/2026-10/products.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
	<-arrived
	_ = conn.(*net.TCPConn).CloseWrite()
	if resp, err := http.ReadResponse(answers, nil); err == nil {
		t.Errorf("%s", resp.Status)
	}
}

func TestAnswerCutShortByTheClientDoesNotLookWhole(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
		<-req.Context().Done()
	})
	conn, answers := r.raw(t, "GET /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the part that came looks like the whole")
	}
}

// timed notes when a token was asked for.
type timed struct {
	fakeTokens
	once  sync.Once
	asked chan struct{}
}

func (s *timed) Token(ctx context.Context) (token.Token, error) {
	s.once.Do(func() { close(s.asked) })
	return s.fakeTokens.Token(ctx)
}

func TestTokenIsTakenAfterASlowBodyNotBefore(t *testing.T) {
	tokens := &timed{fakeTokens: fakeTokens{current: "shpat_first"}, asked: make(chan struct{})}
	r := newRig(t, func(http.ResponseWriter, *http.Request) {}, func(o *Options, _ *upstream.Options) { oneShop(*o).Tokens = tokens })
	conn, answers := r.raw(t, "POST /admin/api/2026-10/products.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q %v", line, err) // the server asks for the body now
	}
	_, _ = answers.ReadString('\n')
	select {
	case <-tokens.asked:
		t.Fatal("the token was taken before the body was there")
	default:
	}
	_, _ = io.WriteString(conn, "hello")
	if resp, _ := answer(t, answers); resp.StatusCode != http.StatusOK {
		t.Error(resp.StatusCode)
	}
}

func TestUploadThatNobodyReadsIsATimeOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			accepted <- c // and never read from
		}
	}()
	upstream := httptest.NewUnstartedServer(nil)
	_ = upstream.Listener.Close()
	upstream.URL = "http://" + l.Addr().String()
	t.Cleanup(func() { _ = l.Close() })
	r := newRigOn(t, upstream, withHeaderTimeout(300*time.Millisecond))
	conn, answers := r.raw(t, fmt.Sprintf("POST /admin/api/2026-10/products.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", 1<<30))
	go func() { _, _ = io.Copy(conn, io.LimitReader(&counter{}, 1<<30)) }()
	if resp, body := answer(t, answers); resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	(<-accepted).Close()
}

func TestAnswerWithoutAStatusThatIsOneIsABadGateway(t *testing.T) {
	for _, first := range []string{"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x", "HTTP/1.1 099 Odd\r\nContent-Length: 0"} {
		r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, first+"\r\n\r\n")
		})
		if resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil); resp.StatusCode != http.StatusBadGateway {
			t.Errorf("%q became %d", first, resp.StatusCode)
		}
	}
}

func TestRetirementOfPermanentTokensIsNoticedWithoutHoldingTheAnswer(t *testing.T) {
	const said = `{"errors":"[API] Non-expiring access tokens are no longer accepted for the Admin API.`
	goOn, noticed := make(chan struct{}), 0
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, said)
		_ = http.NewResponseController(w).Flush()
		waitFor(req.Context(), goOn)
		_, _ = io.WriteString(w, `"}`)
	}, func(o *Options, _ *upstream.Options) { oneShop(*o).PermanentRetired = func() { noticed++ } })
	_, answers := r.raw(t, "GET /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	goOn <- struct{}{} // the header was not held back
	if got := text(t, resp); got != said+`"}` || noticed != 1 {
		t.Errorf("%q, noticed %d times", got, noticed)
	}
}

package front

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// secured serves a listener with TLS.
type secured struct {
	addr  net.Addr
	roots *http.Transport
	log   lines
}

// lines are those of a log.
type lines chan string

// Write implements io.Writer.
func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func serveTLS(t *testing.T, handler http.Handler) secured {
	t.Helper()
	// Nothing is served by it; it has a certificate and a client that trusts it.
	own := httptest.NewUnstartedServer(http.NotFoundHandler())
	own.EnableHTTP2 = true
	own.StartTLS()
	t.Cleanup(own.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := secured{addr: l.Addr(), roots: own.Client().Transport.(*http.Transport), log: make(lines, 10)}
	l = tls.NewListener(l, &tls.Config{Certificates: own.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}})
	s := New(&http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second, ErrorLog: log.New(out.log, "", 0)}, refused{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _, _ = l.Close(), s.Close() })
	return out
}

func (s secured) dial(t *testing.T, protocols ...string) *client {
	t.Helper()
	config := s.roots.TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = "example.com", protocols
	raw := dial(t, s.addr)
	c := tls.Client(raw.Conn, config)
	raw.Conn = c
	raw.r.Reset(c)
	return raw
}

func TestBothLanesServeTLS(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, ours := w.(*response)
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%v %v %s%s", ours, r.TLS != nil && r.TLS.ServerName == "example.com", r.URL.Path, body)
	}))
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		c := s.dial(t, protocols...)
		for range 3 {
			for request, want := range map[string]string{
				ordinary: fmt.Sprint(enabled) + " true /ordinary", chunks: "false true /chunksabc", expects: "false true /expectsabc", empty: "false true /empty",
			} {
				if status, body := c.ask(request); status != 200 || body != want {
					t.Errorf("%q: %d %q", protocols, status, body)
				}
			}
		}
	}
	for request, want := range doubtful {
		for _, before := range []string{"", ordinary, chunks} {
			c := s.dial(t)
			if before != "" {
				c.ask(before)
			}
			if status, body := c.ask(request); status != http.StatusBadRequest || body != "it has "+string(want) {
				t.Errorf("%.80q: %d %q", request, status, body)
			}
		}
	}
}

func TestHTTP2IsNetHTTPs(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Proto, " ", r.TLS != nil, " ", r.Context().Value(http.LocalAddrContextKey), " ", string(body))
	}))
	client := &http.Client{Transport: s.roots}
	for range 3 {
		resp, err := client.Post("https://"+s.addr.String()+"/", "text/plain", strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if want := "HTTP/2.0 true " + s.addr.String() + " abc"; string(body) != want {
			t.Errorf("%q, want %q", body, want)
		}
	}
}

func TestWhoSpeaksNoTLSIsTold(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, http.HandlerFunc(echo))
	for said, want := range map[string]string{ordinary: "Client sent an HTTP request to an HTTPS server.", "garbage garbage garbage": ""} {
		c := dial(t, s.addr)
		_, _ = io.WriteString(c, said)
		got, _ := io.ReadAll(c)
		if want != "" && !strings.HasSuffix(string(got), "\r\n\r\n"+want+"\n") {
			t.Errorf("%q: %q", said, got)
		}
		if logged := <-s.log; !strings.HasPrefix(logged, "http: TLS handshake error from "+c.LocalAddr().String()) {
			t.Errorf("logged: %s", logged)
		}
	}
}

// watched says what is so while a read waits.
type watched struct {
	net.Conn
	reads func(asked int)
}

func (w watched) Read(p []byte) (int, error) {
	w.reads(len(p))
	return copy(p, "G"), nil
}

func TestWhoSaysNothingInTLSHasNoBuffer(t *testing.T) {
	t.Parallel()
	c := conn{tls: &tls.ConnectionState{}}
	c.net = watched{reads: func(asked int) {
		if asked != 1 || c.in != nil {
			t.Errorf("%d bytes are asked for, the buffer is %p", asked, c.in)
		}
	}}
	c.take(usualHead)
	if n, err := c.more(); n != 1 || err != nil || c.in == nil || c.in[0] != 'G' {
		t.Errorf("%d, %v", n, err)
	}
}

package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/certtest"
	"evergate/internal/trust"
)

const unasked = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked"

// TestWhatComesBehindAnAnswerIsNotTheNextOne has a server write more than its answer into the record of TLS that ends it: the layer of TLS has
// read that, and nobody who looks at the socket sees it.
func TestWhatComesBehindAnAnswerIsNotTheNextOne(t *testing.T) {
	t.Parallel()
	if !canTell {
		t.Skip("net/http carries everything here, and may notice too late")
	}
	certificate := certtest.SelfSigned(t, x509.Certificate{DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, DynamicRecordSizingDisabled: true})
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
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
					_, _ = io.WriteString(c, strings.Repeat("x", 5000)+unasked)
				}
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	tr := New(Options{Base: parse(t, "https://localhost:"+port), Roots: trust.Only(certtest.Pool(certificate)), HeaderTimeout: testTimeout})
	t.Cleanup(tr.CloseIdleConnections)
	for i := range 3 {
		got := readAll(tr.RoundTrip(request(t, http.MethodGet, "https://localhost:"+port)))
		if got.failed || got.broke || got.body != strings.Repeat("x", 5000) {
			t.Fatalf("request %d: %.60q", i, got.body)
		}
	}
}

// TestAConnectionIsLookedAtWhenItGoesFromOneToAnother has a server speak unasked, while somebody waits for the connection.
func TestAConnectionIsLookedAtWhenItGoesFromOneToAnother(t *testing.T) {
	t.Parallel()
	if !canTell {
		t.Skip("net/http carries everything here")
	}
	pair := func() (mine, theirs net.Conn) {
		on, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer on.Close()
		if mine, err = net.Dial("tcp", on.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if theirs, err = on.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = mine.Close(), theirs.Close() })
		return mine, theirs
	}
	first, ours := pair()
	second, honest := pair()
	_, _ = io.WriteString(ours, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
	_, _ = io.WriteString(honest, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest")
	dials, waits := make(chan net.Conn, 3), make(chan struct{}, 3)
	dials <- first
	dials <- nil // the one who waits meanwhile
	dials <- second
	l := bareLane()
	l.connect = func(ctx context.Context, _ laneKey) (*conn, error) {
		on := <-dials
		waits <- struct{}{}
		if on == nil {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		c := newConn(on, time.Time{}, Options{HeaderTimeout: testTimeout}, &Transport{}, nil)
		c.inLane, c.abort = true, func() { _ = c.Close() }
		return c, nil
	}
	resp, err, _ := l.carry(aRequest(t, http.MethodGet))
	if err != nil {
		t.Fatal(err)
	}
	<-waits
	said := make(chan read)
	go func() {
		resp, err, _ := l.carry(aRequest(t, http.MethodGet))
		said <- readAll(resp, err)
	}()
	<-waits
	_, _ = io.WriteString(ours, "i"+unasked)
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hi" {
		t.Fatalf("%q, %v", body, err)
	}
	if got := <-said; got.body != "honest" {
		t.Errorf("%+v", got)
	}
	l.closeAll()
}

// TestASecondSendingsAnswerMustComeInTime has the connection that takes a stalled one's place answer with one byte.
func TestASecondSendingsAnswerMustComeInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var theirs []net.Conn
		dial := func(context.Context) (net.Conn, error) {
			here, there := net.Pipe()
			theirs = append(theirs, there)
			answers := []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "H"}[len(theirs)-1]
			go func() {
				r := bufio.NewReader(there)
				if _, err := http.ReadRequest(r); err == nil {
					_, _ = io.WriteString(there, answers)
				}
				_, _ = io.Copy(io.Discard, r)
			}()
			return here, nil
		}
		tr := newTransport(Options{Base: &url.URL{Scheme: "http", Host: "shop.example"}, HeaderTimeout: 10 * time.Second}, &dialer{}, dial)
		if got := readAll(tr.RoundTrip(request(t, http.MethodGet, "http://shop.example"))); got.body != "hi" {
			t.Fatalf("%+v", got)
		}
		time.Sleep(time.Minute)
		began := time.Now()
		resp, err := tr.RoundTrip(request(t, http.MethodGet, "http://shop.example"))
		if err == nil {
			_ = resp.Body.Close()
			t.Error("half a head is an answer")
		}
		if len(theirs) != 2 {
			t.Errorf("%d connections, want 2", len(theirs))
		}
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("it took %v", took)
		}
		for _, c := range theirs {
			_ = c.Close()
		}
		tr.CloseIdleConnections()
	})
}

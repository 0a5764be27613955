package wire

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

const (
	uploadSize = 8 << 20
	tooLarge   = `{"errors":"Payload Too Large"}`
)

// upload is a request with a body of eight megabytes.
func upload(target string, chunked bool) []byte {
	head := "POST " + target + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	if chunked {
		const chunk = 64 << 10
		return []byte(head + "Transfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat(fmt.Sprintf("%x\r\n%s\r\n", chunk, strings.Repeat("x", chunk)), uploadSize/chunk) + "0\r\n\r\n")
	}
	return []byte(head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", uploadSize, strings.Repeat("x", uploadSize)))
}

// writeThenRead is what Python's http.client and many others do: they look for an answer only when
// they have sent everything.
func writeThenRead(host string, request []byte) (status int, body string, err error) {
	conn, err := net.DialTimeout("tcp", host, patience)
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(soon()); err != nil {
		return 0, "", err
	}
	if _, err := conn.Write(request); err != nil {
		return 0, "", fmt.Errorf("sending: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", fmt.Errorf("reading: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// refusesEarly answers 413 when some of a body has come, and does as it is told then.
func refusesEarly(t *testing.T, then func(net.Conn)) *recorder {
	up := newRecorder(t, nil)
	up.mu.Lock() // which each connection takes before it looks
	defer up.mu.Unlock()
	up.head = func(conn net.Conn, m message) bool {
		if m.method != http.MethodPost {
			return true
		}
		_, _ = io.CopyN(io.Discard, conn, 200<<10)
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 413 Payload Too Large\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(tooLarge), tooLarge)
		then(conn)
		return false // which closes it
	}
	return up
}

func readOn(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func halfClose(conn net.Conn) {
	secured := conn.(*tls.Conn)
	_ = secured.CloseWrite()
	_ = secured.NetConn().(*net.TCPConn).CloseWrite()
}

func TestEarlyAnswerReachesAClientThatWritesFirst(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(net.Conn, <-chan struct{}){
		"reads on":             func(conn net.Conn, _ <-chan struct{}) { readOn(conn) },
		"stops reading":        func(_ net.Conn, over <-chan struct{}) { <-over },
		"half-closes":          func(conn net.Conn, _ <-chan struct{}) { halfClose(conn); readOn(conn) },
		"half-closes and ends": func(conn net.Conn, _ <-chan struct{}) { halfClose(conn) },
		"closes at once":       func(net.Conn, <-chan struct{}) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			up := refusesEarly(t, func(conn net.Conn) { then(conn, over) })
			t.Cleanup(func() { close(over) })
			s := up.sidecar(t)
			for _, chunked := range []bool{false, true} {
				sent := upload(api+"/products.json", chunked)
				for i := range 50 {
					status, body, err := writeThenRead(s.host, sent)
					if status != http.StatusRequestEntityTooLarge || body != tooLarge || err != nil {
						t.Fatalf("call %d (in chunks: %v): %d %q, %v", i, chunked, status, body, err)
					}
				}
			}
			// The connection that the answer came on is not used again, and all are let go.
			conn := s.dial(t)
			if m := request(t, conn, through("GET", api+"/shop.json", "", "")); m.status != 200 {
				t.Errorf("afterwards: %d", m.status)
			}
			nothingIsHeld(t, s, 1)
		})
	}
}

// nothingIsHeld waits until the sidecar has no more connections than these, and no bytes.
func nothingIsHeld(t *testing.T, s *sidecar, conns float64) {
	t.Helper()
	process.Eventually(t, func() error {
		if n := s.metric(t, "evergate_connections", `listener="tools"`); n > conns {
			return fmt.Errorf("%v connections are open", n)
		}
		if n := s.metric(t, "evergate_memory_held_bytes"); n > 0 {
			return fmt.Errorf("%v bytes are held", n)
		}
		return nil
	})
}

func TestEvergatesOwnRefusalReachesAClientThatWritesFirst(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, "EVERGATE_POLICY=read-only")
	for _, c := range []struct {
		name, target string
		chunked      bool
		status       int
	}{
		{"read-only", api + "/products.json", false, http.StatusForbidden},
		{"read-only, in chunks", api + "/products.json", true, http.StatusForbidden},
		{"too large to judge", api + "/graphql.json", false, http.StatusRequestEntityTooLarge},
		{"too large to judge, in chunks", api + "/graphql.json", true, http.StatusRequestEntityTooLarge},
		{"a path that is refused", api + "/storefront_access_tokens.json", false, http.StatusForbidden},
		{"a path that is refused, in chunks", api + "/storefront_access_tokens.json", true, http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sent := upload(c.target, c.chunked)
			for i := range 20 {
				status, body, err := writeThenRead(s.host, sent)
				if status != c.status || !strings.Contains(body, `"errors"`) || err != nil {
					t.Fatalf("call %d: %d %q, %v", i, status, body, err)
				}
			}
		})
	}
}

func TestARefusalOfTheOtherListenersReachesAClientThatWritesFirst(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, "SHOPIFY_CLIENT_ID=0123456789abcdef0123456789abcdef", "SHOPIFY_CLIENT_SECRET=shpss_0123456789abcdef0123456789abcdef",
		"EVERGATE_GRANT=offline", "EVERGATE_STORE=memory:", "SHOPIFY_ACCESS_TOKEN=", "EVERGATE_PUBLIC_URL=https://login.example", "EVERGATE_LOGIN_LISTEN=127.0.0.1:0")
	for _, c := range []struct {
		name, listener, host, target string
		status                       int
	}{
		{"no page", "operators", s.admin, "/nothing", http.StatusNotFound},
		{"another method", "operators", s.admin, "/metrics", http.StatusMethodNotAllowed},
		{"an order", "operators", s.admin, "/-/log-level?level=x", http.StatusBadRequest},
		{"a session token that is too long", "operators", s.admin, "/-/token-exchange", http.StatusBadRequest},
		{"another host", "merchants", s.AwaitLog(t, "listening for merchants").Address, "/oauth/start", http.StatusMisdirectedRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunked := range []bool{false, true} {
				sent := upload(c.target, chunked)
				for i := range 10 {
					status, _, err := writeThenRead(c.host, sent)
					if status != c.status || err != nil {
						t.Fatalf("call %d (in chunks: %v): %d, want %d, %v", i, chunked, status, c.status, err)
					}
				}
			}
			process.Eventually(t, func() error {
				most := 0.0
				if c.listener == "operators" {
					most = 1 // who asks
				}
				if n := s.metric(t, "evergate_connections", `listener="`+c.listener+`"`); n > most {
					return fmt.Errorf("%v connections are open", n)
				}
				return nil
			})
		})
	}
}

// An answer has been sent, and its client, which is still sending, has not looked for it yet.
func TestAShutdownWaitsForAClientThatWritesFirst(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	for _, listener := range []string{"tools", "operators"} {
		t.Run(listener, func(t *testing.T) {
			t.Parallel()
			s := newRecorder(t, nil).sidecar(t)
			host := map[string]string{"tools": s.host, "operators": s.admin}[listener]
			s.plainWay = func() (net.Conn, error) { return net.DialTimeout("tcp", host, patience) }
			conn, idle := s.plain(t), s.plain(t)
			if _, err := io.WriteString(idle, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			sent := upload("/nothing", false)
			if _, err := conn.Write(sent[:most]); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // it has been answered
				t.Fatal(err)
			}
			s.Signal(t, syscall.SIGTERM)
			if _, err := io.Copy(io.Discard, idle); err != nil { // which ends when the server is shut down
				t.Fatal(err)
			}
			if _, err := conn.Write(sent[most:]); err != nil {
				t.Errorf("sending: %v", err)
			}
			if rest, err := io.ReadAll(conn); err != nil || !strings.Contains(string(rest), `"errors"`) {
				t.Errorf("%q, %v", rest, err)
			}
			_ = conn.Close()
			if code := s.Exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// A client that stops when it has read the answer, as curl does, is not waited for; nor is one that
// does not send what it has asked leave for.
func TestClientThatReadsEarlyIsDoneAtOnce(t *testing.T) {
	t.Parallel()
	up := refusesEarly(t, readOn)
	s := up.sidecar(t)
	for name, header := range map[string]string{"early answer": "", "asked leave": "Expect: 100-continue\r\n"} {
		conn := s.dial(t)
		began := time.Now()
		body := strings.Repeat("x", 1<<20)
		target := api + "/products.json"
		if header != "" {
			body, target = "", api+"/storefront_access_tokens.json"
		}
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s", target, header, uploadSize, body); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(conn) // to the end of the connection, which comes though the body does not
		if err != nil || !strings.Contains(string(b), `"errors"`) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("%s: the end came after %s", name, took)
		}
		_ = conn.Close()
	}
	nothingIsHeld(t, s, 0)
}

// What Python makes of it: http.client sends the whole body before it reads.
func TestPythonGetsAnEarlyAnswer(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	up := refusesEarly(t, func(net.Conn) {})
	s := up.sidecar(t)
	const script = `
import http.client, sys
for n in range(10):
    c = http.client.HTTPConnection(sys.argv[1], timeout=60)
    c.request("POST", sys.argv[2], body=b"x" * (8 << 20), headers={"Content-Type": "application/json"})
    r = c.getresponse()
    print(r.status, r.read().decode())
    c.close()
`
	out, err := exec.CommandContext(t.Context(), python, "-c", script, s.host, api+"/products.json").CombinedOutput() // both: Python tells its failures on the other
	if want := strings.Repeat("413 "+tooLarge+"\n", 10); err != nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
}

package guard

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/listen"
)

// serve answers on ln with what admission decides: a err as it is, a passage in headers.
func serve(t *testing.T, ln net.Listener, admission *Admission) {
	t.Helper()
	srv := &http.Server{
		ReadHeaderTimeout:            10 * time.Second,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			p, err := admission.Admit(view(r))
			if err != nil {
				w.Header().Set("X-Evergate-Error", denialtest.Of(t, err).Code)
				w.WriteHeader(denialtest.Of(t, err).Status)
				return
			}
			w.Header().Set("X-Passed", p.Target.Path)
			w.Header().Set("X-Host", p.Host)
			if FromLoopback(view(r)) {
				w.Header().Set("X-Loopback", "yes")
			}
		}),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// send writes raw to the listener at addr and reads one answer.
func send(t *testing.T, addr net.Addr, raw string) *http.Response {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	resp.Body.Close()
	return resp
}

func TestDecisionsHoldOnTheWire(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, newAdmission(t))
	const ok, local = "/admin/api/2026-10/shop.json", "\r\nHost: localhost:8080\r\n"

	for _, c := range []struct {
		head   string // request line and first headers
		status int
		result string // the path that passed, or the code; empty when net/http answers
	}{
		{"GET " + ok + " HTTP/1.1" + local, 200, ok},
		{"GET " + ok + "?a=../..//%zz&b=%2e%2e#c HTTP/1.1" + local, 200, ok},
		{"GET " + ok + "? HTTP/1.1" + local, 200, ok},
		{"GET /admin/api/2026-10/%63af%C3%A9%20%22%3F.json HTTP/1.1" + local, 200, "/admin/api/2026-10/%63af%C3%A9%20%22%3F.json"},
		{"GET /admin/api/2026-10/a\"<>[]^`{|}~!$&'()*+,=:@.json HTTP/1.1" + local, 200, "/admin/api/2026-10/a\"<>[]^`{|}~!$&'()*+,=:@.json"},
		{"GET /admin/api/2026-10/caf\xc3\xa9.json HTTP/1.1" + local, 200, "/admin/api/2026-10/caf\xc3\xa9.json"},
		{"GET /acme.myshopify.com" + ok + " HTTP/1.1" + local, 200, ok},

		{"GET //admin/api/2026-10/shop.json HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET ///evil.example/admin/shop.json HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET /admin/api/../oauth/access_token HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET /admin/api/%2e%2E/oauth/access_token HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET /admin/api/%252e%252e/oauth/access_token HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET /admin/api\\..\\oauth/access_token HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET /admin/api/x%2f..%2f/y HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET /admin/api/x%5cy HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET /admin/api/x%00y HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET /admin/api/x#?y HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET /admin/api/x%zz HTTP/1.1" + local, 400, ""},
		{"GET /admin/api/x\x01y HTTP/1.1" + local, 400, ""},
		{"GET /admin/api/x y HTTP/1.1" + local, 400, ""},
		{"POST /admin/oauth/access_token HTTP/1.1" + local, 403, denial.CodeDeniedPath},
		{"POST /admin/o%61uth/access_token.json HTTP/1.1" + local, 403, denial.CodeDeniedPath},
		{"OPTIONS * HTTP/1.1" + local, 403, denial.CodeDeniedPath},
		{"GET * HTTP/1.1" + local, 403, denial.CodeDeniedPath},
		{"GET http:" + ok + " HTTP/1.1" + local, 403, denial.CodeDeniedPath},
		{"GET x:" + ok + " HTTP/1.1" + local, 403, denial.CodeDeniedPath},
		{"TRACE " + ok + " HTTP/1.1" + local, 403, denial.CodeDeniedMethod},
		{"CONNECT localhost:80 HTTP/1.1" + local, 403, denial.CodeDeniedMethod},
		{"CONNECT evil.example:443 HTTP/1.1" + local, 421, denial.CodeMisdirectedHost},
		{"CONNECT " + ok + " HTTP/1.1" + local, 403, denial.CodeDeniedMethod},

		// Absolute form: the authority in the target is the Host, whatever the header says.
		{"GET http://localhost:8080" + ok + "?x=http://y HTTP/1.1\r\nHost: localhost:8080\r\n", 200, ok},
		{"GET HTTP://127.0.0.1" + ok + " HTTP/1.1\r\nHost: evil.example\r\n", 200, ok},
		{"GET http://localhost/acme.myshopify.com" + ok + " HTTP/1.1" + local, 200, ok},
		{"GET http://evil.example" + ok + " HTTP/1.1" + local, 403, denial.CodeDeniedConnect},
		{"GET http://user@localhost" + ok + " HTTP/1.1" + local, 421, denial.CodeMisdirectedHost},
		{"GET http://localhost@evil.example" + ok + " HTTP/1.1" + local, 403, denial.CodeDeniedConnect},
		{"GET http://localhost:80:80" + ok + " HTTP/1.1" + local, 400, ""},
		{"GET http://other.localhost" + ok + " HTTP/1.1" + local, 404, denial.CodeUnknownShop},
		{"GET http://localhost//admin/shop.json HTTP/1.1" + local, 400, denial.CodeAmbiguousPath},
		{"GET http://localhost HTTP/1.1" + local, 403, denial.CodeDeniedPath},
		{"GET http://localhost?" + ok + " HTTP/1.1" + local, 403, denial.CodeDeniedPath},
		{"GET ftp://localhost" + ok + " HTTP/1.1" + local, 403, denial.CodeDeniedPath},

		{"GET " + ok + " HTTP/1.1\r\nHost: evil.example\r\n", 421, denial.CodeMisdirectedHost},
		{"GET " + ok + " HTTP/1.1\r\nHost:\r\n", 421, denial.CodeMisdirectedHost},
		{"GET " + ok + " HTTP/1.1\r\n", 400, ""},
		{"GET " + ok + " HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400, ""},
		{"GET " + ok + " HTTP/1.0\r\n", 200, ok},
		{"GET " + ok + " HTTP/1.0\r\nHost: evil.example\r\n", 421, denial.CodeMisdirectedHost},
		{"PRI * HTTP/2.0\r\n", 421, denial.CodeMisdirectedHost},

		// An offer to upgrade is no reason to refuse, and changes nothing else.
		{"GET " + ok + " HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__" + local, 200, ok},
		{"GET /admin/oauth/authorize HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket" + local, 403, denial.CodeDeniedPath},

		{"GET " + ok + " HTTP/1.1\r\nsec-fetch-mode: cors" + local, 200, ok},
		{"GET " + ok + " HTTP/1.1\r\norigin: http://localhost:8080" + local, 200, ok},
		{"GET " + ok + " HTTP/1.1\r\nORIGIN: http://localhost:3000" + local, 403, denial.CodeCrossSite},
		{"GET " + ok + " HTTP/1.1\r\nsec-fetch-site: none\r\nSec-Fetch-Site: cross-site" + local, 403, denial.CodeCrossSite},
	} {
		resp := send(t, ln.Addr(), c.head+"\r\n")
		result := resp.Header.Get("X-Evergate-Error") + resp.Header.Get("X-Passed")
		if resp.StatusCode != c.status || result != c.result {
			t.Errorf("%q: %d %q, want %d %q", c.head, resp.StatusCode, result, c.status, c.result)
		}
	}
}

func TestAClientWithoutHostIsToldWhereItConnected(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, newAdmission(t))
	resp := send(t, ln.Addr(), "GET /admin/shop.json HTTP/1.0\r\n\r\n")
	if got, want := resp.Header.Get("X-Host"), ln.Addr().String(); got != want {
		t.Errorf("host %q, want %q", got, want)
	}
	if resp.Header.Get("X-Loopback") != "yes" {
		t.Error("the caller is on this machine")
	}
}

func TestAUnixSocketIsThisMachine(t *testing.T) {
	ln, err := listen.Open(t.Context(), listen.Address{Network: "unix", Address: socketPath(t)}, listen.OwnerMode)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, newAdmission(t))
	resp := send(t, ln.Addr(), "GET /admin/shop.json HTTP/1.0\r\n\r\n")
	if resp.StatusCode != 200 || resp.Header.Get("X-Host") != "localhost" || resp.Header.Get("X-Loopback") != "yes" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"evergate/internal/access"
	"evergate/internal/certtest"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/guard"
	"evergate/internal/limit"
	"evergate/internal/listen"
	"evergate/internal/request"
	"evergate/internal/token"
)

const shop = "acme.myshopify.com"

// rig is a server that opens tunnels and answers with what it was asked, inside of them and outside.
type rig struct {
	*Server
	address string
	roots   *x509.CertPool
	http    *http.Server
	access  *access.Access
}

func newRig(t *testing.T, o access.Options, dial func(context.Context, string) (net.Conn, error)) *rig {
	t.Helper()
	who, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	name, err := token.ParseShop("acme")
	if err != nil {
		t.Fatal(err)
	}
	admission, err := guard.New(guard.Options{Shops: guard.One(name), Access: who, Tunnels: guard.AllTunnels})
	if err != nil {
		t.Fatal(err)
	}
	leaf := certtest.SelfSigned(t, x509.Certificate{DNSNames: []string{shop}, IsCA: true, BasicConstraintsValid: true})
	r := &rig{roots: certtest.Pool(leaf), access: who, Server: New(Options{
		Admission: admission, InTunnel: who.InTunnel, Dial: dial,
		TLS: listen.Local(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &leaf, nil }, nil),
	})}
	set := limit.NewConnections(100, limit.NewBudget(1<<20), time.Minute)
	opened, _, err := who.Listen(t.Context(), []listen.Address{{Network: "tcp", Address: "127.0.0.1:0"}}, access.Wrappers{First: set.Wrap})
	if err != nil {
		t.Fatal(err)
	}
	r.address = opened[0].Listener.Addr().String()
	r.http = &http.Server{
		ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0), BaseContext: who.BaseContext, ConnContext: who.ConnContext, ConnState: limit.State,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
			view := request.Of(in)
			if in.Method == http.MethodConnect {
				if _, err := r.Connect(w, in, &view); err != nil {
					w.Header().Set("Connection", "close")
					denialtest.Of(t, err).Answer(w)
				}
				return
			}
			p, err := admission.Admit(&view)
			if err != nil {
				denialtest.Of(t, err).Answer(w)
				return
			}
			_, _ = fmt.Fprintf(w, "%s %s%s %s %s", in.Method, p.Origin(), in.RequestURI, p.Caller.Name, in.Proto)
		}),
	}
	done := make(chan struct{}, 2)
	for _, l := range []net.Listener{opened[0].Listener, r.Listener()} {
		go func() { _ = r.http.Serve(l); done <- struct{}{} }()
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		r.Shutdown(ended)
		_ = r.http.Close()
		<-done
		<-done
	})
	return r
}

// client calls by way of the proxy.
func (r *rig) client(user *url.Userinfo, http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: r.address, User: user}), Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: r.roots},
	}}
}

func get(t *testing.T, c *http.Client, address string) (status int, body string) {
	t.Helper()
	defer c.CloseIdleConnections()
	resp, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestRequestsInATunnelAreServedLikeOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, access.Options{}, nil)
	for http2, proto := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
		c := r.client(nil, http2)
		for range 3 {
			if status, body := get(t, c, "https://"+shop+"/admin/api/2026-10/shop.json?a=b"); status != 200 || body != "GET https://"+shop+"/admin/api/2026-10/shop.json?a=b anonymous "+proto {
				t.Errorf("%d %s", status, body)
			}
		}
		if status, body := get(t, c, "https://"+shop+"/admin/oauth/access_token"); status != 403 || !strings.Contains(body, "mints") {
			t.Errorf("what no caller may do: %d %s", status, body)
		}
	}
	if status, body := get(t, r.client(nil, false), "http://"+shop+"/admin/api/2026-10/shop.json"); status != 200 || !strings.HasPrefix(body, "GET http://"+shop) {
		t.Errorf("without TLS: %d %s", status, body)
	}
	if status, body := get(t, r.client(nil, false), "http://example.com/"); status != 403 || !strings.Contains(body, "forward proxy for "+shop) {
		t.Errorf("another host without TLS: %d %s", status, body)
	}
}

// dialogue sends what a client says and returns all that comes back.
func (r *rig) dialogue(t *testing.T, say string) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, say); err != nil {
		t.Fatal(err)
	}
	heard, _ := io.ReadAll(conn) // a reset is an end as well
	return string(heard)
}

func TestNothingBesideAConnectIsReadAsARequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, access.Options{}, nil)
	const hidden = "GET /admin/api/2026-10/hidden.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, head := range map[string]string{
		"refused":         "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
		"refused, 1.0":    "CONNECT localhost:443 HTTP/1.0\r\n\r\n",
		"a body":          "CONNECT " + shop + ":443 HTTP/1.1\r\nHost: " + shop + ":443\r\nContent-Length: 5\r\n\r\nhello",
		"chunked":         "CONNECT " + shop + ":443 HTTP/1.1\r\nHost: " + shop + ":443\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":     "CONNECT " + shop + ":443 HTTP/1.1\r\nHost: " + shop + ":443\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
		"another host":    "CONNECT " + shop + ":443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"no host":         "CONNECT " + shop + ":443 HTTP/1.0\r\n\r\n",
		"a tunnel to us":  "CONNECT " + shop + ":443 HTTP/1.1\r\nHost: " + shop + ":443\r\n\r\n",
		"a wrong address": "CONNECT http://" + shop + "/ HTTP/1.1\r\nHost: " + shop + "\r\n\r\n",
		"a path":          "CONNECT /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		if heard := r.dialogue(t, head+hidden+hidden); strings.Contains(heard, "hidden") {
			t.Errorf("%s: %s", name, heard)
		}
	}
}

// A client that does not wait for the answer to its CONNECT loses nothing.
func TestBytesBehindAConnectAreTheTunnels(t *testing.T) {
	t.Parallel()
	r := newRig(t, access.Options{}, nil)
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eager := &eagerConn{Conn: conn, head: "CONNECT " + shop + ":443 HTTP/1.1\r\nHost: " + shop + ":443\r\n\r\n"}
	secured := tls.Client(eager, &tls.Config{RootCAs: r.roots, ServerName: shop})
	if _, err := io.WriteString(secured, "GET /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: "+shop+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if heard, err := io.ReadAll(secured); err != nil || !bytes.HasPrefix(heard, []byte("HTTP/1.1 200 OK")) {
		t.Errorf("%v %s", err, heard)
	}
}

// eagerConn sends a head together with the first that is written, and takes the answer to it off.
type eagerConn struct {
	net.Conn
	head string
	in   *bufio.Reader
}

func (c *eagerConn) Write(p []byte) (int, error) {
	head := c.head
	c.head = ""
	n, err := c.Conn.Write(append([]byte(head), p...))
	return max(n-len(head), 0), err
}

func (c *eagerConn) Read(p []byte) (int, error) {
	if c.in == nil {
		c.in = bufio.NewReader(c.Conn)
		for range strings.Count(established, "\n") {
			if _, err := c.in.ReadString('\n'); err != nil {
				return 0, err
			}
		}
	}
	return c.in.Read(p)
}

func TestACallerIsKnownInsideTheTunnelThatItOpened(t *testing.T) {
	t.Parallel()
	key, line := newKey(t, "agent")
	file := writeFile(t, line+"\n")
	r := newRig(t, access.Options{KeysFile: file, Policy: "none"}, nil)
	const path = "https://" + shop + "/admin/api/2026-10/shop.json"
	for name, user := range map[string]*url.Userinfo{"as user": url.User(key), "as password": url.UserPassword("", key), "with a colon": url.UserPassword(key, "")} {
		c := r.client(user, false)
		if status, body := get(t, c, path); status != 403 || strings.Contains(body, "has to know") {
			t.Errorf("%s: the policy none holds for a key without one of its own: %d %s", name, status, body)
		}
	}
	if _, err := r.client(url.User("evg_"+strings.Repeat("x", 43)), false).Get(path); err == nil {
		t.Error("a wrong key opens a tunnel")
	}
	if _, err := r.client(nil, false).Get(path); err == nil {
		t.Error("a stranger opens a tunnel")
	}
}

func TestATunnelEndsWithItsKey(t *testing.T) {
	t.Parallel()
	key, line := newKey(t, "agent")
	file := writeFile(t, line+" policy=full\n")
	r := newRig(t, access.Options{KeysFile: file}, nil)
	c := r.client(url.User(key), false)
	const path = "https://" + shop + "/admin/api/2026-10/shop.json"
	resp, err := c.Get(path)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.Contains(string(body), " agent ") {
		t.Fatalf("%s", body)
	}
	rewrite(t, file, "# nobody\n")
	if err := r.access.Reload(); err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, c, path); status != 403 || !strings.Contains(body, "does not know this key") {
		t.Errorf("on the open connection: %d %s", status, body)
	}
}

func TestTunnelsToOthersPassUntouched(t *testing.T) {
	t.Parallel()
	far, near := net.Pipe()
	dialled := make(chan string, 1)
	r := newRig(t, access.Options{}, func(_ context.Context, address string) (net.Conn, error) {
		dialled <- address
		return near, nil
	})
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nProxy-Authorization: Basic eDp5\r\n\r\nearly"); err != nil {
		t.Fatal(err)
	}
	in := make([]byte, len(established))
	if _, err := io.ReadFull(conn, in); err != nil || string(in) != established {
		t.Fatalf("%q %v", in, err)
	}
	if address := <-dialled; address != "example.com:443" {
		t.Errorf("dialled %s", address)
	}
	heard := make([]byte, 5)
	if _, err := io.ReadFull(far, heard); err != nil || string(heard) != "early" {
		t.Errorf("%q %v", heard, err)
	}
	if _, err := far.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	if rest, err := io.ReadAll(conn); err != nil || string(rest) != "answer" {
		t.Errorf("%q %v", rest, err)
	}
}

func TestMuchPassesThroughATunnelWhateverIsHeldForOthers(t *testing.T) {
	t.Parallel()
	const much = 4 << 20
	for name, room := range map[string]int64{"room": 1 << 20, "no room": 0} {
		far, near := net.Pipe()
		r := newRig(t, access.Options{}, func(context.Context, string) (net.Conn, error) { return near, nil })
		budget := limit.NewBudget(room)
		r.opt.Memory = budget
		conn, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, len(established))); err != nil {
			t.Fatal(err)
		}
		if held := budget.Held(); held != 0 {
			t.Errorf("%s: a silent tunnel holds %d bytes", name, held)
		}
		go func() { _, _ = conn.Write(make([]byte, much)) }()
		if n, err := io.Copy(io.Discard, io.LimitReader(far, much)); err != nil || n != much {
			t.Errorf("%s: %d bytes up, %v", name, n, err)
		}
		go func() { _, _ = far.Write(make([]byte, much)); _ = far.Close() }()
		if n, err := io.Copy(io.Discard, conn); err != nil || n != much {
			t.Errorf("%s: %d bytes down, %v", name, n, err)
		}
		_ = conn.Close()
		r.all.Wait()
		if held := budget.Held(); held != 0 {
			t.Errorf("%s: %d bytes are held by nobody", name, held)
		}
	}
}

func TestATunnelThatCannotBeOpenedIsRefused(t *testing.T) {
	t.Parallel()
	for code, failure := range map[string]error{
		denial.CodeDeniedConnect:       fmt.Errorf("dial: %w", ErrNotPublic),
		denial.CodeUpstreamUnreachable: errors.New("refused by somebody"),
		denial.CodeUpstreamTimeout:     context.DeadlineExceeded,
	} {
		r := newRig(t, access.Options{}, func(context.Context, string) (net.Conn, error) { return nil, failure })
		heard := r.dialogue(t, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
		if !strings.Contains(heard, "X-Evergate-Error: "+code+"\r\n") || strings.Contains(heard, "somebody") {
			t.Errorf("%s", heard)
		}
	}
}

func TestNoTunnelLeadsToThisMachine(t *testing.T) {
	t.Parallel()
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		ip, ok := netipOf(a)
		if ok && !errors.Is(MayReach(ip), ErrNotPublic) {
			t.Errorf("%s", ip)
		}
	}
}

func TestNoTunnelIsOpenedInAShutdown(t *testing.T) {
	t.Parallel()
	r := newRig(t, access.Options{}, func(context.Context, string) (net.Conn, error) {
		t.Error("somebody is called")
		return nil, io.EOF
	})
	_ = r.Listener().Close()
	for _, host := range []string{shop, "example.com"} {
		heard := r.dialogue(t, "CONNECT "+host+":443 HTTP/1.1\r\nHost: "+host+":443\r\n\r\n")
		if !strings.HasPrefix(heard, "HTTP/1.1 503 ") || !strings.Contains(heard, "X-Evergate-Error: "+denial.CodeStopping+"\r\n") {
			t.Errorf("%s: %s", host, heard)
		}
	}
}

func TestAShutdownEndsTunnelsThatAreSilent(t *testing.T) {
	t.Parallel()
	_, near := net.Pipe()
	r := newRig(t, access.Options{}, func(context.Context, string) (net.Conn, error) { return near, nil })
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := make([]byte, len(established))
	if _, err := io.ReadFull(conn, in); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	r.Shutdown(ctx)
	if ctx.Err() != nil {
		t.Error("a silent tunnel holds a shutdown up")
	}
	if _, err := conn.Read(in); err == nil {
		t.Error("the tunnel is still open")
	}
}

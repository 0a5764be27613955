package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/certtest"
	"evergate/test/process"
)

// publicDir is a directory that every user can enter, which a test's own is not.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "evergate-e2e-socket-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// callSocket calls the shop through a Unix socket, as the given user or, with nil, as we are.
func callSocket(t *testing.T, socket string, as *syscall.Credential) (status, body string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "curl", "-sS", "--unix-socket", socket, "-w", "\n%{http_code}", "http://localhost"+api+"/shop.json")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	out, err := process.Output(cmd)
	if err != nil {
		return err.Error(), out
	}
	at := strings.LastIndexByte(out, '\n')
	if at < 0 {
		return out, "" // an answer without a body
	}
	return out[at+1:], out[:at]
}

func TestASocketKnowsItsPeers(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "curl", "apt-get install curl")
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	me := os.Geteuid()
	socket := filepath.Join(publicDir(t), "s")
	mine := fmt.Sprintf("me=uid:%d,agent=uid:4001,gid:4002", me)
	s := shop.socketSidecar(t, socket, "EVERGATE_SOCKET_PEERS="+mine)
	if status, body := callSocket(t, socket, nil); status != "200" {
		t.Errorf("a listed user: %s %s", status, body)
	}
	if n := s.metric(t, "evergate_caller_requests_total", `caller="me"`, `outcome="passed"`); n != 1 {
		t.Errorf("%v requests are counted, want 1", n)
	}
	other := filepath.Join(publicDir(t), "s")
	strict := shop.socketSidecar(t, other, fmt.Sprintf("EVERGATE_SOCKET_PEERS=uid:%d", me+1))
	if status, body := callSocket(t, other, nil); status != "403" || !strings.Contains(body, fmt.Sprintf("uid %d", me)) {
		t.Errorf("a user who is not listed: %s %s", status, body)
	}
	if n := strict.metric(t, "evergate_denied_total", `reason="denied_peer"`); n != 1 {
		t.Errorf("%v denials are counted, want 1", n)
	}
	if me != 0 {
		t.Log("not looked at: other users, because to run commands as them takes root")
		return
	}
	for _, c := range []struct {
		what   string
		as     syscall.Credential
		status string
	}{
		{"a listed user", syscall.Credential{Uid: 4001, Gid: 4001}, "200"},
		{"a listed primary group", syscall.Credential{Uid: 4003, Gid: 4002}, "200"},
		{"a listed supplementary group", syscall.Credential{Uid: 4003, Gid: 4003, Groups: []uint32{4009, 4002}}, "200"},
		{"a number that is a group's", syscall.Credential{Uid: 4002, Gid: 4003}, "403"},
		{"a number that is a user's", syscall.Credential{Uid: 4003, Gid: 4001}, "403"},
		{"nobody of these", syscall.Credential{Uid: 4003, Gid: 4003, Groups: []uint32{4001}}, "403"},
	} {
		if status, body := callSocket(t, socket, &c.as); status != c.status {
			t.Errorf("%s: %s %s, want %s", c.what, status, body, c.status)
		}
	}
	if n := s.metric(t, "evergate_caller_requests_total", `caller="agent"`); n != 1 {
		t.Errorf("%v requests of the agent are counted, want 1", n)
	}

	// Without a list the kernel keeps others out.
	closed := filepath.Join(publicDir(t), "s")
	shop.socketSidecar(t, closed)
	if status, _ := callSocket(t, closed, &syscall.Credential{Uid: 4001, Gid: 4001}); status == "200" || status == "403" {
		t.Errorf("a socket without a list answers another user with %s", status)
	}
}

// socketSidecar starts one that listens on a socket and waits until it has a token.
func (s *shopify) socketSidecar(t *testing.T, socket string, more ...string) *sidecar {
	t.Helper()
	p := start(t, s.environ(append(more, "EVERGATE_LISTEN=unix:"+socket)...), "serve")
	c := &sidecar{Process: p, admin: "http://" + p.AwaitLog(t, "listening for operators").Address, client: newClient(t, "", "")}
	c.awaitReady(t)
	return c
}

// makeKey runs evergate key.
func makeKey(t *testing.T, file string, args ...string) string {
	t.Helper()
	code, out, complaints := finish(t, []string{"EVERGATE_CLIENT_KEYS_FILE=" + file}, append([]string{"key"}, args...)...)
	if code != 0 || !strings.Contains(complaints, " what it may do: ") && !strings.Contains(complaints, " is held to the policy ") {
		t.Fatalf("%d %s%s", code, out, complaints)
	}
	return strings.TrimSpace(out)
}

func TestAListenerBeyondLoopbackAsksForAKey(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour), products: 1})
	file := filepath.Join(t.TempDir(), "keys")
	erp, agent, foreign := makeKey(t, file, "erp"), makeKey(t, file, "agent", "--policy", "read-only"), makeKey(t, file, "foreign", "--shops", "other")
	p := start(t, shop.environ("EVERGATE_LISTEN=0.0.0.0:0,127.0.0.1:0", "EVERGATE_CLIENT_KEYS_FILE="+file), "serve")
	s := &sidecar{Process: p, admin: "http://" + p.AwaitLog(t, "listening for operators").Address, client: newClient(t, "", "")}
	s.awaitReady(t)
	addresses := addresses(t, p, 2)
	reachable, loopback := "http://"+addresses[0], "http://"+addresses[1]
	if !strings.Contains(p.Err.String(), "unencrypted") {
		t.Error("no word of keys that travel unencrypted")
	}
	get := func(url string, header ...string) answer {
		t.Helper()
		a, err := sendTo(t, s.client, url, http.MethodGet, api+"/shop.json", "", header...)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	mustBeOwn(t, get(reachable), http.StatusForbidden, "unauthenticated")
	mustBeOwn(t, get(reachable, "X-Shopify-Access-Token", "shpat_00000000000000000000000000000000"), http.StatusForbidden, "unauthenticated")
	mustBeOwn(t, get(reachable, "Authorization", "Bearer "+erp+"x"), http.StatusForbidden, "unauthenticated")
	mustStatus(t, get(reachable, "Authorization", "Bearer "+erp), http.StatusOK)
	mustStatus(t, get(reachable, "X-Shopify-Access-Token", erp), http.StatusOK)
	mustBeOwn(t, get(reachable, "X-Shopify-Access-Token", foreign), http.StatusForbidden, "denied_shop")
	mustStatus(t, get(loopback), http.StatusOK)
	mustBeOwn(t, get(loopback, "Authorization", "Bearer "+erp+"x"), http.StatusForbidden, "unauthenticated")

	mutation := func(key string) answer {
		t.Helper()
		a, err := sendTo(t, s.client, reachable, http.MethodPost, api+"/graphql.json", `{"query":"`+creation+`"}`, "Content-Type", "application/json", "Authorization", "Bearer "+key)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	mustBeDenied(t, mutation(agent), "read_only")
	if a := mutation(erp); a.status != http.StatusOK || a.header.Get("X-Evergate-Error") != "" {
		t.Errorf("the ERP may change things: %s", a)
	}
	for _, e := range shop.Journal() {
		if strings.Contains(fmt.Sprint(e.Header), "evg_") {
			t.Errorf("a key reached Shopify: %v", e.Header)
		}
	}

	// A key that is taken out of the file ends, also on a connection that is open.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(file, []byte(rest), 0o600); err != nil {
		t.Fatal(err)
	}
	p.AwaitLog(t, "a changed file is in force")
	mustBeOwn(t, get(reachable, "Authorization", "Bearer "+erp), http.StatusForbidden, "unauthenticated")
	mustStatus(t, get(reachable, "Authorization", "Bearer "+agent), http.StatusOK)
	if n := s.metric(t, "evergate_caller_requests_total", `caller="agent"`, `outcome="passed"`); n != 1 {
		t.Errorf("%v requests of the agent passed, want 1", n)
	}
	everything := p.Err.String() + p.Out.String() + s.ask(t, "/metrics").body + s.ask(t, "/status").body
	for _, key := range []string{erp, agent, foreign} {
		if strings.Contains(everything, key) {
			t.Error("a key is in the log, the metrics or the status")
		}
	}
}

// addresses waits for the listeners' lines in the log.
func addresses(t *testing.T, p *process.Process, count int) (all []string) {
	t.Helper()
	p.AwaitText(t, &p.Err, "the listeners", func(text string) bool {
		all = nil
		for line := range strings.Lines(text) {
			if _, rest, ok := strings.Cut(line, `"msg":"listening for tools","address":"`); ok {
				address, _, _ := strings.Cut(rest, `"`)
				all = append(all, strings.NewReplacer("[::]", "localhost", "0.0.0.0", "localhost").Replace(address))
			}
		}
		return len(all) == count
	})
	return all
}

// issuer is a certificate authority of the test's own.
type issuer struct {
	pair *tls.Certificate
	file string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{file: filepath.Join(t.TempDir(), "ca.pem")}
	pair := i.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	i.pair = &pair
	writePEM(t, i.file, "CERTIFICATE", pair.Certificate[0])
	return i
}

func (i *issuer) issue(t *testing.T, c *x509.Certificate) tls.Certificate {
	t.Helper()
	c.NotBefore = time.Now().Add(-time.Hour)
	return certtest.Sign(t, *c, i.pair)
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestClientsAreKnownByTheirCertificates(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour), products: 5})
	ca, dir := newIssuer(t), t.TempDir()
	server := ca.issue(t, &x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	keyDER, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, policy := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "policy.json")
	writePEM(t, certFile, "CERTIFICATE", server.Certificate[0])
	writePEM(t, keyFile, "PRIVATE KEY", keyDER)
	if err := os.WriteFile(policy, []byte(`{"default":"read-only","callers":{"erp":"full"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, shop.environ("EVERGATE_LISTEN=tls:0.0.0.0:0", "EVERGATE_TLS_CERT_FILE="+certFile, "EVERGATE_TLS_KEY_FILE="+keyFile,
		"EVERGATE_TLS_CLIENT_CA_FILE="+ca.file, "EVERGATE_POLICY_FILE="+policy), "serve")
	s := &sidecar{Process: p, admin: "http://" + p.AwaitLog(t, "listening for operators").Address, client: newClient(t, "", "")}
	s.awaitReady(t)
	url := "https://" + addresses(t, p, 1)[0]
	roots := x509.NewCertPool()
	roots.AddCert(ca.pair.Leaf)
	as := func(names *x509.Certificate) *http.Client {
		c := newClient(t, "", "")
		config := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
		if names != nil {
			names.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			config.Certificates = []tls.Certificate{ca.issue(t, names)}
		}
		c.Transport.(*http.Transport).TLSClientConfig = config
		return c
	}
	erp, stranger := as(&x509.Certificate{Subject: pkix.Name{CommonName: "erp"}}), as(&x509.Certificate{DNSNames: []string{"elsewhere.example.com"}})

	create := func(c *http.Client) answer {
		t.Helper()
		a, err := sendTo(t, c, url, http.MethodPost, api+"/graphql.json", `{"query":"`+creation+`"}`, "Content-Type", "application/json")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := create(erp); a.status != http.StatusOK || a.header.Get("X-Evergate-Error") != "" {
		t.Errorf("the ERP: %s", a)
	}
	mustBeDenied(t, create(stranger), "read_only")
	mustBeOwn(t, create(as(nil)), http.StatusForbidden, "unauthenticated")

	// Pages are followed over https.
	a, err := sendTo(t, stranger, url, http.MethodGet, api+"/products.json?limit=2", "")
	if err != nil {
		t.Fatal(err)
	}
	if link := a.header.Get("Link"); a.status != http.StatusOK || !strings.HasPrefix(link, "<"+url+api+"/products.json") {
		t.Errorf("%s, Link %q, want it to lead to %s", a, link, url)
	}
	// A web page of the same address over http is another origin.
	for origin, status := range map[string]int{url: http.StatusOK, strings.Replace(url, "https:", "http:", 1): http.StatusForbidden} {
		a, err := sendTo(t, stranger, url, http.MethodGet, api+"/shop.json", "", "Origin", origin)
		if err != nil || a.status != status {
			t.Errorf("Origin %s: %s, %v", origin, a, err)
		}
	}
	if n := s.metric(t, "evergate_caller_requests_total", `caller="other"`, `outcome="passed"`); n != 2 {
		t.Errorf("%v requests of others passed, want 2", n)
	}
}

func TestRunTellsItsCommandThatItSpeaksTLS(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	ca, dir := newIssuer(t), t.TempDir()
	server := ca.issue(t, &x509.Certificate{DNSNames: []string{"localhost"}})
	keyDER, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "cert"), "CERTIFICATE", server.Certificate[0])
	writePEM(t, filepath.Join(dir, "key"), "PRIVATE KEY", keyDER)
	environ := shop.environ("EVERGATE_LISTEN=tls:127.0.0.1:0", "EVERGATE_TLS_CERT_FILE="+filepath.Join(dir, "cert"), "EVERGATE_TLS_KEY_FILE="+filepath.Join(dir, "key"))
	code, out, complaints := finish(t, environ, append([]string{"run", "--"}, commandLine("environ")...)...)
	if code != 0 || !strings.Contains(out, "EVERGATE_URL=https://127.0.0.1:") {
		t.Errorf("%d %s%s", code, out, complaints)
	}
}

package guard

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/access"
	"evergate/internal/caller"
	"evergate/internal/certtest"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/listen"
	"evergate/internal/reload/reloadtest"
	"evergate/internal/token"
)

// authority signs certificates.
type authority struct {
	pair tls.Certificate
	pem  string
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{pair: certtest.SelfSigned(t, x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour),
	})}
	certificate, _ := certtest.PEM(t, a.pair)
	a.pem = string(certificate)
	return a
}

func (a *authority) sign(t testing.TB, c x509.Certificate) tls.Certificate {
	t.Helper()
	c.NotBefore = time.Now().Add(-time.Hour)
	return certtest.Sign(t, c, &a.pair)
}

func (a *authority) server(t testing.TB) (certificate, key string) {
	certPEM, keyPEM := certtest.PEM(t, a.sign(t, x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}))
	return string(certPEM), string(keyPEM)
}

// client makes a client's certificate for the names that c has.
func (a *authority) client(t testing.TB, c x509.Certificate) tls.Certificate {
	t.Helper()
	if c.ExtKeyUsage == nil {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return a.sign(t, c)
}

// tlsRig is a tls: listener that asks who calls, as one that other hosts can reach does.
type tlsRig struct {
	access  *access.Access
	files   access.Options
	roots   *authority // of the server
	clients *authority
	address string
}

func newTLSRig(t *testing.T, o access.Options) *tlsRig {
	t.Helper()
	r := &tlsRig{roots: newAuthority(t, "servers"), clients: newAuthority(t, "clients")}
	certificate, key := r.roots.server(t)
	o.CertFile, o.KeyFile, o.ClientCAFile = reloadtest.WriteFile(t, certificate), reloadtest.WriteFile(t, key), reloadtest.WriteFile(t, r.clients.pem)
	r.access, r.files = accessWith(t, o), o
	l := serveAccess(t, r.access, listen.Address{Network: "tcp", Address: "0.0.0.0:0", TLS: true})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r.address = "localhost:" + port
	return r
}

// replaceFiles has the listener use other certificates, as after a change of its files.
func (r *tlsRig) replaceFiles(t *testing.T) {
	t.Helper()
	certificate, key := r.roots.server(t)
	for path, text := range map[string]string{r.files.CertFile: certificate, r.files.KeyFile: key, r.files.ClientCAFile: r.clients.pem} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.access.Reload(); err != nil {
		t.Fatal(err)
	}
}

func (r *tlsRig) client(t *testing.T, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(r.roots.pair.Leaf)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certificates, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func (r *tlsRig) get(t *testing.T, c *http.Client, header http.Header) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+r.address+"/admin/shop.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

func uri(s string) []*url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return []*url.URL{u}
}

func TestACertificateSaysWhoCalls(t *testing.T) {
	r := newTLSRig(t, access.Options{PolicyFile: reloadtest.WriteFile(t, `{"default":"read-only","callers":{"agent":"full","erp.example.com":"none","spiffe://example.com/report":"full"}}`)})
	for _, c := range []struct {
		what         string
		names        x509.Certificate
		caller, kind string
		code         string
	}{
		{"common name", x509.Certificate{Subject: pkix.Name{CommonName: "agent"}}, "agent", "name agent", ""},
		{"DNS name", x509.Certificate{Subject: pkix.Name{CommonName: "agent"}, DNSNames: []string{"erp.example.com", "agent"}}, "erp.example.com", "name erp.example.com", denial.CodeDeniedOperation},
		{"URI", x509.Certificate{DNSNames: []string{"agent"}, URIs: uri("spiffe://example.com/report")}, "spiffe://example.com/report", "name spiffe://example.com/report", ""},
		{"a name nobody knows", x509.Certificate{Subject: pkix.Name{CommonName: "stranger"}}, caller.Other, "certificate stranger", ""},
		{"a reserved name", x509.Certificate{Subject: pkix.Name{CommonName: caller.Anonymous}}, caller.Other, "certificate anonymous", ""},
		{"no name", x509.Certificate{}, caller.Other, "certificate ", ""},
	} {
		resp, err := r.get(t, r.client(t, r.clients.client(t, c.names)), nil)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if h := resp.Header; h.Get("X-Caller") != c.caller || h.Get("X-Kind") != strings.TrimSpace(c.kind) || h.Get(denial.Header) != c.code {
			t.Errorf("%s: %v, want %+v", c.what, h, c)
		}
	}
}

// Whoever can have a certificate made chooses its name, and must not become a key's caller by it.
func TestACertificateIsNotTheKeyOfItsName(t *testing.T) {
	key, line := newKey(t, "agent", "")
	agent := x509.Certificate{Subject: pkix.Name{CommonName: "agent"}}
	for policies, want := range map[string]struct{ caller, code string }{
		`{"default":"none","callers":{"agent":"full"}}`:                          {caller.Other, denial.CodeDeniedOperation},
		`{"default":"none","callers":{"agent":"full","cert:agent":"read-only"}}`: {"cert:agent", ""},
		`{"default":"none","callers":{"agent":"full","cert:agent":"none"}}`:      {"cert:agent", denial.CodeDeniedOperation},
		`{"default":"none","callers":{"cert:other":"full"}}`:                     {caller.Other, denial.CodeDeniedOperation},
	} {
		r := newTLSRig(t, access.Options{PolicyFile: reloadtest.WriteFile(t, policies), KeysFile: reloadtest.WriteFile(t, line)})
		resp, err := r.get(t, r.client(t, r.clients.client(t, agent)), nil)
		if err != nil || resp.Header.Get("X-Caller") != want.caller || resp.Header.Get(denial.Header) != want.code {
			t.Errorf("%s: %v, %v, want %v", policies, resp, err, want)
		}
		if !strings.Contains(policies, `"agent":"full"`) {
			continue
		}
		if resp, err = r.get(t, r.client(t), bearer(key)); err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Caller") != "agent" {
			t.Errorf("%s, the key: %v, %v", policies, resp, err)
		}
	}
	if _, _, err := caller.NewKey("cert:agent", "", nil); err == nil {
		t.Error("a key can have a certificate's name")
	}
}

func TestAStrangerOverTLSGetsAnAnswerItCanRead(t *testing.T) {
	key, line := newKey(t, "agent", "")
	r := newTLSRig(t, access.Options{KeysFile: reloadtest.WriteFile(t, line)})
	resp, err := r.get(t, r.client(t), nil)
	if err != nil || resp.StatusCode != 403 || resp.Header.Get(denial.Header) != denial.CodeUnauthenticated {
		t.Errorf("without anything: %v, %v", resp, err)
	}
	resp, err = r.get(t, r.client(t), bearer(key))
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Caller") != "agent" || resp.Proto != "HTTP/1.1" {
		t.Errorf("with a key: %v, %v", resp, err)
	}
	if base := resp.Header.Get("X-Base"); base != "https://"+r.address {
		t.Errorf("the client came by %s", base)
	}
	resp, err = r.get(t, r.client(t, r.clients.client(t, x509.Certificate{Subject: pkix.Name{CommonName: "x"}})), bearer(key+"x"))
	if err != nil || resp.Header.Get(denial.Header) != denial.CodeUnauthenticated {
		t.Errorf("a wrong key beside a certificate: %v, %v", resp, err)
	}
}

func TestACertificateMustBeGood(t *testing.T) {
	r := newTLSRig(t, access.Options{})
	for what, certificate := range map[string]tls.Certificate{
		"of another authority": newAuthority(t, "clients").client(t, x509.Certificate{Subject: pkix.Name{CommonName: "agent"}}),
		"of the servers":       r.roots.client(t, x509.Certificate{Subject: pkix.Name{CommonName: "agent"}}),
		"expired":              r.clients.client(t, x509.Certificate{NotAfter: time.Now().Add(-time.Minute)}),
		"for servers":          r.clients.client(t, x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}),
	} {
		c := r.client(t)
		c.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
		if resp, err := r.get(t, c, nil); err == nil {
			t.Errorf("%s: %v", what, resp)
		}
	}
}

// A connection outlives what it was let in for.
func TestAConnectionLosesItsCallerWithItsAuthority(t *testing.T) {
	r := newTLSRig(t, access.Options{})
	certificate := r.clients.client(t, x509.Certificate{Subject: pkix.Name{CommonName: "agent"}})
	c := r.client(t, certificate)
	c.Transport.(*http.Transport).MaxConnsPerHost = 1 // so that each request waits for the connection of the one before
	for range 2 {
		if resp, err := r.get(t, c, nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v, %v", resp, err)
		}
	}
	r.replaceFiles(t) // the same authority
	if resp, err := r.get(t, c, nil); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	r.clients = newAuthority(t, "clients")
	r.replaceFiles(t)
	resp, err := r.get(t, c, nil)
	if err != nil || resp.Header.Get(denial.Header) != denial.CodeUnauthenticated {
		t.Errorf("on the old connection: %v, %v", resp, err)
	}
	again := r.client(t) // one that shows its certificate whether it is wanted or not; Go's own looks first, from 1.27 on
	again.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &certificate, nil
	}
	if resp, err := r.get(t, again, nil); err == nil {
		t.Errorf("on a new connection: %v", resp)
	}
	if resp, err := r.get(t, r.client(t, r.clients.client(t, x509.Certificate{})), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("of the new authority: %v, %v", resp, err)
	}
}

func TestACertificateEndsOnAnOpenConnectionToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients := newAuthority(t, "clients")
		certificate, key := clients.server(t)
		a := accessWith(t, access.Options{CertFile: reloadtest.WriteFile(t, certificate), KeyFile: reloadtest.WriteFile(t, key), ClientCAFile: reloadtest.WriteFile(t, clients.pem)})
		leaf := clients.sign(t, x509.Certificate{NotAfter: time.Now().Add(time.Minute), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}).Leaf
		r := call(t, "GET", "/admin/shop.json", "")
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
		r = r.WithContext(a.ConnContext(a.BaseContext(caller.Listener(nil, true, token.Shop{})), &net.TCPConn{}))
		admission := newAdmission(t)
		admission.access = a
		for _, c := range []struct {
			wait time.Duration
			code string
		}{{0, ""}, {59 * time.Second, ""}, {2 * time.Second, denial.CodeUnauthenticated}} {
			time.Sleep(c.wait)
			_, err := admission.Admit(view(r))
			denialtest.Want(t, "after "+c.wait.String(), err, c.code)
		}
	})
}

func TestANewCertificateIsShownWithoutARestart(t *testing.T) {
	r := newTLSRig(t, access.Options{})
	serial := func() *big.Int {
		resp, err := r.get(t, r.client(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber
	}
	before := serial()
	r.replaceFiles(t)
	if before.Cmp(serial()) == 0 {
		t.Error("the old one is shown")
	}
}

func TestOldProtocolsAreRefused(t *testing.T) {
	r := newTLSRig(t, access.Options{})
	for what, config := range map[string]*tls.Config{
		"TLS 1.1": {InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"HTTP/2":  {InsecureSkipVerify: true, NextProtos: []string{"h2"}},
	} {
		conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", r.address)
		if err == nil {
			conn.Close()
			t.Errorf("%s is spoken", what)
		}
	}
}

func TestMistakenCertificatesAreExplained(t *testing.T) {
	a := newAuthority(t, "servers")
	certificate, key := a.server(t)
	_, otherKey := a.server(t)
	for what, c := range map[string]struct {
		contents []string
		want     string
	}{
		"swapped":      {[]string{key, certificate}, "do not go together, or are not PEM"},
		"another key":  {[]string{certificate, otherKey}, "do not go together"},
		"no authority": {[]string{certificate, key, "x"}, "EVERGATE_TLS_CLIENT_CA_FILE holds no certificate"},
	} {
		o := access.Options{CertFile: reloadtest.WriteFile(t, c.contents[0]), KeyFile: reloadtest.WriteFile(t, c.contents[1])}
		if len(c.contents) > 2 {
			o.ClientCAFile = reloadtest.WriteFile(t, c.contents[2])
		}
		if _, err := access.New(o); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

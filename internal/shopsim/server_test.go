package shopsim

import (
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, open func(string) (*Server, error)) *Server {
	t.Helper()
	srv, err := open("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return srv
}

// over is a client that goes through a real connection.
func over(t *testing.T, s *Sim, srv *Server, h2 bool) *client {
	c := mintingClient(t, s)
	transport := srv.Client().Transport.(*http.Transport)
	transport.DisableCompression = true
	if !h2 {
		transport.ForceAttemptHTTP2 = false
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	c.rt = transport
	return c
}

func TestServesBothProtocols(t *testing.T) {
	s := simWith(1)
	srv := start(t, s.Start)
	for _, h2 := range []bool{false, true} {
		c := over(t, s, srv, h2)
		a := c.get(products)
		want(t, a, 200, "Product 1")
		if (a.ProtoMajor == 2) != h2 {
			t.Errorf("protocol %s", a.Proto)
		}
		head := c.do(http.MethodHead, products, "")
		if head.body != "" || head.StatusCode != 200 {
			t.Errorf("HEAD: %d %q", head.StatusCode, head.body)
		}
	}
}

func TestFaultsOverTheWire(t *testing.T) {
	s := simWith(1)
	srv := start(t, s.Start)
	for _, h2 := range []bool{false, true} {
		c := over(t, s, srv, h2)
		want(t, c.get(products), 200)
		s.Inject(Fault{Kind: FaultDrop, Method: "POST", Count: 1})
		_, err := c.try(http.MethodPost, products, "application/json", "{}")
		if err == nil || !h2 && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("HTTP/2 %v: error %v, want a reset", h2, err)
		}
		s.Inject(Fault{Kind: FaultCut, Count: 1})
		if a, err := c.try(http.MethodGet, products, "", ""); err == nil || a.body == "" {
			t.Errorf("HTTP/2 %v: error %v after %q, want half a body", h2, err, a.body)
		}
		s.Inject(Fault{Kind: FaultSlowBody, Pause: time.Millisecond, Count: 1})
		if a := c.get(products); a.ContentLength != -1 || !strings.HasSuffix(a.body, "]}") {
			t.Errorf("HTTP/2 %v: slow body, length %d: %q", h2, a.ContentLength, a.body)
		}
		s.Inject(Fault{Kind: FaultStatus, Status: 520, Count: 1})
		want(t, c.get(products), 520, "error code: 520")
		s.Inject(Fault{Kind: FaultEmpty, Count: 1})
		want(t, c.get(products), 200)
	}
}

func TestCertificateNames(t *testing.T) {
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.ServerConfig("shop.acme.example")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.PEM) {
		t.Fatal("no CA certificate in the PEM")
	}
	leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", DefaultShop, "shop.acme.example"} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if config.MinVersion < tls.VersionTLS12 {
		t.Errorf("minimum TLS version %x", config.MinVersion)
	}
}

func TestPlainServerAndGzip(t *testing.T) {
	s := simWith(1)
	s.Change(func(c *Settings) { c.Gzip = true })
	srv := start(t, s.StartPlain)
	c := mintingClient(t, s)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+products, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = DefaultShop
	req.Header.Set("X-Shopify-Access-Token", c.token)
	req.Header.Set("Accept-Encoding", "gzip")
	client := srv.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	zr, err := gzip.NewReader(resp.Body)
	if err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("not compressed: %v %v", err, resp.Header)
	}
	if body, err := io.ReadAll(zr); err != nil || !strings.Contains(string(body), "Product 1") {
		t.Errorf("%v: %s", err, body)
	}
}

func TestCloseEndsDelays(t *testing.T) {
	s := simWith(0)
	minted := make(chan TokenEvent, 1)
	s.OnToken(func(e TokenEvent) { minted <- e })
	s.Inject(Fault{Kind: FaultDelay, Delay: time.Hour, AfterCommit: true})
	srv, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := over(t, s, srv, false)
	failed := make(chan error, 1)
	go func() {
		_, err := c.try(http.MethodPost, "/admin/oauth/access_token", "", credentials().Encode())
		failed <- err
	}()
	<-minted // the answer is on its way, an hour long
	if err := srv.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("an answer came through a closed server")
	}
	if err := srv.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestListenFailure(t *testing.T) {
	if _, err := New(Options{}).Start("127.0.0.1:99999"); err == nil || !strings.Contains(err.Error(), "listen for the simulator") {
		t.Errorf("error %v", err)
	}
}

package shopsim

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
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

func TestPlainServerAndCompression(t *testing.T) {
	s := simWith(1)
	s.Change(func(c *Settings) { c.Gzip, c.Zstd = true, true })
	srv := start(t, s.StartPlain)
	c := mintingClient(t, s)
	client := srv.Client()
	defer client.CloseIdleConnections()
	for _, coding := range []struct {
		accepted, used string
		open           func(io.Reader) (io.Reader, error)
	}{
		{"gzip", "gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"gzip, br, zstd", "zstd", unframed},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+products, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = DefaultShop
		req.Header.Set("X-Shopify-Access-Token", c.token)
		req.Header.Set("Accept-Encoding", coding.accepted)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := coding.open(resp.Body)
		if err != nil || resp.Header.Get("Content-Encoding") != coding.used {
			t.Fatalf("not compressed with %s: %v %v", coding.used, err, resp.Header)
		}
		if body, err := io.ReadAll(plain); err != nil || !strings.Contains(string(body), "Product 1") {
			t.Errorf("%s: %v: %s", coding.used, err, body)
		}
		_ = resp.Body.Close()
	}
}

// unframed reads the part of zstd's format that frameAsZstd writes: one frame of raw blocks.
func unframed(r io.Reader) (io.Reader, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || head != [6]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x58} {
		return nil, fmt.Errorf("the frame begins with %x, %w", head, err)
	}
	var plain bytes.Buffer
	for {
		var h [4]byte
		if _, err := io.ReadFull(r, h[:3]); err != nil {
			return nil, err
		}
		header := binary.LittleEndian.Uint32(h[:])
		if size := int64(header >> 3); header&6 != 0 || size > 128<<10 {
			return nil, fmt.Errorf("block header %x", header)
		} else if _, err := io.CopyN(&plain, r, size); err != nil {
			return nil, err
		}
		if header&1 != 0 {
			if n, _ := io.Copy(io.Discard, r); n > 0 {
				return nil, fmt.Errorf("%d bytes follow the last block", n)
			}
			return &plain, nil
		}
	}
}

// A body of any length is one frame with its last block marked.
func TestZstdFrames(t *testing.T) {
	for _, n := range []int{0, 1, 128<<10 - 1, 128 << 10, 128<<10 + 1, 300 << 10} {
		body := bytes.Repeat([]byte("x"), n)
		r := response{header: http.Header{}, body: body}
		r.frameAsZstd()
		plain, err := unframed(bytes.NewReader(r.body))
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got, err := io.ReadAll(plain); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes became %d, %v", n, len(got), err)
		}
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

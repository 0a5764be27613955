package shopsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

// Server is a listener of a simulator.
type Server struct {
	// URL is where to connect, such as https://127.0.0.1:41234.
	URL string

	// Addr is the host and port of URL.
	Addr string

	// CAPEM is the certificate to trust; nil without TLS.
	CAPEM []byte

	srv    *http.Server
	cancel context.CancelFunc
	done   chan error
}

// Start serves the simulated Shopify with TLS, over HTTP/1.1 and HTTP/2. An
// addr such as "127.0.0.1:0" takes a free port.
func (s *Sim) Start(addr string) (*Server, error) {
	ca, err := NewCA()
	if err != nil {
		return nil, err
	}
	config, err := ca.ServerConfig(s.customDomains()...)
	if err != nil {
		return nil, err
	}
	return s.listen(addr, s.Handler(), config, ca.PEM)
}

// StartPlain serves the simulated Shopify without TLS.
func (s *Sim) StartPlain(addr string) (*Server, error) {
	return s.listen(addr, s.Handler(), nil, nil)
}

// StartControl serves Control without TLS. Whoever reaches it can read and
// change everything: keep it on loopback.
func (s *Sim) StartControl(addr string) (*Server, error) {
	return s.listen(addr, s.Control(), nil, nil)
}

func (s *Sim) customDomains() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.state.custom))
}

func (s *Sim) listen(addr string, h http.Handler, config *tls.Config, caPEM []byte) (*Server, error) {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the simulator: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	errorLog := s.opts.ErrorLog
	if errorLog == nil {
		errorLog = log.New(io.Discard, "", 0)
	}
	srv := &Server{Addr: ln.Addr().String(), CAPEM: caPEM, cancel: cancel, done: make(chan error, 1)}
	srv.srv = &http.Server{
		Handler:           h,
		TLSConfig:         config,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       400 * time.Second, // what Shopify's edge allows
		ErrorLog:          errorLog,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	srv.URL = "http://" + srv.Addr
	serve := srv.srv.Serve
	if config != nil {
		srv.URL = "https://" + srv.Addr
		serve = func(ln net.Listener) error { return srv.srv.ServeTLS(ln, "", "") }
	}
	go func() {
		srv.done <- serve(ln)
		close(srv.done) // so that a second Close does not wait
	}()
	return srv, nil
}

// Close stops listening and breaks all connections.
func (v *Server) Close() error {
	v.cancel() // ends the delays of faults
	err := v.srv.Close()
	if serveErr := <-v.done; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// Client returns a client that reaches this server whatever host the URL
// names, trusts its certificate and follows no redirects:
// client.Get("https://blue-finch.myshopify.com/admin/api/2026-10/shop.json").
func (v *Server) Client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(v.CAPEM)
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, network, v.Addr)
			},
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

package sidecar

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// arrivals are connections that come from nowhere.
type arrivals struct {
	conns chan net.Conn
	ended chan struct{}
}

func (a arrivals) Accept() (net.Conn, error) {
	select {
	case c := <-a.conns:
		return c, nil
	case <-a.ended:
		return nil, net.ErrClosed
	}
}

func (a arrivals) Close() error   { close(a.ended); return nil }
func (a arrivals) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "nowhere"} }

func TestAShutdownWaitsForNobodyWhoHasNotAsked(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"plain HTTP":                      func(c net.Conn) net.Conn { return c },
		"TLS that has not said its first": func(c net.Conn) net.Conn { return tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS12}) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var n pending
			on := arrivals{make(chan net.Conn), make(chan struct{})}
			server := &http.Server{ConnState: n.state, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
			server.RegisterOnShutdown(n.abandon)
			served := make(chan error)
			go func() { served <- server.Serve(on) }()
			client, conn := net.Pipe()
			on.conns <- wrap(conn)
			synctest.Wait()
			began := time.Now()
			n.heard(t.Context())
			if err := server.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > pendingWait+time.Second {
				t.Errorf("%s: it took %s", name, took)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("%s: the connection is open: %v", name, err)
			}
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
}

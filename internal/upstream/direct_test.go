package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestTheUpstreamIsLookedUpWhereItIsSaid(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	at := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	asked := ""
	transport := New(Options{Base: &url.URL{Scheme: "http", Host: "acme.myshopify.com:" + server.URL[strings.LastIndexByte(server.URL, ':')+1:]},
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			asked = host
			return []netip.Addr{netip.MustParseAddr("127.0.0.2"), at.Addr()}, nil // nobody is at the first one
		}})
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://ignored/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Body = nil
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if all, err := transport.LookUp(t.Context(), "acme.myshopify.com"); err != nil || strings.Join(all, " ") != "127.0.0.2 "+at.Addr().String() {
		t.Errorf("for whoever wants to know: %v %v", all, err)
	}
	if resp.StatusCode != http.StatusTeapot || asked != "acme.myshopify.com" {
		t.Errorf("%d, asked for %q", resp.StatusCode, asked)
	}
}

func TestAWayThatLeadsBackIsNotTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			t.Error("somebody came round")
			_ = c.Close()
		}
	}()
	at := netip.MustParseAddrPort(listener.Addr().String())
	transport := New(Options{Base: &url.URL{Scheme: "http", Host: listener.Addr().String()}})
	if err := transport.CheckLoop(t.Context()); err != nil {
		t.Errorf("nothing is ours yet: %v", err)
	}
	transport.AvoidLoop(func(other netip.AddrPort) bool { return other == at })
	if err := transport.CheckLoop(t.Context()); !errors.Is(err, errLoop) {
		t.Error(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	_, err = transport.Connect(ctx)
	if !errors.Is(err, errLoop) || !strings.Contains((&DialError{err: err}).Error(), "EVERGATE_RESOLVER") {
		t.Error(err)
	}
}

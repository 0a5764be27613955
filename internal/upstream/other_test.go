package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
)

var errNotThere = errors.New("not there")

func TestOthersAreReachedWhereTheyMayBe(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, lookup := range []Lookup{nil, func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}} {
		transport := New(Options{Base: &url.URL{Scheme: "http", Host: "acme.myshopify.com"}, Lookup: lookup})
		var judged []netip.Addr
		conn, err := transport.DialOther(t.Context(), "localhost:"+port, func(ip netip.Addr) error {
			if judged = append(judged, ip); ip.Is6() {
				return errNotThere
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%v, judged %v", err, judged)
		}
		_ = conn.Close()
		if _, err := transport.DialOther(t.Context(), "localhost:"+port, func(netip.Addr) error { return errNotThere }); !errors.Is(err, errNotThere) {
			t.Errorf("what may not be reached: %v", err)
		}
	}
}

func TestAProxyIsNotAskedForWhatMayNotBeReached(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	proxy := newConnectProxy(t, false)
	transport := through(t, withUser(proxy.URL, t), server)
	inner := netip.MustParseAddr("10.0.0.1")
	known := map[string][]netip.Addr{
		"inner.example": {inner}, "both.example": {netip.MustParseAddr("192.0.2.1"), inner},
		"outer.example": {netip.MustParseAddr("192.0.2.1")},
	}
	transport.dialer.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		if found := known[host]; found != nil {
			return found, nil
		}
		return nil, &net.DNSError{IsNotFound: true}
	}
	may := func(ip netip.Addr) error {
		if ip == inner {
			return errNotThere
		}
		return nil
	}
	for _, address := range []string{"inner.example:443", "both.example:443", "10.0.0.1:443"} {
		if _, err := transport.DialOther(t.Context(), address, may); !errors.Is(err, errNotThere) {
			t.Errorf("%s: %v", address, err)
		}
	}
	proxy.hosts.Range(func(host, _ any) bool { t.Errorf("the proxy was asked for %v", host); return true })
	// A name that is not known here may be one that only the proxy knows.
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	conn, err := transport.DialOther(t.Context(), "localhost:"+port, may)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if _, asked := proxy.hosts.Load("localhost:" + port); !asked {
		t.Error("the proxy was not asked for it")
	}
}

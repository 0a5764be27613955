package e2e

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Node, curl and browsers differ in which address of localhost they call first.
func TestLocalhostIsBothLoopbackAddresses(t *testing.T) {
	t.Parallel()
	probe, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6: ", err)
	}
	_ = probe.Close()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	s := shop.readySidecar(t, "EVERGATE_LISTEN=localhost:0", "EVERGATE_ADMIN_LISTEN=localhost:0")
	for _, base := range []string{s.url, s.admin} {
		_, port, err := net.SplitHostPort(strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		path := api + "/shop.json"
		if base == s.admin {
			path = "/livez"
		}
		for _, ip := range []string{"127.0.0.1", "::1"} {
			url := "http://" + net.JoinHostPort(ip, port) + path
			resp, err := s.client.Get(url)
			if err != nil {
				t.Errorf("%s: %v", url, err)
				continue
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", url, resp.Status)
			}
		}
	}
}

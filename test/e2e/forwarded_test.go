package e2e

import (
	"strings"
	"testing"
	"time"

	"evergate/internal/shopsim"
)

// Behind what ends TLS, pages have to lead back there.
func TestLinksLeadBackToTheProxyInFront(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour), products: 5})
	const fields = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: tools.example.com\r\n"
	believing := shop.readySidecar(t, "EVERGATE_TRUSTED_PROXIES=127.0.0.0/8")
	wary := shop.readySidecar(t, "EVERGATE_TRUSTED_PROXIES=192.0.2.1")
	for _, c := range []struct {
		s          *sidecar
		head, want string
	}{
		{believing, "Host: localhost\r\n" + fields, "<https://tools.example.com/admin/"},
		{believing, "Host: localhost\r\nX-Forwarded-Proto: https\r\n", "<https://localhost/admin/"},
		{believing, "Host: localhost:1\r\nX-Forwarded-Host: evil.example/x\r\n", "<http://localhost:1/admin/"},
		{wary, "Host: localhost:1\r\n" + fields, "<http://localhost:1/admin/"},
		{wary, "Host: " + shopsim.DefaultShop + ":4321\r\n", "<http://" + shopsim.DefaultShop + ":4321/admin/"},
		{wary, "Host: " + shopsim.DefaultShop + "\r\n", "<https://" + shopsim.DefaultShop + "/admin/"},
	} {
		a := c.s.raw(t, "GET "+api+"/products.json?limit=2 HTTP/1.1\r\n"+c.head+"Connection: close\r\n\r\n")
		if link := a.header.Get("Link"); !strings.HasPrefix(link, c.want) {
			t.Errorf("%q: %s, Link %q, want %s", c.head, a, link, c.want)
		}
	}
}

// What a rule reads of an answer and what only passes take two ways to the client.
func TestAnAnswersFieldsComeOnce(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour), products: 5})
	s := shop.readySidecar(t)
	for _, path := range []string{"/products.json?limit=2", "/products.json?limit=2", "/shop.json"} { // also of a connection that has seen one
		a := s.raw(t, "GET "+api+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		for _, name := range []string{"Date", "Content-Type", "Content-Length", "X-Request-Id", "X-Shopify-API-Version", "X-Shopify-Shop-Api-Call-Limit"} {
			if values := a.header.Values(name); len(values) != 1 || values[0] == "" {
				t.Errorf("%s: %s is %q", path, name, values)
			}
		}
	}
}

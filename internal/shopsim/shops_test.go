package shopsim

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAnyShopIsAShopOfItsOwn(t *testing.T) {
	t.Parallel()
	sim := New(Options{AnyShop: true, Shops: []Shop{{Domain: "first", Products: 2}}})
	client := &http.Client{Transport: sim.RoundTripper()}
	ask := func(shop, token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+shop+".myshopify.com/admin/api/2026-10/products/count.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Shopify-Access-Token", token)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	one, two := sim.IssueToken("one", "", 0), sim.IssueToken("two", "", 0)
	for _, c := range []struct {
		shop, token string
		want        int
	}{{"one", one, 200}, {"two", two, 200}, {"one", two, 401}, {"three", one, 401}, {"first", one, 401}} {
		if got := ask(c.shop, c.token); got != c.want {
			t.Errorf("%s: %d, want %d", c.shop, got, c.want)
		}
	}
	if got := ask("not_a_shop", one); got != http.StatusNotFound {
		t.Errorf("a name that no shop can have: %d", got)
	}
	sim.DrainBuckets("one", "")
	if a, b := ask("one", one), ask("two", two); a != http.StatusTooManyRequests || b != 200 {
		t.Errorf("one shop's bucket is empty: %d, %d", a, b)
	}
	sim.IssuePair("one", "")
	if !sim.ChainAlive("one", "") || sim.ChainAlive("two", "") {
		t.Error("a chain is not its shop's own")
	}
	if _, err := sim.findShop("not_a_shop"); err == nil {
		t.Error("such a name is found")
	}
	if _, err := New(Options{}).findShop("one"); err == nil {
		t.Error("a shop is made that nobody asked for")
	}
}

func TestAnyShopCanGetATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	sim := New(Options{AnyShop: true})
	client := &http.Client{Transport: sim.RoundTripper()}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {DefaultClientID}, "client_secret": {DefaultClientSecret}}.Encode()
	shops := map[string]bool{}
	sim.OnToken(func(e TokenEvent) { shops[e.Shop] = true })
	for i := range 100 {
		resp, err := client.Post(fmt.Sprintf("https://s%d.myshopify.com/admin/oauth/access_token", i), "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if len(shops) != 100 {
		t.Errorf("tokens of %d shops", len(shops))
	}
}

func TestExactTLS(t *testing.T) {
	t.Parallel()
	sim := New(Options{AnyShop: true})
	server, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.CAPEM)
	ask := func(name, host string) int {
		config := &tls.Config{RootCAs: roots, ServerName: name}
		if name == "" {
			config.InsecureSkipVerify = true
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		defer client.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+net.JoinHostPort("127.0.0.1", server.Addr[strings.LastIndex(server.Addr, ":")+1:])+"/admin/api/2026-10/shop.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	const a, b = "a.myshopify.com", "b.myshopify.com"
	if got := ask(a, b); got != 401 {
		t.Errorf("by default one connection serves every shop: %d", got)
	}
	sim.Change(func(c *Settings) { c.ExactTLS = true })
	for _, c := range []struct {
		name, host string
		want       int
	}{{a, b, 421}, {a, a, 401}, {"A.myshopify.com", "a.MyShopify.com:443", 401}, {"", a, 401}} {
		if got := ask(c.name, c.host); got != c.want {
			t.Errorf("%q for %q: %d, want %d", c.host, c.name, got, c.want)
		}
	}
}

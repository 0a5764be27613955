package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopsim"
)

func TestPathAndQueryArriveByteForByte(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0)})
	s := shop.readySidecar(t)
	for _, target := range []string{
		"/products.json",
		"/products.json?",
		"/products.json?limit=1&fields=id%2Ctitle&title=a+b%20c&x=&y&&=",
		"/products.json?q=%zz%&r=%c3%A9&s=\"<>|^`{}\\&t=//..//;u=1;v=2?w=3#x",
		"/products.json?ids[]=1&ids[]=2&page_info=eyJh%3D%3D",
		"/%70roducts.json?%6cimit=1",
		"/products/%41%e2%82%AC%C3%a9.json",
		"/products/a..b;c=d,e!$&'()*+:@~.json",
		"/products/\xc3\xa9.json?\xe2\x82\xac=\xff",
	} {
		s.raw(t, "GET "+api+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if got := shop.lastCall(t).RequestURI; got != api+target {
			t.Errorf("sent    %q\narrived %q", api+target, got)
		}
	}
	// The prefix that names the shop is Evergate's own and goes.
	s.raw(t, "GET /"+shopsim.DefaultShop+api+"/shop.json?a=%2f HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if got := shop.lastCall(t).RequestURI; got != api+"/shop.json?a=%2f" {
		t.Errorf("arrived %q", got)
	}
}

func TestBodyArrivesByteForByte(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0)})
	s := shop.readySidecar(t, "EVERGATE_REPLAY_BUFFER=1KiB")
	for _, size := range []int{1, 1024, 1025, 1 << 20} {
		body := strings.Repeat("\x00\xff\r\n {\"a\": 1 }\t", size/12+1)[:size]
		want := sha256.Sum256([]byte(body))
		for _, framing := range []string{
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, body),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, body),
		} {
			mustStatus(t, s.raw(t, "POST "+api+"/products.json HTTP/1.1\r\nHost: localhost\r\n"+framing), http.StatusBadRequest)
			if got := shop.lastCall(t); got.BodySHA256 != hex.EncodeToString(want[:]) {
				t.Errorf("of %d bytes other %d arrived", size, got.BodySize)
			}
		}
	}
}

func TestCredentialsAndHopHeadersEndHere(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0)})
	s := shop.readySidecar(t)
	host := strings.TrimPrefix(s.url, "http://")
	a := s.raw(t, strings.Join([]string{
		"GET " + api + "/shop.json HTTP/1.1", "Host: " + host,
		"Authorization: Bearer shpat_ofTheClient", "Proxy-Authorization: Basic eDp5", "Cookie: a=b",
		"X-Shopify-Access-Token: shpat_ofTheClient", "x-shopify-access-token: shpat_again",
		"X_Shopify_Access_Token: shpat_underscore", "X-Shopify_Access-Token: shpat_mixed",
		"Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil.example", "X_Forwarded_Proto: http",
		"Origin: " + s.url, "Referer: " + s.url + "/", "TE: trailers", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
		"Connection: keep-alive, X-Of-This-Hop, X-Shopify-Access-Token", "X-Of-This-Hop: 1",
		"X-Stays: one", "X-Stays: two", "Accept-Encoding: br;q=0.5, gzip", "accept: */*", "User-Agent: Legacy/1.0", "", "",
	}, "\r\n"))
	mustStatus(t, a, http.StatusOK)
	got := shop.lastCall(t)
	want := http.Header{
		"X-Shopify-Access-Token": shop.tokens()[:1], "X-Stays": {"one", "two"}, "Accept-Encoding": {"br;q=0.5, gzip"},
		"Accept": {"*/*"}, "User-Agent": {"Legacy/1.0"},
	}
	if !maps.EqualFunc(got.Header, want, slices.Equal) {
		t.Errorf("arrived %q\nwant    %q", got.Header, want)
	}
	if got.Host != shopsim.DefaultShop {
		t.Errorf("Host: %s", got.Host)
	}
}

func TestNothingIsInvented(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0)})
	s := shop.readySidecar(t)
	for request, want := range map[string][]string{
		"GET " + api + "/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n":                                             {"X-Shopify-Access-Token"},
		"GET " + api + "/shop.json HTTP/1.0\r\n\r\n":                                                                {"X-Shopify-Access-Token"},
		"DELETE " + api + "/products/1.json HTTP/1.1\r\nHost: localhost\r\n\r\n":                                    {"X-Shopify-Access-Token"},
		"POST " + api + "/products.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}":                 {"Content-Length", "X-Shopify-Access-Token"},
		"POST " + api + "/products.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n":                   {"Content-Length", "X-Shopify-Access-Token"},
		"POST " + api + "/products.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": {"X-Shopify-Access-Token"},
	} {
		s.raw(t, request)
		if got := slices.Sorted(maps.Keys(shop.lastCall(t).Header)); !slices.Equal(got, want) {
			t.Errorf("%q arrived with %q", request, got)
		}
	}
}

func TestUpgradeIsDroppedAndTheRequestServed(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0)})
	s := shop.readySidecar(t)
	for _, upgrade := range []string{
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
	} {
		mustStatus(t, s.raw(t, "GET "+api+"/shop.json HTTP/1.1\r\nHost: localhost\r\n"+upgrade+"\r\n"), http.StatusOK)
		for name := range shop.lastCall(t).Header {
			if slices.Contains([]string{"Upgrade", "Connection", "Http2-Settings"}, name) {
				t.Errorf("%s was passed on", name)
			}
		}
	}
}

func TestAnswersComeBackByteForByte(t *testing.T) {
	t.Parallel()
	settings := wide(0)
	settings.SetCookie, settings.Gzip = true, true
	shop := newShopify(t, shopOptions{Settings: settings, products: 5})
	s := shop.readySidecar(t)
	shop.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Endpoint: shopsim.API, Status: 783, Body: "\x00odd\xff\r\n", ContentType: "x/y", Count: 1})
	if a := s.get(t, "/shop.json"); a.status != 783 || a.body != "\x00odd\xff\r\n" || a.header.Get("Content-Type") != "x/y" {
		t.Errorf("got %s %q", a, a.header)
	}
	a := s.raw(t, "GET "+api+"/products.json HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n")
	if a.header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(a.body, "\x1f\x8b") {
		t.Errorf("not the gzip that Shopify sent: %q", a.header)
	}
	for _, name := range []string{"Set-Cookie", "Strict-Transport-Security", "Alt-Svc"} {
		if a.header.Get(name) != "" {
			t.Errorf("%s was passed on", name)
		}
	}
	for _, name := range []string{"X-Request-Id", "X-Shopify-Shop-Api-Call-Limit", "X-Shopify-Api-Version", "Date"} {
		if a.header.Get(name) == "" {
			t.Errorf("%s was lost", name)
		}
	}
}

func TestLinksPointToTheAddressTheClientUsed(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(0), products: 5})
	s := shop.readySidecar(t)
	host := strings.TrimPrefix(s.url, "http://")
	_, port, _ := strings.Cut(host, ":")
	for _, c := range []struct{ host, prefix, base string }{
		{host, "", s.url},
		{"localhost:" + port, "", "http://localhost:" + port},
		{"blue-finch.localhost:" + port, "", "http://blue-finch.localhost:" + port},
		{host, "/" + shopsim.DefaultShop, s.url + "/" + shopsim.DefaultShop},
		{shopsim.DefaultShop, "", "https://" + shopsim.DefaultShop},
	} {
		listed := s.raw(t, "GET "+c.prefix+api+"/products.json?limit=2 HTTP/1.1\r\nHost: "+c.host+"\r\n\r\n")
		if link := listed.header.Get("Link"); !strings.HasPrefix(link, "<"+c.base+api+"/products.json?") {
			t.Errorf("for %s%s: Link: %s", c.host, c.prefix, link)
		}
		created := s.raw(t, "POST "+c.prefix+api+"/products.json HTTP/1.1\r\nHost: "+c.host+"\r\nContent-Length: 28\r\n\r\n"+`{"product":{"title":"Lamp"}}`)
		if location := created.header.Get("Location"); !strings.HasPrefix(location, c.base+api+"/products/") {
			t.Errorf("for %s%s: Location: %s", c.host, c.prefix, location)
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/internal/token"
	"evergate/test/process"
)

// as makes a request to address under another Host, as what stands in front of it would.
func as(t *testing.T, host, method, address string, body io.Reader, edit ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for _, f := range edit {
		f(req)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// mustServe waits until the sidecar serves with the new grant, which it notices within two seconds.
func mustServe(t *testing.T, tools string) {
	t.Helper()
	process.Eventually(t, func() error {
		if status, body := get(t, "http://"+tools+"/admin/api/2026-10/shop.json"); status != http.StatusOK {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
}

func TestRunningSidecarNoticesALogin(t *testing.T) {
	t.Parallel()
	sim, environ, _ := loginShop(t, "EVERGATE_GRANT=offline", "EVERGATE_TOKEN_WAIT=10ms")
	s := start(environ)
	tools, _ := serving(t, s)
	if status, body := get(t, "http://"+tools+"/admin/api/2026-10/shop.json"); status != http.StatusServiceUnavailable || !strings.Contains(body, "evergate login") {
		t.Errorf("%d %s", status, body)
	}
	b := beginLogin(t, environ)
	get(t, decide(t, sim, b.authorize, "install"))
	b.mustEnd(t, exitOK)
	mustServe(t, tools)
	s.signals <- syscall.SIGTERM
	s.mustEnd(t, exitOK)
}

func TestHostedLogin(t *testing.T) {
	t.Parallel()
	const public = "login.example.com"
	sim, upstream := plainShopify(t, shopsim.Options{Apps: []shopsim.App{{
		ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret,
		AppURL: "https://" + public, RedirectURLs: []string{"https://" + public + "/oauth/callback"},
	}}})
	_, environ, _ := loginShop(t, "EVERGATE_UPSTREAM_URL="+upstream, "EVERGATE_GRANT=offline", "EVERGATE_TOKEN_WAIT=10ms", "EVERGATE_PUBLIC_URL=https://"+public, "EVERGATE_LOGIN_LISTEN=127.0.0.1:0")
	s := start(environ)
	tools, operators := serving(t, s)
	merchants := parseLog(s.err.next(t, has("listening for merchants"))).Address

	resp, _ := as(t, public, http.MethodGet, "http://"+merchants+"/oauth/start", nil)
	authorize, err := resp.Location()
	if err != nil || len(resp.Cookies()) != 1 {
		t.Fatalf("%v: %v", err, resp)
	}
	back, err := url.Parse(decide(t, sim, authorize.String(), "install"))
	if err != nil || back.Host != public || back.Path != "/oauth/callback" {
		t.Fatalf("%v", back)
	}
	target := "http://" + merchants + back.RequestURI()
	fromShopify := func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
	}
	if resp, _ := as(t, merchants, http.MethodGet, target, nil, fromShopify); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("under the listener's own name: %d", resp.StatusCode)
	}
	if resp, page := as(t, public, http.MethodGet, target, nil, fromShopify); resp.StatusCode != http.StatusBadRequest || !strings.Contains(page, "another login") {
		t.Errorf("without the cookie: %d %s", resp.StatusCode, page)
	}
	withCookie := func(r *http.Request) { r.AddCookie(resp.Cookies()[0]) }
	if resp, page := as(t, public, http.MethodGet, target, nil, fromShopify, withCookie); resp.StatusCode != http.StatusOK || !strings.Contains(page, "The app is connected") {
		t.Errorf("%d %s", resp.StatusCode, page)
	}
	mustServe(t, tools)
	// Whatever name is used: nothing but the login is on its listener, and no login elsewhere.
	for _, name := range []string{public, "localhost", merchants, operators} {
		for _, target := range []string{"GET /", "GET /status", "GET /metrics", "GET /livez", "GET /readyz", "POST /-/refresh", "POST /-/quit", "POST /-/token-exchange", "GET /admin/api/2026-10/shop.json"} {
			method, path, _ := strings.Cut(target, " ")
			want := http.StatusMisdirectedRequest
			if name == public {
				want = http.StatusNotFound
			}
			if resp, body := as(t, name, method, "http://"+merchants+path, nil); resp.StatusCode != want {
				t.Errorf("%s as %s: %d %s", target, name, resp.StatusCode, body)
			}
		}
	}
	for _, name := range []string{public, "localhost"} {
		if resp, body := as(t, name, http.MethodGet, "http://"+operators+"/oauth/start", nil); resp.StatusCode != http.StatusNotFound {
			t.Errorf("the login on the admin listener: %d %s", resp.StatusCode, body)
		}
	}
	// A reverse proxy that leads to the admin listener all the same can command nothing.
	forwarded := func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.9") }
	if resp, body := as(t, "localhost", http.MethodPost, "http://"+operators+"/-/quit", nil, forwarded); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "proxy") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	s.signals <- syscall.SIGTERM
	s.mustEnd(t, exitOK)
	if log := s.err.String(); strings.Contains(log, back.Query().Get("code")) || strings.Contains(log, back.Query().Get("state")) ||
		!strings.Contains(log, "https://"+public+"/oauth/start") {
		t.Errorf("%s", log)
	}
}

func TestSessionTokenExchangeOfARunningSidecar(t *testing.T) {
	t.Parallel()
	sim, environ, _ := loginShop(t, "EVERGATE_GRANT=offline", "EVERGATE_TOKEN_WAIT=10ms")
	s := start(environ)
	tools, operators := serving(t, s)
	asJSON := func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }
	exchange := func(edit ...func(*http.Request)) (*http.Response, string) {
		body := strings.NewReader(`{"session_token":"` + sim.SessionToken("", "") + `"}`)
		return as(t, operators, http.MethodPost, "http://"+operators+"/-/token-exchange", body, append(edit, asJSON)...)
	}
	if resp, body := exchange(func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }); resp.StatusCode != http.StatusForbidden {
		t.Errorf("from a web page: %d %s", resp.StatusCode, body)
	}
	resp, body := exchange()
	var got struct{ Shop string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != http.StatusOK || got.Shop != shopsim.DefaultShop || strings.Contains(body, "shpat_") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	mustServe(t, tools)
	s.signals <- syscall.SIGTERM
	s.mustEnd(t, exitOK)
}

func TestWithoutAnOfflineGrantThereIsNoLogin(t *testing.T) {
	t.Parallel()
	_, environ := simulated(t)
	s := start(append(environ, "EVERGATE_PUBLIC_URL=https://login.example.com", "EVERGATE_LOGIN_LISTEN=127.0.0.1:0"))
	_, operators := serving(t, s)
	if resp, _ := as(t, "login.example.com", http.MethodGet, "http://"+operators+"/oauth/start", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("%d", resp.StatusCode)
	}
	if resp, body := as(t, operators, http.MethodPost, "http://"+operators+"/-/token-exchange", nil); resp.StatusCode != http.StatusConflict || !strings.Contains(body, "EVERGATE_GRANT=offline") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	s.signals <- syscall.SIGTERM
	s.mustEnd(t, exitOK)
	if !strings.Contains(s.err.String(), "EVERGATE_PUBLIC_URL has no effect") {
		t.Errorf("%s", s.err)
	}
}

func TestLoginSaysWhatStandsInTheWayOfItsGrant(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ setting, said string }{
		{"EVERGATE_GRANT=client_credentials", "set it to offline"},
		{"SHOPIFY_ACCESS_TOKEN=shpat_0123456789abcdef0123456789abcdef", "SHOPIFY_ACCESS_TOKEN is set"},
		{"EVERGATE_GRANT=auto", ""},
		{"EVERGATE_GRANT=offline", ""},
	} {
		sim, environ, _ := loginShop(t, tc.setting)
		b := beginLogin(t, environ)
		get(t, decide(t, sim, b.authorize, "install"))
		b.mustEnd(t, exitOK)
		if err := b.err.String(); !strings.Contains(err, tc.said) || (tc.said == "") != (err == "") {
			t.Errorf("%s: %s", tc.setting, err)
		}
	}
}

func TestLoginReportsScopesAndPermanence(t *testing.T) {
	t.Parallel()
	sim, environ, _ := loginShop(t, "SHOPIFY_SCOPES=read_products,read_orders")
	b := beginLogin(t, environ, "--permanent")
	get(t, decide(t, sim, strings.Replace(b.authorize, "%2Cread_orders", "", 1), "install"))
	b.mustEnd(t, exitOK)
	if out := b.out.String(); !strings.Contains(out, "missing  read_orders:") || !strings.Contains(out, "does not expire") {
		t.Errorf("%s", out)
	}
}

func TestLoginReplacesTheGrantOfAnotherAppAloud(t *testing.T) {
	t.Parallel()
	sim, environ, dir := loginShop(t)
	const other = "ffffffffffffffffffffffffffffffff"
	seed(t, dir, other)
	b := beginLogin(t, environ)
	if line := b.err.next(t, has("another app")); !strings.Contains(line, other) {
		t.Errorf("%s", line)
	}
	get(t, decide(t, sim, b.authorize, "install"))
	b.mustEnd(t, exitOK)
}

// seed stores a grant of an app.
func seed(t *testing.T, dir, clientID string) {
	t.Helper()
	record := token.Record{Shop: shopsim.DefaultShop, ClientID: clientID, Grant: "offline", Current: token.Pair{Refresh: token.NewSecret("shprt_0")}}
	if _, err := grantsIn(t, dir).Swap(t.Context(), "", record); err != nil {
		t.Fatal(err)
	}
}

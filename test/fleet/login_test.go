package fleet

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

const public = "login.example.com"

// browser is a merchant's, which reaches the public address through whatever stands in front of it.
type browser struct {
	client    *http.Client
	merchants string // the listener
	sim       *shopsim.Sim
}

func (b *browser) open(t *testing.T, pathAndQuery string, cookies ...*http.Cookie) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.merchants+pathAndQuery, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = public
	for _, c := range cookies {
		r.AddCookie(c)
	}
	resp, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(page)
}

// install is what a merchant does: the link, Shopify's page, and back.
func (b *browser) install(t *testing.T, shop string) (*http.Response, string) {
	t.Helper()
	resp, page := b.open(t, "/oauth/start?shop="+shop)
	authorize, err := resp.Location()
	if err != nil || authorize.Hostname() != shop+".myshopify.com" {
		t.Fatalf("%s: %d %v %s", shop, resp.StatusCode, authorize, page)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, authorize.String(), strings.NewReader("decision=install"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	agreed, err := b.sim.RoundTripper().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	agreed.Body.Close()
	back, err := agreed.Location()
	if err != nil || back.Host != public {
		t.Fatalf("%s: %v", shop, back)
	}
	return b.open(t, back.RequestURI(), resp.Cookies()...)
}

// TestMerchantsOfManyShopsLogIn has one shop that the file names and one that its pattern lets log in, by the link of one process.
func TestMerchantsOfManyShopsLogIn(t *testing.T) {
	t.Parallel()
	sim := shopsim.New(shopsim.Options{
		Shops: []shopsim.Shop{{Domain: "acme", Name: "The shop acme"}, {Domain: "beta-one", Name: "The shop beta-one"}, {Domain: "stranger", Name: "The shop stranger"}},
		Apps: []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes,
			AppURL: "https://" + public, RedirectURLs: []string{"https://" + public + "/oauth/callback"}}},
	})
	s := serveSim(t, sim)
	file, dir := filepath.Join(t.TempDir(), "shops.yaml"), filepath.Join(t.TempDir(), "store")
	write(t, file, "defaults:\n  client_id: "+shopsim.DefaultClientID+"\n  client_secret: "+shopsim.DefaultClientSecret+
		"\nshops:\n  acme: {grant: offline}\nstored: true\nlogin: [\"beta-*\"]\n")
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file, "EVERGATE_STORE=file:"+dir, "EVERGATE_PUBLIC_URL=https://"+public, "EVERGATE_LOGIN_LISTEN=127.0.0.1:0", "EVERGATE_TOKEN_WAIT=10ms")
	b := &browser{sim: sim, merchants: "http://" + c.AwaitLog(t, "listening for merchants").Address, client: &http.Client{Timeout: process.Patience,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}

	for shop, before := range map[string]int{"acme": http.StatusServiceUnavailable, "beta-one": http.StatusNotFound} {
		if a := c.call(t, shop); a.status != before {
			t.Errorf("before there is a grant: %s", a)
		}
		if resp, page := b.install(t, shop); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", shop, resp.StatusCode, page)
		}
		if shop == "beta-one" { // it was unknown a moment ago, and is served by the next call
			if a := c.call(t, shop); !a.isOf(shop) {
				t.Errorf("%s", a)
			}
			continue
		}
		process.Eventually(t, func() error {
			if a := c.call(t, shop); !a.isOf(shop) {
				return fmt.Errorf("%s", a)
			}
			return nil
		})
	}
	for _, query := range []string{"?shop=stranger", "?shop=stranger.myshopify.com", "?shop=acme.example.com"} {
		if resp, page := b.open(t, "/oauth/start"+query); resp.StatusCode != http.StatusForbidden || !strings.Contains(page, "cannot be connected") || resp.Header.Get("Location") != "" {
			t.Errorf("%s: %d %s", query, resp.StatusCode, page)
		}
	}
	if a := c.call(t, "stranger"); a.code != "unknown_shop" {
		t.Errorf("%s", a)
	}
	// The app's pages of the same shop, in the admin.
	exchange := func(shop string) int {
		resp, err := c.client.PostForm(c.admin+"/-/token-exchange", url.Values{"session_token": {sim.SessionToken(shop, "")}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if status := exchange("beta-one"); status != http.StatusOK {
		t.Errorf("an exchange: %d", status)
	}
	if status := exchange("stranger"); status != http.StatusForbidden {
		t.Errorf("a stranger's: %d", status)
	}
}

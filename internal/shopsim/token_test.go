package shopsim

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const products = "/admin/api/2026-10/products.json"

func TestClientCredentialsMintAToken(t *testing.T) {
	var events []TokenEvent
	s := New(Options{})
	s.OnToken(func(e TokenEvent) { events = append(events, e) })
	c := newClient(t, s)
	a := c.mint("scope", "ignored", "whatever", "1")
	want(t, a, 200)
	m := a.json(t)
	token, _ := m["access_token"].(string)
	if len(token) != 38 || !strings.HasPrefix(token, "shpat_") || m["scope"] != DefaultScopes || m["expires_in"] != 86399.0 {
		t.Errorf("answer %v", m)
	}
	if len(events) != 1 || events[0].Token != token || events[0].Shop != DefaultShop || events[0].Life != 86399*time.Second {
		t.Errorf("events %+v", events)
	}
	c.token = token
	want(t, c.get(products), 200)
}

func TestTokenEndpointTakesJSON(t *testing.T) {
	c := newClient(t, New(Options{Apps: []App{{ClientID: "1", ClientSecret: "true"}}}))
	body := `{"grant_type":"client_credentials","client_id":1,"client_secret":true,"extra":{"a":[1]}}`
	want(t, c.do(http.MethodPost, "/admin/oauth/access_token", body), 200, "shpat_")
	want(t, c.do(http.MethodPost, "/admin/oauth/access_token", "{"), 400, `"error":"invalid_request"`)
}

func TestTokenEndpointFailures(t *testing.T) {
	page := func(code string) string { return "<title>400 - Oauth error " + code + "</title>" }
	for _, tc := range []struct {
		name   string
		shop   Shop
		set    Settings
		change []string
		status int
		parts  []string
	}{
		{"unknown_client", Shop{}, Settings{}, []string{"client_id", "<b>"}, 400, []string{page("application_cannot_be_found"), "api_key &lt;b&gt;"}},
		{"unknown_client_comes_first", Shop{}, Settings{}, []string{"client_id", "x", "grant_type", "x"}, 400, []string{page("application_cannot_be_found")}},
		{"wrong_secret", Shop{}, Settings{}, []string{"client_secret", "x"}, 400, []string{page("invalid_request")}},
		{"wrong_secret_json", Shop{}, Settings{WrongSecret: ErrorJSON}, []string{"client_secret", "x"}, 401, []string{`"error":"invalid_client"`}},
		{"not_installed", Shop{NotInstalled: true}, Settings{}, nil, 400, []string{page("app_not_installed"), "Oauth error app_not_installed: "}},
		{"other_organization", Shop{OtherOrganization: true}, Settings{}, nil, 400,
			[]string{page("shop_not_permitted"), "Oauth error shop_not_permitted: Client credentials cannot be performed on this shop."}},
		{"other_organization_json", Shop{OtherOrganization: true}, Settings{NotPermitted: ErrorJSON}, nil, 400,
			[]string{`{"error":"shop_not_permitted","error_description":"Client credentials cannot be performed on this shop."}`}},
		{"unsupported_grant", Shop{}, Settings{}, []string{"grant_type", "password"}, 400, []string{`"error":"unsupported_grant_type"`}},
		{"no_grant", Shop{}, Settings{}, []string{"grant_type", ""}, 400, []string{`"error":"invalid_request"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.shop.Domain = DefaultShop
			s := New(Options{Shops: []Shop{tc.shop}, Settings: tc.set})
			want(t, newClient(t, s).mint(tc.change...), tc.status, tc.parts...)
			if n := s.Stats().TokensMinted; n != 0 {
				t.Errorf("%d tokens minted", n)
			}
		})
	}
}

func TestTokenEndpointRefusesOtherWaysIn(t *testing.T) {
	c := newClient(t, New(Options{}))
	want(t, c.get("/admin/oauth/access_token?"+credentials().Encode()), 405)
	want(t, c.do(http.MethodPost, "/admin/oauth/access_token?"+credentials().Encode(), "{}"), 400)
	a, err := c.try(http.MethodPost, "/admin/oauth/access_token", "application/x-www-form-urlencoded", "%zz")
	if err != nil {
		t.Fatal(err)
	}
	want(t, a, 400, "invalid_request")
}

func TestTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, New(Options{Settings: Settings{TokenLife: time.Minute}}))
		c.token = c.mintToken()
		time.Sleep(time.Minute - 1)
		want(t, c.get(products), 200)
		time.Sleep(1)
		want(t, c.get(products), 401, `{"errors":"[API] Invalid API key or access token (unrecognized login or wrong password)"}`)
	})
}

func TestRepeatedClientCredentials(t *testing.T) {
	mintTwice := func(t *testing.T, mode Repeat, wait time.Duration) (c *client, first, second string) {
		c = newClient(t, New(Options{Settings: Settings{TokenLife: time.Hour, Repeat: mode, SameWhile: time.Minute}}))
		first = c.mintToken()
		time.Sleep(wait)
		return c, first, c.mintToken()
	}
	works := func(c *client, token string) bool {
		c.token = token
		return c.get(products).StatusCode == 200
	}
	for _, tc := range []struct {
		name          string
		mode          Repeat
		wait          time.Duration
		same, oldGood bool
	}{
		{"new", RepeatNew, time.Minute, false, true},
		{"same", RepeatSame, time.Minute, true, true},
		{"same_near_the_end", RepeatSame, 59 * time.Minute, false, true},
		{"replace", RepeatReplace, time.Minute, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, first, second := mintTwice(t, tc.mode, tc.wait)
				if (first == second) != tc.same {
					t.Errorf("same token: %v", first == second)
				}
				if !works(c, second) || works(c, first) != tc.oldGood {
					t.Errorf("old token works: %v, want %v", works(c, first), tc.oldGood)
				}
			})
		})
	}
}

func TestSameTokenTellsItsRemainingLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, New(Options{Settings: Settings{Repeat: RepeatSame, TokenLife: time.Hour}}))
		c.mint()
		time.Sleep(10 * time.Minute)
		if got := c.mint().json(t)["expires_in"]; got != 3000.0 {
			t.Errorf("expires_in %v, want 3000", got)
		}
	})
}

func TestOnlyTheAccessTokenHeaderCounts(t *testing.T) {
	s := New(Options{})
	token := s.IssueToken("", "", 0)
	for _, tc := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"token", http.Header{"X-Shopify-Access-Token": {token}}, 200},
		{"token_and_authorization", http.Header{"X-Shopify-Access-Token": {token}, "Authorization": {"Bearer junk"}}, 200},
		{"authorization_only", http.Header{"Authorization": {"Bearer " + token}}, 401},
		{"secret_as_token", http.Header{"X-Shopify-Access-Token": {DefaultClientSecret}}, 401},
		{"nothing", http.Header{}, 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shopURL+products, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = tc.header
			resp, err := s.RoundTripper().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.status)
			}
		})
	}
}

func TestShopConditions(t *testing.T) {
	for condition, status := range map[Condition]int{
		Unauthorized: 401, PaymentRequired: 402, Frozen: 402, Unavailable: 403, NonExpiringRefused: 403,
		CustomerDataRefused: 403, Locked: 423, Healthy: 200,
	} {
		t.Run("condition_"+string(condition), func(t *testing.T) {
			s := New(Options{})
			c := mintingClient(t, s)
			s.SetCondition("blue-finch", condition)
			a := c.get(products)
			want(t, a, status)
			if _, failed := a.json(t)["errors"].(string); failed == (condition == Healthy) {
				t.Errorf("body %s", a.body)
			}
			want(t, c.do(http.MethodPost, "/admin/api/2026-10/graphql.json", `{"query":"{shop{name}}"}`), status)
			want(t, c.mint(), 200) // the token endpoint does not care
		})
	}
}

func TestPublicAppsMustUseExpiringTokens(t *testing.T) {
	s := New(Options{Apps: []App{{ClientID: "a", ClientSecret: "b", MustExpire: true}}})
	c := newClient(t, s)
	c.token = s.IssueToken("", "", 0)
	want(t, c.get(products), 403, "Non-expiring access tokens are no longer accepted")
	c.token = s.IssueToken("", "", time.Hour)
	want(t, c.get(products), 200)
}

func TestUninstallEndsAllTokens(t *testing.T) {
	for _, how := range []string{"rest", "graphql", "api"} {
		t.Run(how, func(t *testing.T) {
			s := New(Options{})
			c := mintingClient(t, s)
			other := s.IssueToken("", "", 0)
			switch how {
			case "rest":
				want(t, c.get("/admin/api_permissions/current.json"), 405)
				want(t, c.do(http.MethodDelete, "/admin/api_permissions/current.json", ""), 200, "{}")
			case "graphql":
				want(t, c.do(http.MethodPost, "/admin/api/2026-10/graphql.json",
					`{"query":"mutation { appUninstall { userErrors { message } } }"}`), 200, `{"appUninstall":{"userErrors":[]}}`)
			case "api":
				s.Uninstall("", "")
			}
			want(t, c.get(products), 401)
			c.token = other
			want(t, c.get(products), 401)
			want(t, c.mint(), 400, "app_not_installed")
			s.Install("", "")
			want(t, c.get(products), 401)
			c.token = c.mintToken()
			want(t, c.get(products), 200)
		})
	}
}

func TestRevokedSecretTakesItsTokensAlong(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	old := c.mintToken()
	second := s.RotateSecret("", "", false)
	want(t, c.mint(), 200) // both secrets work
	bySecond, _ := c.mint("client_secret", second).json(t)["access_token"].(string)
	s.RotateSecret("", second, true)
	want(t, c.mint(), 400, "invalid_request")
	c.token = old
	want(t, c.get(products), 401)
	c.token = bySecond
	want(t, c.get(products), 200)
}

func TestExpiredTokensAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		for range 10 * minSweep {
			s.IssueToken("", "", time.Second)
			time.Sleep(time.Second / 100)
		}
		if n := len(s.state.tokens); n > minSweep {
			t.Errorf("%d tokens kept, 100 are alive", n)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	s := New(Options{Shops: []Shop{{Domain: "blue-finch", Products: 3}}, JournalSize: 10})
	s.Inject(Fault{Kind: FaultDrop, Probability: 0.2})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := mintingClient(t, s)
			for range 20 {
				_, _ = c.try(http.MethodPost, "/admin/oauth/access_token", "", credentials().Encode())
				_, _ = c.try(http.MethodPost, products, "application/json", `{"product":{"title":"x"}}`)
				_, _ = c.try(http.MethodGet, products, "", "")
				s.Journal()
				control(t, s, http.MethodGet, "/_sim/state", "")
			}
		})
	}
	wg.Wait()
	if n := s.Stats().Requests; n != 8*20*3 {
		t.Errorf("%d requests counted, want %d", n, 8*20*3)
	}
}

func TestRevokeAndExpire(t *testing.T) {
	s := New(Options{})
	c := mintingClient(t, s)
	forever := s.IssueToken("", "", 0)
	if n := s.RevokeTokens(c.token); n != 1 {
		t.Errorf("%d revoked, want 1", n)
	}
	want(t, c.get(products), 401)
	c.mint()
	if n := s.ExpireTokens(); n != 1 {
		t.Errorf("%d expired, want 1", n)
	}
	c.token = forever
	want(t, c.get(products), 200)
	s.RevokeTokens("")
	want(t, c.get(products), 401)
}

func TestUnknownNamesPanic(t *testing.T) {
	s := New(Options{})
	for name, f := range map[string]func(){
		"shop":      func() { s.Uninstall("nowhere", "") },
		"app":       func() { s.Uninstall("", "nobody") },
		"condition": func() { s.SetCondition("", "odd") },
		"fault":     func() { s.Inject(Fault{}) },
		"faultshop": func() { s.Inject(Fault{Kind: FaultDrop, Shop: "nowhere"}) },
		"settings":  func() { s.Change(func(c *Settings) { c.Repeat = "odd" }) },
		"options":   func() { New(Options{Versions: []string{"x"}}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

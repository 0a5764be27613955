package shopsim

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// control sends a request to the control API.
func control(t *testing.T, s *Sim, method, path, body string) answer {
	t.Helper()
	w := httptest.NewRecorder()
	s.Control().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return answer{w.Result(), w.Body.String()}
}

func TestControlState(t *testing.T) {
	s := simWith(2)
	c := newClient(t, s)
	c.token = c.mintToken()
	c.get(products)
	a := control(t, s, "GET", "/_sim/state", "")
	want(t, a, 200, `"requests": 2`, `"token_posts": 1`, `"tokens_alive": 1`, `"rest:products": {`, `"products": 2`,
		`"token": "shpat_…`+c.token[len(c.token)-4:], `"installed": true`)
	if strings.Contains(a.body, c.token) || strings.Contains(a.body, DefaultClientSecret) {
		t.Errorf("state shows a credential: %s", a.body)
	}
	want(t, control(t, s, "GET", "/_sim/state?reveal=true", ""), 200, c.token)
}

func TestControlJournal(t *testing.T) {
	s := simWith(0)
	c := newClient(t, s)
	c.token = c.mintToken()
	c.get(products + "?limit=3")
	a := control(t, s, "GET", "/_sim/journal", "")
	want(t, a, 200, `"route": "token"`, `"raw_query": "limit=3"`, `"status": 200`)
	if strings.Contains(a.body, c.token) || strings.Contains(a.body, DefaultClientSecret) {
		t.Errorf("the journal shows a credential: %s", a.body)
	}
	want(t, control(t, s, "GET", "/_sim/journal?reveal=true", ""), 200, c.token, "client_secret="+DefaultClientSecret)
	if a := control(t, s, "GET", "/_sim/journal?since=1", ""); strings.Contains(a.body, `"route": "token"`) {
		t.Errorf("since=1 shows entry 1: %s", a.body)
	}
}

func TestControlSettings(t *testing.T) {
	s := simWith(0)
	want(t, control(t, s, "POST", "/_sim/settings", `{"token_life":"90s","rest_size":80,"gzip":true,"zstd":true}`), 200, `"token_life": "1m30s"`)
	want(t, control(t, s, "POST", "/_sim/settings", `{"clock_skew":1.5}`), 200, `"rest_size": 80`, `"clock_skew": "1.5s"`)
	if c := s.Settings(); c.TokenLife != 90*time.Second || c.RESTSize != 80 || !c.Gzip || !c.Zstd || c.RESTLeak != 2 {
		t.Errorf("settings %+v", c)
	}
	want(t, control(t, s, "GET", "/_sim/settings", ""), 200, `"repeat": "new"`)
	for _, bad := range []string{`{"repeat":"odd"}`, `{"token_live":1}`, `{"token_life":"x"}`, `5`, `{}{}`, `{`} {
		want(t, control(t, s, "POST", "/_sim/settings", bad), 400, `"error"`)
	}
}

func TestControlFaults(t *testing.T) {
	s := simWith(0)
	c := mintingClient(t, s)
	want(t, control(t, s, "POST", "/_sim/faults", `{"kind":"status","status":503,"endpoint":"rest","count":2,"retry_after":"1.0"}`), 200, `"id": 1`)
	want(t, control(t, s, "POST", "/_sim/faults", `{"kind":"expires_in","expires_in":null,"count":1}`), 200)
	want(t, control(t, s, "POST", "/_sim/faults", `{"kind":"expires_in","expires_in":"omit","count":1}`), 200)
	want(t, control(t, s, "POST", "/_sim/faults", `{"kind":"expires_in","expires_in":"86399"}`), 200)
	want(t, c.get(products), 503)
	want(t, control(t, s, "GET", "/_sim/faults", ""), 200, `"hits": 1`, `"left": "1"`, `"left": "until cleared"`, `"retry_after": "1.0"`)
	want(t, c.mint(), 200, `"expires_in":null`)
	if a := c.mint(); strings.Contains(a.body, "expires_in") {
		t.Errorf("expires_in is still there: %s", a.body)
	}
	want(t, c.mint(), 200, `"expires_in":"86399"`)
	want(t, control(t, s, "DELETE", "/_sim/faults", ""), 200)
	want(t, c.get(products), 200)
	for _, bad := range []string{`{"kind":"status"}`, `{"kynd":"drop"}`, `{"kind":"drop","shop":"nowhere"}`, `{}`, ``, strings.Repeat(" ", maxControlBody+1)} {
		want(t, control(t, s, "POST", "/_sim/faults", bad), 400, `"error"`)
	}
}

func TestControlActions(t *testing.T) {
	s := simWith(0)
	c := mintingClient(t, s)
	want(t, control(t, s, "POST", "/_sim/shop", `{"condition":"locked"}`), 200, `"condition": "locked"`)
	want(t, c.get(products), 423)
	want(t, control(t, s, "POST", "/_sim/shop", `{"condition":"","other_organization":true}`), 200)
	want(t, c.mint(), 400, "shop_not_permitted")
	want(t, control(t, s, "POST", "/_sim/shop", `{"other_organization":false}`), 200)
	want(t, control(t, s, "POST", "/_sim/drain", ""), 200)
	want(t, c.get(products), 429)
	want(t, control(t, s, "POST", "/_sim/reset", ""), 200)
	want(t, c.get(products), 401)
	want(t, control(t, s, "POST", "/_sim/scopes", `{"scopes":"read_orders"}`), 200)
	want(t, c.mint(), 200, `"scope":"read_orders"`)
	want(t, control(t, s, "POST", "/_sim/tokens/expire", ""), 200, `"ended": 1`)
	want(t, control(t, s, "POST", "/_sim/tokens/revoke", `{"token":"x"}`), 200, `"ended": 0`)
	c.token, _ = control(t, s, "POST", "/_sim/tokens", `{"life":"1h"}`).json(t)["access_token"].(string)
	want(t, c.get("/admin/api/2026-10/shop.json"), 200)
	secret, _ := control(t, s, "POST", "/_sim/secret", `{"revoke_old":true}`).json(t)["client_secret"].(string)
	want(t, c.mint(), 400)
	want(t, c.mint("client_secret", secret), 200)
	want(t, control(t, s, "POST", "/_sim/secret", `{"secret":"s3"}`), 200, "{}")
	want(t, control(t, s, "POST", "/_sim/uninstall", `{"shop":"blue-finch"}`), 200)
	want(t, c.mint("client_secret", "s3"), 400, "app_not_installed")
	want(t, control(t, s, "POST", "/_sim/install", ""), 200)
	want(t, c.mint("client_secret", "s3"), 200)
}

func TestControlRefusesUnknownNames(t *testing.T) {
	s := simWith(0)
	for _, path := range []string{"uninstall", "install", "drain", "tokens"} {
		want(t, control(t, s, "POST", "/_sim/"+path, `{"shop":"nowhere"}`), 400, "the shops are blue-finch.myshopify.com")
		want(t, control(t, s, "POST", "/_sim/"+path, `{"client_id":"nobody"}`), 400, "no app")
	}
	want(t, control(t, s, "POST", "/_sim/shop", `{"shop":"nowhere"}`), 400)
	want(t, control(t, s, "POST", "/_sim/shop", `{"condition":"odd"}`), 400)
	want(t, control(t, s, "POST", "/_sim/secret", `{"client_id":"nobody"}`), 400)
	want(t, control(t, s, "POST", "/_sim/scopes", `{"client_id":"nobody"}`), 400)
}

func TestControlIsApart(t *testing.T) {
	s := simWith(0)
	c := mintingClient(t, s)
	want(t, c.get("/_sim/state"), 404)
	want(t, control(t, s, "GET", "/admin/api/2026-10/shop.json", ""), 404)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/_sim/reset", nil)
	r.Header.Set("Origin", "https://evil.example")
	s.Control().ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("a web page got %d", w.Code)
	}
	srv := start(t, s.StartControl)
	client := srv.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Get(srv.URL + "/_sim/state")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
		t.Errorf("%d %v %s", resp.StatusCode, err, body)
	}
}

func FuzzControl(f *testing.F) {
	for _, seed := range [][2]string{
		{"faults", `{"kind":"status","status":503,"delay":"1s","count":2}`}, {"faults", `{"kind":"expires_in","expires_in":[null]}`},
		{"settings", `{"token_life":5,"rest_leak":1e9}`}, {"shop", `{"shop":"blue-finch","condition":"locked"}`},
		{"tokens", `{"life":"1ns"}`}, {"secret", `{"revoke_old":true}`}, {"tokens/revoke", `{"token":"x"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, path, body string) {
		s := simWith(1)
		r := httptest.NewRequest("POST", "/_sim/x", strings.NewReader(body))
		r.URL.Path = "/_sim/" + path
		w := httptest.NewRecorder()
		s.Control().ServeHTTP(w, r)
		if w.Code/100 != 2 && w.Code/100 != 3 && w.Code/100 != 4 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if w.Code == 200 {
			want(t, control(t, s, "GET", "/_sim/faults", ""), 200)
			want(t, control(t, s, "GET", "/_sim/state?reveal=true", ""), 200)
		}
	})
}

func TestControlWrites(t *testing.T) {
	s := stockedShop(1, 1)
	want(t, control(t, s, "GET", "/_sim/writes", ""), 200, `"writes": []`)
	c := mintingClient(t, s)
	c.query(setQuantities, map[string]any{"key": "k", "input": quantitiesInput(quantity(0, 0, 8, "changeFromQuantity", nil))}, "")
	want(t, control(t, s, "GET", "/_sim/writes", ""), 200, `"seq": 1`, `"field": "available"`, `"from": "0"`, `"to": "8"`,
		`"resource": "gid://shopify/InventoryLevel/80000000001?inventory_item_id=50000000000000"`)
	s.Reset()
	want(t, control(t, s, "GET", "/_sim/writes", ""), 200, `"writes": []`)
}

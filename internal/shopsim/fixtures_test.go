package shopsim

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const fixtureShop = `{
  "locations": [{"name": "Main warehouse"}, {"name": "Shop"}],
  "products": [
    {"title": "Lamp", "vendor": "Acme", "tags": "light, new", "variants": [
      {"title": "Small", "sku": "LAMP-S", "price": "19.90", "compare_at_price": 25, "inventory": {"Shop": 3}},
      {"title": "Large", "sku": "LAMP-L", "price": 29.9, "continue_selling": true}
    ]},
    {"title": "Chair", "status": "draft"}
  ],
  "customers": [{"first_name": "Ada", "last_name": "Finch", "email": "ada@example.com"}],
  "orders": [{"customer": "ada@example.com", "fulfilled": true, "created_at": "2026-11-02T10:00:00Z", "line_items": [{"sku": "LAMP-S", "quantity": 2}]}]
}`

// parsed are fixtures of a file.
func parsed(t *testing.T, text string) *Fixtures {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fixtures.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := ReadFixtures(file)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFixturesAreWhatBothAPIsAnswer(t *testing.T) {
	t.Parallel()
	c := newProgram(t, Options{Fixtures: parsed(t, fixtureShop)})
	for range 2 {
		c.mint()
		for path, want := range map[string]string{
			"products.json?status=active":  `"tags":"light, new","template_suffix":null,"title":"Lamp"`,
			"products.json?status=draft":   `"title":"Chair"`,
			"products/count.json":          `{"count":2}`,
			"variants/40000000000000.json": `"price":"19.90","product_id":7000000000001,"requires_shipping":true,"sku":"LAMP-S"`,
			"orders.json?status=any":       `"total_price":"39.80"`,
			"customers.json":               `"total_spent":"39.80"`,
			"locations.json":               `"name":"Main warehouse"`,
		} {
			if status, body := c.send(http.MethodGet, "/admin/api/2026-10/"+path, ""); status != 200 || !strings.Contains(body, want) {
				t.Errorf("%s: %d %s, want %s", path, status, body, want)
			}
		}
		answer := c.query(`{ productVariants(first: 9, query: "sku:LAMP*") { nodes { sku compareAtPrice inventoryPolicy inventoryQuantity } } orders(first: 3) { nodes { name customer { displayName } } } }`)
		for _, want := range []string{
			`{"sku":"LAMP-S","compareAtPrice":"25.00","inventoryPolicy":"DENY","inventoryQuantity":3}`, `{"sku":"LAMP-L","compareAtPrice":null,"inventoryPolicy":"CONTINUE","inventoryQuantity":0}`,
			`{"name":"#1001","customer":{"displayName":"Ada Finch"}}`,
		} {
			if !strings.Contains(answer, want) {
				t.Errorf("%s lacks %s", answer, want)
			}
		}
		c.sim.Reset()
	}
}

func TestFixturesLeaveWhatTheyDoNotName(t *testing.T) {
	t.Parallel()
	c := newProgram(t, Options{Fixtures: parsed(t, `{"products": []}`)})
	c.mint()
	if _, body := c.send(http.MethodGet, "/admin/api/2026-10/products/count.json", ""); body != `{"count":0}` {
		t.Errorf("%s", body)
	}
	c.sim.ApplyFixtures(parsed(t, `{"locations": [{"name": "Elsewhere"}]}`))
	if _, body := c.send(http.MethodGet, "/admin/api/2026-10/locations.json", ""); !strings.Contains(body, "Elsewhere") {
		t.Errorf("%s", body)
	}
	if c.get("shop.json") != 200 {
		t.Error("the token did not survive new fixtures")
	}
}

func TestAnswersOfFixtures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newProgram(t, Options{Fixtures: parsed(t, `{"answers": [
			{"method": "GET", "path": "/admin/api/*/themes.json", "query": {"role": "main"}, "replies": [{"body": {"themes": [{"id": 1}]}}]},
			{"path": "/admin/api/2026-10/shop.json", "replies": [
				{"status": 502, "body": "<h1>Bad gateway</h1>", "headers": {"content-type": "text/html", "X-More": "yes"}, "times": 2},
				{"status": 429, "headers": {"Retry-After": "4.0"}, "times": 1}]},
			{"operation": "Names", "variables": {"first": 2}, "replies": [{"body": {"data": {"two": 2}}}]},
			{"operation": "Names", "replies": [{"delay": "3s", "body": {"data": null}}]},
			{"path": "/admin/oauth/access_token", "replies": [{"status": 520, "body": "error code: 520"}, {"body": {"access_token": "shpat_0011", "scope": ""}, "times": 1}]},
			{"path": "/api/2026-10/graphql.json", "replies": [{"body": [1]}]}
		]}`)})
		themes := func() int { return c.get("themes.json?role=main&limit=5") }
		if status := themes(); status != 401 {
			t.Errorf("%d without a token", status)
		}
		for i, want := range []string{"", "shpat_0011"} {
			if token, _ := c.ask("grant_type", "client_credentials"); token != want {
				t.Errorf("%d: %q", i, token)
			}
		}
		c.mint()
		if themes() != 200 || c.get("themes.json?role=unpublished") != 404 {
			t.Error("the query does not matter")
		}
		var got []int
		for range 4 {
			got = append(got, c.get("shop.json"))
		}
		if got[0] != 502 || got[1] != 502 || got[2] != 429 || got[3] != 200 {
			t.Errorf("%d", got)
		}
		names := func(variables string) string {
			_, body := c.send(http.MethodPost, "/admin/api/2026-10/graphql.json", `{"query": "query Names($first: Int) { products(first: $first) { nodes { title } } }", "variables": `+variables+`}`)
			return body
		}
		if body := names(`{"first": 2, "more": 1}`); body != `{"data": {"two": 2}}` {
			t.Errorf("%s", body)
		}
		start := time.Now()
		if body := names(`{"first": 3}`); body != `{"data": null}` || time.Since(start) != 3*time.Second {
			t.Errorf("%s after %s", body, time.Since(start))
		}
		if body := c.query("query Others { shop { name } }"); !strings.Contains(body, "Acme") {
			t.Errorf("%s", body)
		}
		if status, body := c.send(http.MethodGet, "/api/2026-10/graphql.json", ""); status != 200 || body != "[1]" {
			t.Errorf("%d %s", status, body)
		}
		c.sim.Reset()
		c.mint()
		c.mint()
		c.mint()
		if status := c.get("shop.json"); status != 502 {
			t.Errorf("%d: a sequence does not begin anew", status)
		}
		for _, e := range c.sim.Journal() {
			if e.Route == routeGraphQL && e.Operation == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestFilesOfADirectoryAreOneWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.json":          `{"orders": [{"customer": "ada@example.com", "line_items": [{"sku": "A"}]}]}`,
		"b.json":          `{"customers": [{"email": "ada@example.com"}], "answers": [{"path": "/admin/api/*/page.json", "replies": [{"body_file": "pages/page.html"}]}]}`,
		"c.json":          `{"products": [{"title": "A", "variants": [{"sku": "A", "price": "1"}]}]}`,
		"pages/page.html": "<h1>page</h1>", "README.md": "not a fixture",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := ReadFixtures(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := newProgram(t, Options{Fixtures: f})
	c.mint()
	if _, body := c.send(http.MethodGet, "/admin/api/2026-10/page.json", ""); body != "<h1>page</h1>" {
		t.Errorf("%s", body)
	}
	if _, body := c.send(http.MethodGet, "/admin/api/2026-10/orders/count.json?status=any", ""); body != `{"count":1}` {
		t.Errorf("%s", body)
	}
}

// TestAMistakeInFixturesIsNamedWithItsLine has mistakes that people make; the one is in the second line each.
func TestAMistakeInFixturesIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]string{
		"{\n \"product\": []}":       `:2: there is no list "product": the lists are locations, products, customers, orders and answers`,
		"{\n \"products\": {}}":      `:2: products must be a list: write [ and ]`,
		"{\n \"products\": [}":       ":2: want one JSON object: invalid character",
		"{\n \"products\": []} more": ":2: want one JSON object: invalid character",
		"[\n]":                       ":1: want one JSON object",
		"{\"products\": [{\"title\": \"A\",\n \"pricee\": 1}]}":                                                                 `:2: there is no member "pricee" here: take it out, or spell it as`,
		"{\"products\": [{\"title\": \"A\"},\n {\"title\": \"\"}]}":                                                             `:2: product "": its title can't be blank`,
		"{\"products\": [\n {\"title\": \"A\", \"status\": \"gone\"}]}":                                                         `:2: product "A": its status is not included in the list`,
		"{\"products\": [\n {\"title\": \"A\", \"variants\": [{\"price\": \"-1\"}]}]}":                                          `:2: product "A": want prices such as 19.90`,
		"{\"products\": [{\"title\": \"A\", \"variants\": [{\"price\": \"dear\"}]}]}":                                           `:1: want a number such as 19.90`,
		"{\"products\": [\n {\"title\": \"A\", \"variants\": [null]}]}":                                                         `:2: product "A": want up to 2048 variants, each of them an object`,
		"{\"products\": [\n {\"title\": \"A\", \"variants\": [{\"inventory\": {\"Moon\": 1}}]}]}":                               `:2: product "A": its inventory has 1 at "Moon": list that location`,
		"{\"products\": [{\"title\": \"A\", \"variants\":\n 7}]}":                                                               `:2: variants: want a list, not number`,
		"{\"orders\": [\n {\"customer\": \"ada\"}]}":                                                                            `:2: no customer has the email "ada": list one in customers`,
		"{\"customers\": [{\"email\": \"ada\"}], \"orders\": [\n {\"customer\": \"ada\", \"line_items\": [{\"sku\": \"?\"}]}]}": `:2: 1 of "?": want the sku of a variant`,
		"{\"answers\": [\n {\"replies\": [{}]}]}":                                                                               `:2: an answer needs a path or an operation: say for which requests it is`,
		"{\"answers\": [\n {\"path\": \"admin\", \"replies\": [{}]}]}":                                                          `:2: path "admin": begin with /`,
		"{\"answers\": [\n {\"path\": \"/x\"}]}":                                                                                `:2: an answer needs replies`,
		"{\"answers\": [\n {\"path\": \"/x\", \"replies\": [null]}]}":                                                           `:2: a reply must be an object`,
		"{\"answers\": [\n {\"path\": \"/x\", \"variables\": {}, \"replies\": [{}]}]}":                                          `:2: variables go with an operation: name it`,
		"{\"answers\": [\n {\"path\": \"/x\", \"replies\": [{\"status\": 99}]}]}":                                               `:2: status 99: want 200 to 599`,
		"{\"answers\": [\n {\"path\": \"/x\", \"replies\": [{\"times\": -1}]}]}":                                                `:2: times and delay must not be negative`,
		"{\"answers\": [\n {\"path\": \"/x\", \"replies\": [{\"headers\": {\"A b\": \"\"}}]}]}":                                 `:2: header "A b": want a name of letters`,
		"{\"answers\": [\n {\"path\": \"/x\", \"replies\": [{\"headers\": {\"A\": \"\\n\"}}]}]}":                                `:2: header "A": want a name of letters`,
		"{\"answers\": [\n {\"path\": \"/x\", \"replies\": [{\"body\": 1, \"body_file\": \"x\"}]}]}":                            `:2: body and body_file are two bodies: leave one out`,
		"{\"answers\": [\n {\"path\": \"/x\", \"replies\": [{\"body_file\": \"nowhere\"}]}]}":                                   `:2: open `,
		"{\"answers\": [\n {\"path\": \"/x\", \"replies\": [{\"delay\": \"soon\"}]}]}":                                          `:2: "soon" is no duration`,
	} {
		file := filepath.Join(dir, "f.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFixtures(file); err == nil || !strings.Contains(err.Error(), "f.json"+want) {
			t.Errorf("%s\n%v, want %s", text, err, want)
		}
	}
	endless := filepath.Join(t.TempDir(), "f.json")
	if file, err := os.Create(endless); err != nil || errors.Join(file.Truncate(largestFixture+1), file.Close()) != nil {
		t.Fatal(err)
	}
	if _, err := ReadFixtures(endless); err == nil || !strings.Contains(err.Error(), "at most 64 MiB") {
		t.Errorf("a file without end: %v", err)
	}
	if _, err := ReadFixtures(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no file whose name ends in .json") {
		t.Errorf("%v", err)
	}
	if _, err := ReadFixtures(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("no error")
	}
}

func TestFixturesComeByTheControlAPI(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	want(t, control(t, s, http.MethodPost, "/_sim/fixtures", fixtureShop), 200)
	if n := len(s.state.shops[DefaultShop].products.list); n != 2 {
		t.Errorf("%d products", n)
	}
	for body, mistake := range map[string]string{
		"{\n\"products\": [\n{\"titel\": 1}]}":                                     `the body:3: there is no member \"titel\" here`,
		`{"answers": [{"path": "/x", "replies": [{"body_file": "/etc/passwd"}]}]}`: "body_file is for files of fixtures",
	} {
		want(t, control(t, s, http.MethodPost, "/_sim/fixtures", body), 400, mistake)
	}
	if n := len(s.state.shops[DefaultShop].products.list); n != 2 {
		t.Errorf("%d products after mistakes", n)
	}
}

// FuzzFixtures holds that what is accepted can be served, and that what is not says where.
func FuzzFixtures(f *testing.F) {
	f.Add([]byte(fixtureShop))
	f.Add([]byte(`{"answers": [{"path": "/admin/api/*/shop.json", "operation": "A", "variables": {"a": [1]}, "replies": [{"status": 502}, {"body": "x", "headers": {"A": "b"}, "times": 2}]}]}`))
	f.Add([]byte(`{"products": [null], "orders": [null], "answers": [null], "locations": [null], "customers": [null]}`))
	f.Add([]byte(`{"products": [{"title": "A", "variants": [{"price": 1e9}]}], "products": []}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		fx := newFixtures()
		if err := fx.read("x", "", text); err != nil {
			if !strings.HasPrefix(err.Error(), "x:") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if fx.check() != nil {
			return
		}
		s := New(Options{Fixtures: fx})
		token := s.IssueToken("", "", 0)
		for _, path := range []string{"products.json", "orders.json?status=any", "customers.json", "inventory_levels.json?location_ids=80000000001", "shop.json"} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+DefaultShop+"/admin/api/2026-10/"+path, nil)
			req.Header.Set("X-Shopify-Access-Token", token)
			q, fault := s.receive(serverSide(req), nil)
			if resp := s.process(q, fault); resp.status < 200 || resp.header.Get("Content-Type") == "" {
				t.Errorf("%q: %s: %+v", text, path, resp)
			}
		}
	})
}

// TestTheFixturesOfTheManualAreOnes reads the example as a person would copy it.
func TestTheFixturesOfTheManualAreOnes(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/using/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(manual), "\n## Fixtures\n")
	_, text, _ := strings.Cut(section, "```json\n")
	text, _, found := strings.Cut(text, "```")
	dir := t.TempDir()
	for name, text := range map[string]string{"shop.json": text, "answers/discounts.json": `{"data": {}}`} {
		_ = os.MkdirAll(filepath.Join(dir, "answers"), 0o700)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := ReadFixtures(dir)
	if !found || err != nil || len(f.answers) != 2 || len(f.orders) != 1 {
		t.Errorf("%v", err)
	}
}

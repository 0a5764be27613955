package shopsim

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func simWith(n int) *Sim { return New(Options{Shops: []Shop{{Domain: "blue-finch", Products: n}}}) }

func ids(t *testing.T, a answer) (out []int64) {
	t.Helper()
	list, _ := a.json(t)["products"].([]any)
	for _, p := range list {
		out = append(out, int64(p.(map[string]any)["id"].(float64))-firstProductID+1)
	}
	return out
}

var linkPattern = regexp.MustCompile(`<([^>]*)>; rel="(\w+)"`)

func links(a answer) map[string]string {
	out := map[string]string{}
	for _, m := range linkPattern.FindAllStringSubmatch(a.Header.Get("Link"), -1) {
		out[m[2]] = m[1]
	}
	return out
}

func TestPagesForwardAndBack(t *testing.T) {
	c := mintingClient(t, simWith(5))
	a := c.get(products + "?limit=2&fields=id,title")
	walk := func(rel, wantIDs string) {
		t.Helper()
		next := links(a)[rel]
		if !strings.HasPrefix(next, shopURL+products+"?") {
			t.Fatalf("%s link %q is not absolute at the shop", rel, next)
		}
		a = c.get(next)
		if got := fmt.Sprint(ids(t, a)); got != wantIDs {
			t.Fatalf("after %s: %s, want %s", rel, got, wantIDs)
		}
	}
	if links(a)["previous"] != "" {
		t.Error("the first page has a previous one")
	}
	walk("next", "[3 4]")
	walk("next", "[5]")
	if links(a)["next"] != "" {
		t.Error("the last page has a next one")
	}
	walk("previous", "[3 4]")
	walk("previous", "[1 2]")
	if strings.Contains(a.body, "vendor") {
		t.Errorf("fields got lost on the way: %s", a.body)
	}
}

func TestPagingKeepsItsFilter(t *testing.T) {
	c := mintingClient(t, simWith(6))
	a := c.get(products + "?limit=2&since_id=" + fmt.Sprint(firstProductID+1))
	if got := fmt.Sprint(ids(t, a)); got != "[3 4]" {
		t.Fatalf("first page %s", got)
	}
	a = c.get(links(a)["next"])
	if got := fmt.Sprint(ids(t, a)); got != "[5 6]" {
		t.Fatalf("second page %s", got)
	}
	a = c.get(links(a)["previous"])
	if got := fmt.Sprint(ids(t, a)); got != "[3 4]" || links(a)["previous"] != "" {
		t.Fatalf("back: %s, links %v", got, links(a))
	}
}

func TestListLimits(t *testing.T) {
	c := mintingClient(t, simWith(60))
	if n := len(ids(t, c.get(products))); n != 50 {
		t.Errorf("%d products by default, want 50", n)
	}
	if a := c.get(products + "?limit=250"); len(ids(t, a)) != 60 || a.Header.Get("Link") != "" {
		t.Errorf("%d products, Link %q", len(ids(t, a)), a.Header.Get("Link"))
	}
	want(t, c.get(products+"?limit=251"), 400, `{"errors":"Limit exceeds maximum limit of 250"}`)
	want(t, c.get(products+"?limit=x"), 400)
	info := cursor{Direction: "next", LastID: 1}.encode()
	want(t, c.get(products+"?page_info="+info+"&updated_at_min=2026"), 400,
		`{"errors":{"updated_at_min":"updated_at_min cannot be passed when page_info is present. See https://shopify.dev/api/usage/pagination-rest for more information."}}`)
	want(t, c.get(products+"?page_info=junk"), 400, "page_info")
	want(t, c.get(products+"?page_info="+cursor{Direction: "next", Filter: "%zz"}.encode()), 400, "page_info")
}

func TestProductLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mintingClient(t, simWith(0))
		a := c.do(http.MethodPost, products, `{"product":{"title":"Teapot","tags":["a","b"],"vendor":"Finch"}}`)
		want(t, a, 201, `"title":"Teapot"`, `"tags":"a, b"`, `"handle":"teapot"`)
		item := a.Header.Get("Location")
		if item != fmt.Sprintf("%s/admin/api/2026-10/products/%d.json", shopURL, firstProductID) {
			t.Errorf("Location %q", item)
		}
		time.Sleep(time.Minute)
		want(t, c.do(http.MethodPut, item, `{"product":{"title":"Kettle"}}`), 200, `"title":"Kettle"`, `"vendor":"Finch"`,
			`"created_at":"1999-12-31T19:00:00-05:00"`, `"updated_at":"1999-12-31T19:01:00-05:00"`)
		want(t, c.do(http.MethodPut, item, `{"product":{"title":" "}}`), 422, `{"errors":{"title":["can't be blank"]}}`)
		want(t, c.get(item+"?fields=title,nothing"), 200, `{"product":{"title":"Kettle"}}`)
		want(t, c.get("/admin/api/2026-10/products/count.json"), 200, `{"count":1}`)
		want(t, c.get("/admin/api/2026-10/products/count.json?vendor=other"), 200, `{"count":0}`)
		want(t, c.do(http.MethodDelete, item, ""), 200, "{}")
		want(t, c.get(item), 404, `{"errors":"Not Found"}`)
		want(t, c.do(http.MethodPatch, products, ""), 405)
	})
}

func TestProductsThatCannotBe(t *testing.T) {
	c := mintingClient(t, simWith(1))
	for body, status := range map[string]int{
		`{"product":{"title":""}}`:                 422,
		`{"product":{"vendor":"x"}}`:               422,
		`{"product":{"title":"x","status":"odd"}}`: 422,
		`{"title":"x"}`:                            400,
		`{`:                                        400,
	} {
		want(t, c.do(http.MethodPost, products, body), status, `"errors"`)
	}
	for _, id := range []string{"1", "x", "-9223372036854775808", "9223372036854775807", "1/variants"} {
		want(t, c.get("/admin/api/2026-10/products/"+id+".json"), 404)
	}
}

func TestScopesAreEnforced(t *testing.T) {
	s := simWith(1)
	s.SetScopes("", "read_products")
	c := mintingClient(t, s)
	want(t, c.get(products), 200)
	want(t, c.do(http.MethodPost, products, `{"product":{"title":"x"}}`), 403,
		`{"errors":"[API] This action requires merchant approval for write_products scope."}`)
	want(t, c.get("/admin/oauth/access_scopes.json"), 200, `{"access_scopes":[{"handle":"read_products"}]}`)
	s.SetScopes("", "write_products")
	c = mintingClient(t, s)
	want(t, c.get(products), 200) // writing implies reading
	want(t, c.do(http.MethodPost, "/admin/oauth/access_scopes.json", ""), 405)
}

func TestVersionsFallForward(t *testing.T) {
	c := mintingClient(t, simWith(0))
	for _, tc := range []struct {
		path, served string
		status       int
		warned       bool
	}{
		{"/admin/api/2026-10/products.json", "2026-10", 200, false},
		{"/admin/api/unstable/products.json", "unstable", 200, false},
		{"/admin/api/2025-01/products.json", "2026-01", 200, true},
		{"/admin/products.json", "2026-01", 200, false},
		{"/admin/api/2030-01/products.json", "", 404, false},
		{"/admin/api/2026-02/products.json", "", 404, false},
		{"/admin/api/2026-10/spoons.json", "2026-10", 404, false},
		{"/admin/api/2026-10/products", "2026-10", 404, false},
	} {
		a := c.get(tc.path)
		want(t, a, tc.status)
		if got := a.Header.Get("X-Shopify-Api-Version"); got != tc.served {
			t.Errorf("%s: served by %q, want %q", tc.path, got, tc.served)
		}
		if got := a.Header.Get("X-Shopify-Api-Version-Warning") != ""; got != tc.warned {
			t.Errorf("%s: warned %v", tc.path, got)
		}
		if old := a.Header.Get("X-Shopify-Api-Deprecated-Reason") != ""; old != (tc.status == 200) {
			t.Errorf("%s: deprecation %v", tc.path, old)
		}
	}
}

func TestRESTBucketFillsAndLeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Settings: Settings{RESTSize: 4, RESTLeak: 2}})
		c := mintingClient(t, s)
		for i := 1; i <= 4; i++ {
			if got := c.get(products).Header.Get("X-Shopify-Shop-Api-Call-Limit"); got != fmt.Sprintf("%d/4", i) {
				t.Errorf("call %d: limit %q", i, got)
			}
		}
		a := c.get(products)
		want(t, a, 429, `{"errors":"Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."}`)
		if a.Header.Get("Retry-After") != "2.0" || a.Header.Get("X-Shopify-Shop-Api-Call-Limit") != "" {
			t.Errorf("header %v", a.Header)
		}
		time.Sleep(500 * time.Millisecond)
		want(t, c.get(products), 200)
		want(t, c.get(products), 429)
		c.token = s.IssueToken("", "", time.Hour)
		want(t, c.get(products), 429) // another token of the same app shares the bucket
		time.Sleep(time.Hour)
		c.token = s.IssueToken("", "", time.Hour)
		if got := c.get(products).Header.Get("X-Shopify-Shop-Api-Call-Limit"); got != "1/4" {
			t.Errorf("after an hour: %q", got)
		}
		s.DrainBuckets("", "")
		want(t, c.get(products), 429)
	})
}

func TestBucketsAreApart(t *testing.T) {
	s := New(Options{Shops: []Shop{{Domain: "a"}, {Domain: "b"}},
		Apps: []App{{ClientID: "1", ClientSecret: "x"}, {ClientID: "2", ClientSecret: "y"}}})
	s.DrainBuckets("a", "1")
	for _, tc := range []struct {
		shop, app string
		status    int
	}{{"a", "1", 429}, {"a", "2", 200}, {"b", "1", 200}} {
		c := newClient(t, s)
		c.token = s.IssueToken(tc.shop, tc.app, 0)
		want(t, c.get("https://"+tc.shop+".myshopify.com"+products), tc.status)
	}
}

func FuzzPageInfo(f *testing.F) {
	f.Add(cursor{Direction: "next", LastID: firstProductID}.encode(), "2")
	f.Add(cursor{Direction: "prev", LastID: firstProductID + 3, Filter: "vendor=x"}.encode(), "")
	f.Add("eyJkaXJlY3Rpb24iOiJuZXh0In0=", "0")
	s := simWith(5)
	s.Change(func(c *Settings) { c.RESTSize = 1 << 30 })
	token := s.IssueToken("", "", 0)
	f.Fuzz(func(t *testing.T, info, limit string) {
		c := newClient(t, s)
		c.token = token
		a := c.get(products + "?" + url.Values{"page_info": {info}, "limit": {limit}}.Encode())
		if a.StatusCode != 200 && a.StatusCode != 400 {
			t.Fatalf("status %d: %s", a.StatusCode, a.body)
		}
		if cur, err := decodeCursor(info); err == nil {
			if again, err := decodeCursor(cur.encode()); err != nil || again != cur {
				t.Fatalf("%+v became %+v (%v)", cur, again, err)
			}
		}
	})
}

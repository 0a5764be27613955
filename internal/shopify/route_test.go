package shopify

import (
	"slices"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/admin/api/2026-10/graphql.json":                             "graphql",
		"/admin/api/unstable/graphql.json":                            "graphql",
		"/admin/api/graphql.json":                                     "graphql",
		"/admin/api/2026-10/shop.json":                                "rest:shop",
		"/admin/api/2026-10/products.json":                            "rest:products",
		"/admin/api/2026-10/products/count.json":                      "rest:products",
		"/admin/api/2026-10/products/632910392.json":                  "rest:products",
		"/admin/api/2026-10/products/632910392/images/850703190.json": "rest:products",
		"/admin/api/2026-10/orders/450789469/fulfillments.json":       "rest:orders",
		"/admin/api/2026-10/access_scopes.json":                       "rest:access_scopes",
		"/admin/api/2026-10/webhooks.json":                            "rest:webhooks",
		"/admin/api/2026-10/shopify_payments/balance.json":            "rest:shopify_payments",
		"/admin/products.json":                                        "rest:products",
		"/admin/products/1.json":                                      "rest:products",
		"/admin/oauth/access_scopes.json":                             "rest:access_scopes",
		"/admin/api/2026-10/brand_new_resource.json":                  "other",
		"/admin/api/2026-10/product.json":                             "other",
		"/admin/api/2026-10/Products.json":                            "other",
		"/admin/api/2026-10/%70roducts.json":                          "rest:products",
		"/admin/api/2026-10/%2570roducts.json":                        "other", // escaped twice, undone once
		"/admin/api/2026-10/":                                         "other",
		"/admin/api/2026-10":                                          "other",
		"/admin/api/":                                                 "other",
		"/admin/":                                                     "other",
		"/admin":                                                      "other",
		"/":                                                           "other",
		"":                                                            "other",
		"*":                                                           "other",
		"/acme.myshopify.com/admin/api/2026-10/products.json":         "other", // the caller gives the path that is forwarded
		"/admin/api/2026-10/" + strings.Repeat("x", 10_000) + "/orders.json": "other",
	} {
		if got := routeOf(path).String(); got != want {
			t.Errorf("%.80s: %s, want %s", path, got, want)
		}
	}
}

// The list is searched by halves.
func TestResourcesAreSorted(t *testing.T) {
	t.Parallel()
	if !slices.IsSorted(restResources[:]) || len(slices.Compact(slices.Clone(restResources[:]))) != len(restResources) {
		t.Error("restResources is not sorted, or lists one twice")
	}
	for i, name := range restResources {
		if r := routeOf("/admin/api/2026-10/" + name + ".json"); r.String() != "rest:"+name || r != routeREST+Route(i) || len(name)+len(jsonSuffix) > longestName {
			t.Errorf("%s: %v", name, r)
		}
	}
	if len(routeNames) != RouteCount || RouteCount > 256 {
		t.Errorf("%d routes do not fit into a Route", len(routeNames))
	}
}

func FuzzRouteOf(f *testing.F) {
	for _, seed := range []string{"/admin/api/2026-10/graphql.json", "/admin/api/x/products/1.json", "/admin/oauth/oauth/x", "/admin/.json", "/admin//api//", "", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := routeOf(path)
		if int(r) >= len(routeNames) || !slices.Contains(routeNames, r.String()) {
			t.Fatalf("%q: %d is on no list", path, r)
		}
		if r != RouteOther && !strings.HasPrefix(path, "/admin/") {
			t.Fatalf("%q: %v", path, r)
		}
		if name := strings.TrimPrefix(r.String(), "rest:"); r != RouteOther && !strings.Contains(unescapeLeniently(path), name) {
			t.Fatalf("%q does not hold %s", path, name)
		}
		if n := testing.AllocsPerRun(1, func() { _ = routeOf(path).String() }); n != 0 {
			t.Fatalf("%q: %v allocations", path, n)
		}
	})
}

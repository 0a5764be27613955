package shopify

import (
	"slices"
	"strings"
)

// Route is the kind of call a path makes, from a closed list, so that no client can grow
// the number of time series. The zero Route is "other".
type Route uint8

// restResources are the first path segments of the REST Admin API that get a route of
// their own. Anything else is "other".
var restResources = [...]string{
	"access_scopes", "articles", "assigned_fulfillment_orders", "blogs", "carrier_services", "checkouts", "collections",
	"collects", "comments", "countries", "currencies", "custom_collections", "customers", "discount_codes", "draft_orders",
	"events", "fulfillment_orders", "fulfillment_services", "fulfillments", "gift_cards", "inventory_items",
	"inventory_levels", "locations", "marketing_events", "metafields", "orders", "pages", "policies", "price_rules",
	"product_images", "products", "redirects", "refunds", "reports", "script_tags", "shipping_zones", "shop",
	"shopify_payments", "smart_collections", "storefront_access_tokens", "tender_transactions", "themes", "users", "variants", "webhooks",
}

const (
	// RouteOther is everything without a route of its own, refused requests included.
	RouteOther Route = iota
	// RouteGraphQL is the GraphQL Admin API.
	RouteGraphQL
	routeREST // + the resource's place in restResources
)

// RouteCount is how many routes there are. Every Route is less.
const RouteCount = int(routeREST) + len(restResources)

var routeNames = func() []string {
	names := []string{"other", "graphql"}
	for _, r := range restResources {
		names = append(names, "rest:"+r)
	}
	return names
}()

// routeOf classifies a raw path without its query: /admin/api/{version}/… or /admin/….
// It allocates nothing.
func routeOf(path string) Route {
	rest, ok := strings.CutPrefix(path, "/admin/")
	if !ok {
		return RouteOther
	}
	if versioned, ok := strings.CutPrefix(rest, "api/"); ok {
		_, rest, _ = strings.Cut(versioned, "/")
	}
	rest = strings.TrimPrefix(rest, "oauth/")
	name, _, _ := strings.Cut(rest, "/")
	name = strings.TrimSuffix(name, ".json")
	if name == "graphql" {
		return RouteGraphQL
	}
	if i, found := slices.BinarySearch(restResources[:], name); found {
		return routeREST + Route(i)
	}
	return RouteOther
}

// String returns the name, which is also the value of the metrics' label.
func (r Route) String() string { return routeNames[r] }

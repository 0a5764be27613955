package shopify

import (
	"strings"

	"evergate/internal/ascii"
)

const (
	jsonSuffix = ".json"
	// longestName has room for every resource with its suffix.
	longestName = 40
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

// routeOf classifies a raw path without its query: /admin/api/{version}/… or /admin/…, with
// escapes undone once, as Shopify does. GraphQL may also stand where the version is missing.
// It allocates nothing.
func routeOf(path string) Route {
	rest, ok := strings.CutPrefix(path, adminPrefix)
	if !ok {
		return RouteOther
	}
	var buf [longestName]byte
	segment, rest, _ := strings.Cut(rest, "/")
	switch name := decodeOnce(buf[:0], segment); string(name) {
	case "api":
		if segment, rest, _ = strings.Cut(rest, "/"); rest == "" {
			if route := routeNamed(decodeOnce(buf[:0], segment), true); route == RouteGraphQL {
				return route
			}
			return RouteOther
		}
		segment, rest, _ = strings.Cut(rest, "/")
	case "oauth":
		segment, _, _ = strings.Cut(rest, "/")
		return routeNamed(decodeOnce(buf[:0], segment), false)
	}
	return routeNamed(decodeOnce(buf[:0], segment), rest == "")
}

// routeNamed finds a resource by its name; ends says that nothing follows but a slash, which
// GraphQL needs.
func routeNamed(name []byte, ends bool) Route {
	if n := len(name) - len(jsonSuffix); n >= 0 && string(name[n:]) == jsonSuffix {
		name = name[:n]
	}
	if string(name) == "graphql" {
		if ends {
			return RouteGraphQL
		}
		return RouteOther
	}
	low, high := 0, len(restResources)
	for low < high {
		switch mid := (low + high) / 2; {
		case restResources[mid] == string(name):
			return routeREST + Route(mid)
		case restResources[mid] < string(name):
			low = mid + 1
		default:
			high = mid
		}
	}
	return RouteOther
}

// decodeOnce appends a segment without its escapes to dst; nothing at all of one that is longer
// than dst has room for, or that has a percent sign which begins no escape.
func decodeOnce(dst []byte, segment string) []byte {
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' {
			if len(segment)-i < 3 || !ascii.IsHex(segment[i+1]) || !ascii.IsHex(segment[i+2]) {
				return nil
			}
			c = ascii.Unhex(segment[i+1])<<4 | ascii.Unhex(segment[i+2])
			i += 2
		}
		if len(dst) == cap(dst) {
			return nil
		}
		dst = append(dst, c)
	}
	return dst
}

// String returns the name, which is also the value of the metrics' label.
func (r Route) String() string { return routeNames[r] }

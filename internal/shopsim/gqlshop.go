package shopsim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// gqlTime is UTC, unlike REST's shop-local time.
func gqlTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// gid is the id that GraphQL knows an object by.
func gid(kind string, id int64) string {
	return "gid://shopify/" + kind + "/" + strconv.FormatInt(id, 10)
}

// gidOf reads the id of an object of one kind, as GraphQL or as REST writes it.
func gidOf(kind string, v any) (int64, bool) {
	text, _ := v.(string)
	id, err := strconv.ParseInt(strings.TrimPrefix(text, "gid://shopify/"+kind+"/"), 10, 64)
	return id, err == nil
}

// apiVersion is one of the versions that the API says it has.
type apiVersion struct {
	handle    string
	supported bool
}

// theme is the one that every shop has.
type theme struct{}

func (theme) key() int64 { return firstThemeID }

const firstThemeID = 150_000_000_001

func themeFields() gqlFields {
	return gqlFields{
		"id":         leaf(func(th theme) any { return gid("OnlineStoreTheme", th.key()) }),
		"name":       leaf(func(theme) any { return "Plain" }),
		"role":       leaf(func(theme) any { return "MAIN" }),
		"processing": leaf(func(theme) any { return false }),
	}
}

func shopResolvers() map[string]gqlFields {
	theShop := func(r *gqlRun, _ any, _ map[string]any) any { return r.q.shop }
	return map[string]gqlFields{
		gqlQuery: {
			"shop":                   {resolve: theShop},
			"currentAppInstallation": {resolve: func(r *gqlRun, _ any, _ map[string]any) any { return r.token }},
			"publicApiVersions":      {resolve: func(r *gqlRun, _ any, _ map[string]any) any { return r.sim.apiVersions() }},
			"themes": connection("read_themes", func(*gqlRun, any, map[string]any) gqlListing[theme] {
				return gqlListing[theme]{items: []theme{{}}}
			}),
			"node": {resolve: func(r *gqlRun, _ any, args map[string]any) any { return r.node(args["id"]) }},
			"nodes": {resolve: func(r *gqlRun, _ any, args map[string]any) any {
				out := []any{}
				for _, id := range args["ids"].([]any) {
					out = append(out, r.node(id))
				}
				return out
			}},
		},
		"OnlineStoreTheme": themeFields(),
		"Shop":             shopFields(),
		"Domain": {
			"host": leaf(func(sh *shop) any { return sh.domain }),
			"url":  leaf(func(sh *shop) any { return "https://" + sh.domain }),
		},
		"ShopPlan": {
			"displayName":        leaf(func(*shop) any { return "Basic" }),
			"publicDisplayName":  leaf(func(*shop) any { return "Basic" }),
			"partnerDevelopment": leaf(func(*shop) any { return false }),
			"shopifyPlus":        leaf(func(*shop) any { return false }),
		},
		"AppInstallation": {
			"id":           leaf(func(t *token) any { return gid("AppInstallation", t.shop.id) }),
			"accessScopes": leaf(func(t *token) any { return anyList(t.scopes) }),
			"app":          leaf(func(t *token) any { return t.app }),
		},
		"AccessScope": {
			"handle":      leaf(func(handle string) any { return handle }),
			"description": leaf(func(handle string) any { return "Simulated scope " + handle }),
		},
		"App": {
			"id":     leaf(func(*app) any { return gid("App", 1) }),
			"title":  leaf(func(*app) any { return "Simulated app" }),
			"handle": leaf(func(*app) any { return "simulated-app" }),
		},
		"ApiVersion": {
			"handle":      leaf(func(v apiVersion) any { return v.handle }),
			"displayName": leaf(func(v apiVersion) any { return v.handle }),
			"supported":   leaf(func(v apiVersion) any { return v.supported }),
		},
		"UserError": userErrors(false),
		"Count": {
			"count":     leaf(func(n int) any { return n }),
			"precision": leaf(func(int) any { return "EXACT" }),
		},
		"PageInfo": pageInfoFields(),
	}
}

func shopFields() gqlFields {
	return gqlFields{
		"id":              leaf(func(sh *shop) any { return gid("Shop", sh.id) }),
		"name":            leaf(func(sh *shop) any { return sh.name }),
		"email":           leaf(func(*shop) any { return "owner@example.com" }),
		"myshopifyDomain": leaf(func(sh *shop) any { return sh.domain }),
		"url":             leaf(func(sh *shop) any { return "https://" + sh.domain }),
		"currencyCode":    leaf(func(*shop) any { return shopCurrency }),
		"ianaTimezone":    leaf(func(*shop) any { return "America/New_York" }),
		"primaryDomain":   leaf(func(sh *shop) any { return sh }),
		"plan":            leaf(func(sh *shop) any { return sh }),
	}
}

func pageInfoFields() gqlFields {
	return gqlFields{
		"hasNextPage":     leaf(func(p gqlPage) any { return p.hasNext }),
		"hasPreviousPage": leaf(func(p gqlPage) any { return p.hasPrior }),
		"startCursor":     leaf(func(p gqlPage) any { return p.cursor(0) }),
		"endCursor":       leaf(func(p gqlPage) any { return p.cursor(len(p.items) - 1) }),
	}
}

func (p gqlPage) cursor(i int) any {
	if len(p.items) == 0 {
		return nil
	}
	return cursorOf(p.items[i])
}

func (s *Sim) apiVersions() []any {
	var out []any
	for i, handle := range s.opts.Versions {
		candidate := i > 0 && i == len(s.opts.Versions)-1 // the last one is not stable yet
		out = append(out, apiVersion{handle, !candidate})
	}
	return append(out, apiVersion{"unstable", false})
}

// gqlTypeOf names the object type of what an interface can be.
func gqlTypeOf(v any) string {
	switch v.(type) {
	case *shop:
		return "Shop"
	case *token:
		return "AppInstallation"
	case *app:
		return "App"
	case *product:
		return "Product"
	case *variant:
		return "ProductVariant"
	case *inventoryItem:
		return "InventoryItem"
	case *inventoryLevel:
		return "InventoryLevel"
	case *location:
		return "Location"
	case *customer:
		return "Customer"
	case *order:
		return "Order"
	case *lineItem:
		return "LineItem"
	case *bulkOperation:
		return "BulkOperation"
	case *adjustment:
		return "InventoryAdjustmentGroup"
	}
	panic(fmt.Sprintf("shopsim: %T is no GraphQL object", v))
}

// node finds an object by its id alone. What the token may not read is not there.
func (r *gqlRun) node(id any) any {
	text, _ := id.(string)
	kind, _, _ := strings.Cut(strings.TrimPrefix(text, "gid://shopify/"), "/")
	find := map[string]struct {
		scope string
		get   func() any
	}{
		"Shop":            {"", func() any { return r.q.shop }},
		"AppInstallation": {"", func() any { return r.token }},
		"App":             {"", func() any { return r.token.app }},
		"Product":         {"read_products", func() any { return r.productByID(id) }},
		"ProductVariant":  {"read_products", func() any { return r.variantByID(id) }},
		"InventoryItem":   {"read_inventory", func() any { return r.itemByID(id) }},
		"InventoryLevel":  {"read_inventory", func() any { return r.levelByID(id) }},
		"Location":        {"read_locations", func() any { return r.locationByID(id) }},
		"BulkOperation":   {"", func() any { return r.bulkByID(id) }},
		"Order":           {"read_orders", func() any { return r.orderByID(id) }},
		"Customer":        {"read_customers", func() any { return r.customerByID(id) }},
	}[kind]
	if find.get == nil || !r.token.allows(find.scope) {
		return nil
	}
	return find.get()
}

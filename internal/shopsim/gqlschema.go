package shopsim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// gqlSchema is the part of the Admin API's schema that exists here.
type gqlSchema struct {
	query    *gqlType
	mutation *gqlType
	types    map[string]*gqlType // by name
}

// gqlType is an object type.
type gqlType struct {
	name   string
	weight int // cost of one such object
	fields map[string]*gqlField
}

// gqlField is a field of an object type.
type gqlField struct {
	of    *gqlType // nil: a scalar
	list  bool
	args  map[string]gqlInput
	scope string // that the token must have
	price int    // of a mutation, with everything in it
	// check says what is wrong with the arguments taken together, "" if nothing.
	check func(args map[string]any) string
	// resolve returns nil, a scalar, an object for of, or a []any of such.
	resolve func(r *gqlRun, parent any, args map[string]any) any
}

func (t *gqlType) field(name string) *gqlField {
	if name == "__typename" {
		return &gqlField{}
	}
	return t.fields[name]
}

const mutationPrice = 10

func newGQLSchema() *gqlSchema {
	s := &gqlSchema{types: map[string]*gqlType{}}
	product := s.product()
	s.query = s.add("QueryRoot", 0, map[string]*gqlField{
		"shop":                   {of: s.shop(), resolve: func(r *gqlRun, _ any, _ map[string]any) any { return r.q.shop }},
		"product":                productByID(product),
		"products":               s.products(product),
		"productsCount":          s.productsCount(),
		"currentAppInstallation": s.installation(),
		"publicApiVersions":      s.versions(),
	})
	errorType := s.add("UserError", 0, map[string]*gqlField{
		"field":   leaf(func(e userError) any { return e.field }),
		"message": leaf(func(e userError) any { return e.message }),
	})
	s.mutation = s.add("Mutation", 0, map[string]*gqlField{
		"productCreate": s.productCreate(product, errorType),
		"appUninstall":  s.appUninstall(errorType),
	})
	return s
}

func (s *gqlSchema) add(name string, weight int, fields map[string]*gqlField) *gqlType {
	t := &gqlType{name: name, weight: weight, fields: fields}
	s.types[name] = t
	return t
}

// leaf is a scalar that only depends on its object.
func leaf[T any](get func(T) any) *gqlField {
	return &gqlField{resolve: func(_ *gqlRun, parent any, _ map[string]any) any { return get(parent.(T)) }}
}

// object is an object that only depends on its parent.
func object[T any](of *gqlType, get func(T) any) *gqlField {
	f := leaf(get)
	f.of = of
	return f
}

// gqlTime is UTC, unlike REST's shop-local time.
func gqlTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (s *gqlSchema) shop() *gqlType {
	domain := s.add("Domain", 1, map[string]*gqlField{
		"host": leaf(func(sh *shop) any { return sh.domain }),
		"url":  leaf(func(sh *shop) any { return "https://" + sh.domain }),
	})
	plan := s.add("ShopPlan", 1, map[string]*gqlField{
		"displayName":        leaf(func(*shop) any { return "Basic" }),
		"partnerDevelopment": leaf(func(*shop) any { return false }),
		"shopifyPlus":        leaf(func(*shop) any { return false }),
	})
	itself := func(sh *shop) any { return sh }
	return s.add("Shop", 1, map[string]*gqlField{
		"id":              leaf(func(sh *shop) any { return fmt.Sprintf("gid://shopify/Shop/%d", sh.id) }),
		"name":            leaf(func(sh *shop) any { return sh.name }),
		"email":           leaf(func(*shop) any { return "owner@example.com" }),
		"myshopifyDomain": leaf(func(sh *shop) any { return sh.domain }),
		"url":             leaf(func(sh *shop) any { return "https://" + sh.domain }),
		"currencyCode":    leaf(func(*shop) any { return "USD" }),
		"ianaTimezone":    leaf(func(*shop) any { return "America/New_York" }),
		"primaryDomain":   object(domain, itself),
		"plan":            object(plan, itself),
	})
}

func (s *gqlSchema) product() *gqlType {
	return s.add("Product", 1, map[string]*gqlField{
		"id":               leaf(func(p *product) any { return p.gid() }),
		"legacyResourceId": leaf(func(p *product) any { return strconv.FormatInt(p.id, 10) }),
		"title":            leaf(func(p *product) any { return p.title }),
		"handle":           leaf(func(p *product) any { return p.handle }),
		"descriptionHtml":  leaf(func(p *product) any { return p.bodyHTML }),
		"vendor":           leaf(func(p *product) any { return p.vendor }),
		"productType":      leaf(func(p *product) any { return p.productType }),
		"status":           leaf(func(p *product) any { return strings.ToUpper(p.status) }),
		"tags":             leaf(func(p *product) any { return splitTags(p.tags) }),
		"createdAt":        leaf(func(p *product) any { return gqlTime(p.created) }),
		"updatedAt":        leaf(func(p *product) any { return gqlTime(p.updated) }),
	})
}

func splitTags(tags string) []string {
	out := []string{}
	for _, tag := range strings.Split(tags, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			out = append(out, tag)
		}
	}
	return out
}

func (s *gqlSchema) installation() *gqlField {
	scope := s.add("AccessScope", 1, map[string]*gqlField{
		"handle":      leaf(func(handle string) any { return handle }),
		"description": leaf(func(handle string) any { return "Simulated scope " + handle }),
	})
	appType := s.add("App", 1, map[string]*gqlField{
		"id":     leaf(func(*token) any { return "gid://shopify/App/1" }),
		"title":  leaf(func(*token) any { return "Simulated app" }),
		"handle": leaf(func(*token) any { return "simulated-app" }),
	})
	scopes := object(scope, func(t *token) any { return anyList(t.scopes) })
	scopes.list = true
	of := s.add("AppInstallation", 1, map[string]*gqlField{
		"id":           leaf(func(t *token) any { return fmt.Sprintf("gid://shopify/AppInstallation/%d", t.shop.id) }),
		"accessScopes": scopes,
		"app":          object(appType, func(t *token) any { return t }),
	})
	return &gqlField{of: of, resolve: func(r *gqlRun, _ any, _ map[string]any) any { return r.token }}
}

func (s *gqlSchema) versions() *gqlField {
	type version struct {
		handle    string
		supported bool
	}
	of := s.add("ApiVersion", 1, map[string]*gqlField{
		"handle":      leaf(func(v version) any { return v.handle }),
		"displayName": leaf(func(v version) any { return v.handle }),
		"supported":   leaf(func(v version) any { return v.supported }),
	})
	return &gqlField{of: of, list: true, resolve: func(r *gqlRun, _ any, _ map[string]any) any {
		var out []any
		for i, handle := range r.sim.opts.Versions {
			candidate := i > 0 && i == len(r.sim.opts.Versions)-1 // the last one is not stable yet
			out = append(out, version{handle, !candidate})
		}
		return append(out, version{"unstable", false})
	}}
}

func anyList[T any](items []T) []any {
	out := []any{}
	for _, item := range items {
		out = append(out, item)
	}
	return out
}

// userError is a mistake in the input of a mutation.
type userError struct {
	field   []string
	message string
}

// appUninstall removes the calling app, like DELETE /admin/api_permissions/current.json.
func (s *gqlSchema) appUninstall(errorType *gqlType) *gqlField {
	errs := object(errorType, func(struct{}) any { return []any{} })
	errs.list = true
	payload := s.add("AppUninstallPayload", 0, map[string]*gqlField{"userErrors": errs})
	return &gqlField{of: payload, price: mutationPrice, resolve: func(r *gqlRun, _ any, _ map[string]any) any {
		r.sim.uninstall(r.q.shop, r.token.app, r.q.now)
		return struct{}{}
	}}
}

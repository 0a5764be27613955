package shopsim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// api answers everything that needs an access token.
func (s *Sim) api(q *request) *response {
	t, refused := s.admit(q)
	if refused != nil {
		return refused
	}
	switch q.route.name {
	case routeScopes, routeUninstall:
		if resp := s.canned(q, "", nil); resp != nil {
			return resp
		}
	}
	switch q.route.name {
	case routeScopes:
		return accessScopes(q, t)
	case routeUninstall:
		if q.Method != http.MethodDelete {
			return methodNotAllowed(http.MethodDelete)
		}
		s.uninstall(q.shop, t.app, q.now)
		return jsonResponse(http.StatusOK, struct{}{})
	}
	served, fellForward := s.serveVersion(q.route.version)
	if served == "" {
		return notFound()
	}
	q.version = served
	resp := s.versioned(q, t)
	resp.header.Set("X-Shopify-Api-Version", served)
	if fellForward {
		resp.header.Set("X-Shopify-Api-Version-Warning", "https://shopify.dev/concepts/about-apis/versioning")
	}
	return resp
}

func (s *Sim) versioned(q *request, t *token) *response {
	if q.route.name == routeGraphQL {
		return s.graphQL(q, t)
	}
	c := s.state.settings
	used, ok := q.shop.bucketsOf(t.app.id).takeREST(c, q.now)
	if !ok {
		q.throttled = true
		return tooManyCalls(c)
	}
	q.isWrite = q.Method == http.MethodPost
	resp := s.canned(q, "", nil)
	if resp == nil {
		resp = s.rest(q, t)
	}
	limit := fmt.Sprintf("%d/%d", used, c.RESTSize)
	resp.header.Set("X-Shopify-Shop-Api-Call-Limit", limit)
	resp.header.Set("Http_x_shopify_shop_api_call_limit", limit)
	if q.route.name == routeProducts {
		resp.header.Set("X-Shopify-Api-Deprecated-Reason", "https://shopify.dev/api/admin-rest/latest/resources/product")
	}
	return resp
}

const tooManyCallsText = "Exceeded %g calls per second for api client. Reduce request rates to resume uninterrupted service."

// tooManyCalls has no call-limit header: the real one is absent exactly here.
func tooManyCalls(c Settings) *response {
	resp := jsonErrors(http.StatusTooManyRequests, fmt.Sprintf(tooManyCallsText, c.RESTLeak))
	resp.header.Set("Retry-After", orDefault(c.RESTRetryAfter, fmt.Sprintf("%.1f", c.RESTLeak)))
	return resp
}

func accessScopes(q *request, t *token) *response {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		return methodNotAllowed(http.MethodGet)
	}
	type handle struct {
		Handle string `json:"handle"`
	}
	list := []handle{}
	for _, scope := range t.scopes {
		list = append(list, handle{scope})
	}
	return jsonResponse(http.StatusOK, map[string]any{"access_scopes": list})
}

// rest answers the REST resources.
func (s *Sim) rest(q *request, t *token) *response {
	parts := strings.Split(q.route.resource, "/")
	resource, known := restResources()[parts[0]]
	if !known {
		return notFound()
	}
	scope := resource.scope
	if scope != "" && !isRead(q.Method) {
		scope = strings.Replace(scope, "read_", "write_", 1)
	}
	if !t.allows(scope) {
		return jsonErrors(http.StatusForbidden, fmt.Sprintf("[API] This action requires merchant approval for %s scope.", scope))
	}
	return resource.answer(s, q, parts[1:])
}

// restResource is what stands first in a path.
type restResource struct {
	route  string
	scope  string // that reading takes; writing takes the write scope
	answer func(s *Sim, q *request, below []string) *response
}

// restResources are all that there are.
var restResources = sync.OnceValue(func() map[string]restResource {
	return map[string]restResource{
		"shop":             {routeShop, "", restShop},
		"products":         {routeProducts, "read_products", restProducts},
		"variants":         {routeVariants, "read_products", restVariants},
		"inventory_items":  {routeInventory, "read_inventory", restItems},
		"inventory_levels": {routeInventory, "read_inventory", restLevels},
		"locations":        {routeLocations, "read_locations", restLocations},
		"orders":           {routeOrders, "read_orders", restOrders},
		"customers":        {routeCustomers, "read_customers", restCustomers},
	}
})

func restShop(_ *Sim, q *request, below []string) *response {
	if len(below) > 0 {
		return notFound()
	}
	if !isRead(q.Method) {
		return methodNotAllowed(http.MethodGet)
	}
	return jsonResponse(http.StatusOK, map[string]any{"shop": q.shop.restView()})
}

// readOnly answers a resource that can only be read: the list, how many there are, and each by its id.
func readOnly[T gqlNode](q *request, below []string, one string, l restList[T]) *response {
	switch {
	case !isRead(q.Method):
		return methodNotAllowed(http.MethodGet)
	case len(below) == 0:
		return l.page(q)
	case len(below) > 1:
		return notFound()
	case below[0] == "count":
		return l.count(q)
	}
	id, err := strconv.ParseInt(below[0], 10, 64)
	if i, found := slices.BinarySearchFunc(l.items, id, func(item T, id int64) int { return cmp.Compare(item.key(), id) }); err == nil && found {
		return jsonResponse(http.StatusOK, map[string]any{one: reduced(l.view(l.items[i]), fieldList(q.URL.Query()))})
	}
	return notFound()
}

func (sh *shop) productList() restList[*product] {
	return restList[*product]{name: "products", items: sh.products.list, filters: productFilters, match: (*product).matches, view: sh.productView}
}

func restProducts(_ *Sim, q *request, below []string) *response {
	switch {
	case len(below) == 0:
		return productCollection(q)
	case len(below) == 2 && below[1] == "variants":
		id, err := strconv.ParseInt(below[0], 10, 64)
		p := q.shop.products.get(id)
		if err != nil || p == nil {
			return notFound()
		}
		return readOnly(q, nil, "variant", variantList(q.shop.variantsOf(p)))
	case len(below) > 1:
		return notFound()
	case below[0] == "count":
		if !isRead(q.Method) {
			return methodNotAllowed(http.MethodGet)
		}
		return q.shop.productList().count(q)
	}
	return productItem(q, below[0])
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

func (sh *shop) restView() map[string]any {
	return map[string]any{
		"id": sh.id, "name": sh.name, "email": "owner@example.com", "domain": sh.domain,
		"myshopify_domain": sh.domain, "currency": "USD", "country_code": "US", "timezone": "(GMT-05:00) America/New_York",
		"iana_timezone": "America/New_York", "plan_name": "basic", "plan_display_name": "Basic",
		"created_at": restTime(seedTime), "updated_at": restTime(seedTime),
	}
}

func productCollection(q *request) *response {
	switch {
	case isRead(q.Method):
		return q.shop.productList().page(q)
	case q.Method == http.MethodPost:
		return createProduct(q)
	}
	return methodNotAllowed("GET, POST")
}

func createProduct(q *request) *response {
	fields, refused := productBody(q)
	if refused != nil {
		return refused
	}
	p, problems := q.shop.products.create(fields, q.now)
	if problems != nil {
		return jsonErrors(http.StatusUnprocessableEntity, problems)
	}
	resp := jsonResponse(http.StatusCreated, map[string]any{"product": q.shop.productView(p)})
	dir, _ := strings.CutSuffix(strings.TrimRight(q.URL.Path, "/"), ".json")
	location := url.URL{Scheme: "https", Host: q.shop.domain, Path: fmt.Sprintf("%s/%d.json", dir, p.id)}
	resp.header.Set("Location", location.String())
	return resp
}

func productItem(q *request, idText string) *response {
	id, err := strconv.ParseInt(idText, 10, 64)
	p := q.shop.products.get(id)
	if err != nil || p == nil {
		return notFound()
	}
	switch {
	case isRead(q.Method):
		return jsonResponse(http.StatusOK, map[string]any{"product": reduced(q.shop.productView(p), fieldList(q.URL.Query()))})
	case q.Method == http.MethodDelete:
		q.shop.products.remove(id)
		return jsonResponse(http.StatusOK, struct{}{})
	case q.Method == http.MethodPut:
		return updateProduct(q, p)
	}
	return methodNotAllowed("GET, PUT, DELETE")
}

func updateProduct(q *request, p *product) *response {
	fields, refused := productBody(q)
	if refused != nil {
		return refused
	}
	if problems := p.update(fields, q.now); problems != nil {
		return jsonErrors(http.StatusUnprocessableEntity, problems)
	}
	return jsonResponse(http.StatusOK, map[string]any{"product": q.shop.productView(p)})
}

// productBody reads {"product": {...}}.
func productBody(q *request) (map[string]any, *response) {
	var body struct {
		Product map[string]any `json:"product"`
	}
	dec := json.NewDecoder(bytes.NewReader(q.body))
	dec.UseNumber()
	if err := dec.Decode(&body); err != nil || body.Product == nil {
		return nil, jsonErrors(http.StatusBadRequest, map[string]string{"product": "Required parameter missing or invalid"})
	}
	return body.Product, nil
}

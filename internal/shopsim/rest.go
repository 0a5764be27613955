package shopsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// api answers everything that needs an access token.
func (s *Sim) api(q *request) *response {
	t, refused := s.admit(q)
	if refused != nil {
		return refused
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
		return tooManyCalls(c)
	}
	resp := s.rest(q, t)
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
	if q.route.name == routeShop {
		if !isRead(q.Method) {
			return methodNotAllowed(http.MethodGet)
		}
		return jsonResponse(http.StatusOK, map[string]any{"shop": q.shop.restView()})
	}
	if q.route.name != routeProducts {
		return notFound()
	}
	if scope := productScope(q.Method); !t.allows(scope) {
		return jsonErrors(http.StatusForbidden,
			fmt.Sprintf("[API] This action requires merchant approval for %s scope.", scope))
	}
	switch id, isItem := strings.CutPrefix(q.route.resource, "products/"); {
	case !isItem:
		return s.productCollection(q)
	case id == "count":
		return countProducts(q)
	default:
		return productItem(q, id)
	}
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

func productScope(method string) string {
	if isRead(method) {
		return "read_products"
	}
	return "write_products"
}

func (sh *shop) restView() map[string]any {
	return map[string]any{
		"id": sh.id, "name": sh.name, "email": "owner@example.com", "domain": sh.domain,
		"myshopify_domain": sh.domain, "currency": "USD", "country_code": "US", "timezone": "(GMT-05:00) America/New_York",
		"iana_timezone": "America/New_York", "plan_name": "basic", "plan_display_name": "Basic",
		"created_at": restTime(seedTime), "updated_at": restTime(seedTime),
	}
}

func (s *Sim) productCollection(q *request) *response {
	switch {
	case isRead(q.Method):
		return s.listProducts(q)
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
	resp := jsonResponse(http.StatusCreated, map[string]any{"product": p.restView(nil)})
	dir, _ := strings.CutSuffix(strings.TrimRight(q.URL.Path, "/"), ".json")
	location := url.URL{Scheme: "https", Host: q.shop.domain, Path: fmt.Sprintf("%s/%d.json", dir, p.id)}
	resp.header.Set("Location", location.String())
	return resp
}

func countProducts(q *request) *response {
	if !isRead(q.Method) {
		return methodNotAllowed(http.MethodGet)
	}
	count := len(q.shop.products.matching(q.URL.Query()))
	return jsonResponse(http.StatusOK, map[string]int{"count": count})
}

func productItem(q *request, idText string) *response {
	id, err := strconv.ParseInt(idText, 10, 64)
	p := q.shop.products.get(id)
	if err != nil || p == nil {
		return notFound()
	}
	switch {
	case isRead(q.Method):
		return jsonResponse(http.StatusOK, map[string]any{"product": p.restView(fieldList(q.URL.Query()))})
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
	return jsonResponse(http.StatusOK, map[string]any{"product": p.restView(nil)})
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

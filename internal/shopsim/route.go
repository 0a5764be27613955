package shopsim

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The routes that counters, journal and faults know.
const (
	routeToken     = "token"
	routeAuthorize = "authorize"
	routeScopes    = "access_scopes"
	routeUninstall = "uninstall"
	routeGraphQL   = "graphql"
	routeProducts  = "rest:products"
	routeVariants  = "rest:variants"
	routeInventory = "rest:inventory"
	routeLocations = "rest:locations"
	routeOrders    = "rest:orders"
	routeCustomers = "rest:customers"
	routeShop      = "rest:shop"
	routeREST      = "rest:other"
	routeFiles     = "files"
	routeOther     = "other"
)

// route is what a path means.
type route struct {
	name     string // one of the constants above
	version  string // as asked for; "" in an unversioned path
	resource string // below the version, without ".json": "products/17"
}

// isREST tells whether the route draws on the REST bucket.
func (r route) isREST() bool { return strings.HasPrefix(r.name, "rest:") }

// parseRoute reads a decoded path. It is as forgiving as a Rails application:
// repeated and trailing slashes do not matter, and ".json" may be missing from
// the OAuth paths and that of GraphQL. A proxy that guards those paths must not be stricter than
// the server behind it, so the server in its tests must not be strict.
func parseRoute(path string) route {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	if len(parts) > 0 && (parts[0] == stagedPath || parts[0] == resultPath) {
		return route{name: routeFiles}
	}
	if len(parts) < 2 || parts[0] != "admin" {
		return route{name: routeOther}
	}
	rest := strings.Join(parts[1:], "/")
	switch strings.TrimSuffix(rest, ".json") {
	case "oauth/access_token":
		return route{name: routeToken}
	case "oauth/authorize":
		return route{name: routeAuthorize}
	case "oauth/access_scopes":
		return route{name: routeScopes}
	case "api_permissions/current":
		return route{name: routeUninstall}
	}
	version := ""
	if parts[1] == "api" && len(parts) > 2 && (len(parts) > 3 || strings.TrimSuffix(parts[2], ".json") != routeGraphQL) {
		version, rest = parts[2], strings.Join(parts[3:], "/")
	}
	if parts[1] == "api" && version == "" {
		rest = strings.TrimPrefix(rest, "api/")
	}
	resource, isJSON := strings.CutSuffix(rest, ".json")
	if !isJSON && resource != routeGraphQL {
		return route{name: routeREST, version: version}
	}
	return route{name: resourceRoute(resource), version: version, resource: resource}
}

func resourceRoute(resource string) string {
	if resource == "graphql" {
		return routeGraphQL
	}
	first, _, _ := strings.Cut(resource, "/")
	if r, known := restResources()[first]; known {
		return r.route
	}
	return routeREST
}

// serveVersion answers which API version serves a request for asked, and
// whether it fell forward. "" means that there is no such version.
func (s *Sim) serveVersion(asked string) (served string, fellForward bool) {
	oldest := s.opts.Versions[0]
	switch {
	case asked == "":
		return oldest, false
	case asked == "unstable", slices.Contains(s.opts.Versions, asked):
		return asked, false
	case quarterly().MatchString(asked) && asked < oldest:
		return oldest, true
	}
	return "", false
}

// shopByHost finds the shop whose myshopify domain a Host header names.
func (s *Sim) shopByHost(host string) *shop {
	name := hostName(host)
	if s.opts.LocalhostShop != "" && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, name) {
		name = shopDomain(s.opts.LocalhostShop)
	}
	return s.shopNamed(name)
}

func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// misdirected answers a request on a connection that is not for its host (RFC 9110, 15.5.20). Nothing is carried out.
func misdirected() *response {
	return htmlPage(http.StatusMisdirectedRequest, "421 Misdirected Request", "421", "The connection is for another name")
}

// unknownHost answers for names that are not a myshopify domain of ours.
func (s *Sim) unknownHost(q *request) *response {
	sh := s.state.custom[hostName(q.Host)]
	if sh == nil {
		return htmlPage(http.StatusNotFound, "Store unavailable", "Sorry, this store is currently unavailable.", "")
	}
	target := url.URL{Scheme: "https", Host: sh.domain, Path: q.URL.Path, RawPath: q.URL.RawPath, RawQuery: q.URL.RawQuery}
	resp := htmlPage(http.StatusMovedPermanently, "301 Moved Permanently", "301", "")
	resp.header.Set("Location", target.String())
	return resp
}

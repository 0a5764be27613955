package shopify

import (
	"net/http"
	"testing"

	"evergate/internal/shopsim"
)

// The simulator has a route table of its own and shares no code with this package.
func TestSimulatorReadsPathsAlike(t *testing.T) {
	t.Parallel()
	sim := shopsim.New(shopsim.Options{})
	for path, want := range map[string]string{
		"/admin/api/2026-10/graphql.json":    "graphql",
		"/admin/api/unstable/graphql.json":   "graphql",
		"/admin/graphql.json":                "graphql",
		"/admin/api/2026-10/products.json":   "rest:products",
		"/admin/api/2026-10/products/1.json": "rest:products",
		"/admin/products.json":               "rest:products",
		"/admin/api/2026-10/shop.json":       "rest:shop",
		"/admin/oauth/access_scopes.json":    "rest:access_scopes",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+shopsim.DefaultShop+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := sim.RoundTripper().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		all := sim.Journal()
		simulated := all[len(all)-1].Route
		if simulated == "access_scopes" {
			simulated = "rest:" + simulated // the same route by another name
		}
		if got := parse(t, path).Route.String(); got != want || simulated != want {
			t.Errorf("%s: %s here, %s there, want %s", path, got, simulated, want)
		}
	}
}

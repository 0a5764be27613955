package inject

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"evergate/internal/access"
	"evergate/internal/denial"
	"evergate/internal/guard"
	"evergate/internal/pace"
	"evergate/internal/request"
	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// One list of spellings goes through everything that has an opinion on what a path is: the
// table, the policy, the pacer's buckets, the metrics, and the simulator, which shares no code
// with any of them.
func TestEveryoneReadsAPathAlike(t *testing.T) {
	t.Parallel()
	const query = `{"query":"{ shop { name } }"}`
	shop, err := token.ParseShop(shopDomain)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := access.New(access.Options{Policy: "read-only"})
	if err != nil {
		t.Fatal(err)
	}
	readOnly, err := guard.New(guard.Options{Shops: guard.One(shop), Access: rules})
	if err != nil {
		t.Fatal(err)
	}
	for path, graphQL := range map[string]bool{
		"/admin/api/2026-10/graphql.json": true, "/admin/api/unstable/graphql.json": true, "/admin/api/2025-01/graphql.json": true,
		"/admin/api/graphql.json": true, "/admin/api/graphql": true, "/admin/graphql.json": true,
		"/admin/api/2026-10/graphql": true, "/admin/api/2026-10/graphql/": true, "/admin/api/2026-10/graphql.json/": true,
		"/admin/api/2026-10/graph%71l.json": true, "/admin/api/2026%2d10/graphql.json": true, "/admin/api/2026-10/graphql%2ejson": true, "/admin/%61pi/2026-10/graphql.json": true,
		"/admin/api/2026-10/GraphQL.json": false, "/admin/api/2026-10/graphql;x.json": false, "/admin/api/2026-10/graphql/x.json": false, "/admin/api/2026-10/x/graphql.json": false,
		"/admin/api/2026-10/graph%2571l.json": false, "/admin/graphql/x.json": false, "/admin/api/2026-10/graphqls.json": false, "/admin/api/2026-10/agraphql.json": false,
		"/admin/api/2026-10/shop.json": false, "/admin/shop.json": false, "/admin/api/2026-10/sho%70.json": false, "/admin/api/2026-10/products/1.json": false,
	} {
		target, err := shopify.ParseTarget(path)
		if err != nil || (target.API == shopify.GraphQL) != graphQL || (target.Route == shopify.RouteGraphQL) != graphQL {
			t.Errorf("%s: %+v, %v: GraphQL is %t", path, target, err, graphQL)
		}

		sim, pacer := newSim(shopsim.Settings{}), pace.New(pace.Options{})
		r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
			r.URL.Scheme, r.URL.Host, r.RequestURI = "https", shopDomain, ""
			resp, err := sim.RoundTripper().RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			maps.Copy(w.Header(), resp.Header)
			w.WriteHeader(resp.StatusCode)
			_, _ = io.Copy(w, resp.Body)
		}, func(o *Options, _ *upstream.Options) {
			oneShop(*o).Pace, oneShop(*o).Tokens = pacer, &fakeTokens{current: sim.IssueToken("", "", 0)}
		})
		resp := r.do(t, http.MethodPost, path, strings.NewReader(query), "Content-Type", "application/json")
		_ = text(t, resp)
		if resp.Header.Get(denial.Header) != "" { // no path of the Admin API in any reading
			if sim.Journal() != nil {
				t.Errorf("%s was refused and sent all the same", path)
			}
			continue
		}

		all := sim.Journal()
		if simulated := all[len(all)-1].Route; (simulated == "graphql") != graphQL {
			t.Errorf("%s: the simulator takes it for %s", path, simulated)
		}
		if n := r.count(t, "evergate_requests_total", target.Route.String()); n != 1 {
			t.Errorf("%s is not counted as %s", path, target.Route)
		}
		for _, state := range pacer.States() { // of what answers have told
			if (state.API == "graphql") != graphQL {
				t.Errorf("%s fills the bucket of %s", path, state.API)
			}
		}
		judged, err := readOnly.Admit(viewOf(t, path))
		if err == nil && judged.NeedsBody() != graphQL || graphQL && err != nil && denial.Of(err).Code != denial.CodeAmbiguousGraphQL {
			t.Errorf("%s: a policy looks into the body: %t, %v", path, judged.NeedsBody(), err)
		}
	}
}

func viewOf(t *testing.T, path string) *request.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, nil)
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	view := request.Of(r)
	return &view
}

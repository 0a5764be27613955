package shopify

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func parse(t testing.TB, raw string) Target {
	t.Helper()
	target, err := ParseTarget(raw)
	if err != nil || target.Path != raw {
		t.Fatalf("%q: %+v, %v", raw, target, err)
	}
	return target
}

func TestPathLeadsSomewhere(t *testing.T) {
	t.Parallel()
	for want, paths := range map[Kind][]string{
		AdminAPI: {
			"/admin/api/2026-10/graphql.json", "/admin/api/2026-10/products/632910392/images.json", "/admin/api/unstable/x", "/admin/api/2026-10/products/",
			"/admin/api/x", "/admin/%61pi/2026-10/shop.json", "/admin/shop.json", "/admin/products/1/images/2.json", "/admin/api/graphql.json",
			"/admin/api/2026-10/products/caf%C3%A9%20noir.json", "/admin/api/2026-10/products/caf\xc3\xa9.json", "/admin/api/2026-10/products/100%25.json",
			"/admin/api/2026-10/storefront_access_tokens_x.json", "/admin/api/2026-10/oauthors.json", "/admin/api/2026-10/products/oauth.json",
			"/admin/api/2026-10/products/a;b=c.json", "/admin/api/2026-10/products/%e0%a0%80%f0%90%80%80.json", "/admin/products/oauth.json",
		},
		Scopes: {ScopesPath},
		Credentials: {
			"/admin/oauth", "/admin/oauth/access_token", "/admin/oauth/access_scopes", "/admin/OAuth/access_scopes.json", "/admin/oauth/%61ccess_scopes.json",
			"/admin/oauth/access_scopes.json/", "/admin/api/oauth.json", "/admin/api/2026-10/oauth/access_scopes.json", "/admin/API/2026-10/access_tokens",
			"/admin/api;v=1/x/api_permissions/current.json", "/admin/api.json/x/oauth;x.json", "/admin/api/x/%25%36%66auth", "/%61dmin/oauth", "/admin/api/x/oauth%3f.json",
			"/admin/api/2026-10/storefront_access_tokens.json", "/admin/api/2026-10/storefront_access_tokens/1.json", "/admin/storefront_access_tokens.json",
		},
		Elsewhere: {
			"", "*", "/", "admin/api/2026-10/shop.json", "localhost:80", "/admin", "/admin/", "/admin/api", "/admin/api/", "/admin/products", "/admin/shop.json/",
			"/admin/shop.JSON", "/Admin/api/2026-10/shop.json", "/%61dmin/api/2026-10/shop.json", "/administrator/oauth", "/oauth", "/x/admin/oauth", "/admin/x/oauth/y",
		},
	} {
		for _, raw := range paths {
			if got := parse(t, raw).Kind; got != want {
				t.Errorf("%s: %d, want %d", raw, got, want)
			}
		}
	}
}

// The one table of what is GraphQL. To count as a call of GraphQL is less than to be one:
// what is spelt in another way, or leads to no API at all, costs what its name says.
func TestGraphQLIsDecidedInOnePlace(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct {
		is, maybe bool
		api       API
		route     string
	}{
		"/admin/api/2026-10/graphql.json":     {true, true, GraphQL, "graphql"},
		"/admin/api/unstable/graphql.json":    {true, true, GraphQL, "graphql"},
		"/admin/api/graphql.json":             {true, true, GraphQL, "graphql"}, // Shopify sends it on to its oldest version
		"/admin/api/2026%2d10/graphql.json":   {false, true, GraphQL, "graphql"},
		"/admin/api/graphql.json/":            {false, true, GraphQL, "graphql"},
		"/admin/api/graphql":                  {false, true, GraphQL, "graphql"},
		"/admin/graphql.json":                 {true, true, GraphQL, "graphql"},
		"/admin/graphql/x.json":               {false, true, REST, "other"},
		"/admin/api/2026-10/graphql":          {false, true, GraphQL, "graphql"},
		"/admin/api/2026-10/graphql/":         {false, true, GraphQL, "graphql"},
		"/admin/api/2026-10/GraphQL.json":     {false, true, REST, "other"},
		"/admin/api/2026-10/graph%71l.json":   {false, true, GraphQL, "graphql"},
		"/admin/api/2026-10/graphql;x.json":   {false, true, REST, "other"},
		"/admin/api/2026-10/graphql%2ejson":   {false, true, GraphQL, "graphql"},
		"/admin/api/2026-10/graph%2571l.json": {false, true, REST, "other"},
		"/admin/api/2026-10/x/graphql.json":   {false, true, REST, "other"},
		"/admin/graphql/../x":                 {false, false, Uncounted, "other"}, // refused
		"/admin/api/2026-10/graphqls.json":    {false, false, REST, "other"},
		"/admin/api/2026-10/a-graphql.json":   {false, false, REST, "other"},
		"/admin/api/2026-10/products.json":    {false, false, REST, "rest:products"},
		"/admin/products.json":                {false, false, REST, "rest:products"},
		"/admin/oauth/access_scopes.json":     {false, false, Uncounted, "rest:access_scopes"},
		"/admin/oauth/access_token":           {false, false, Uncounted, "other"},
		"/admin/api/2026-10/oauth/token.json": {false, false, REST, "other"},
	} {
		got, err := ParseTarget(raw)
		if got.IsGraphQL != want.is || got.MaybeGraphQL != want.maybe || got.API != want.api || got.Route.String() != want.route || (err != nil) != strings.Contains(raw, "..") {
			t.Errorf("%s: %+v, %v, want %+v", raw, got, err, want)
		}
	}
}

func TestVersionThatWasAskedForIsAPieceOfThePath(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][2]string{
		"/admin/api/2026-10/shop.json":   {"2026-10", "2026-10"},
		"/admin/api/unstable/shop.json":  {"unstable", "unstable"},
		"/admin/api/2026-05/shop.json":   {"2026-05", "other"},
		"/admin/api/9999-99/shop.json":   {"9999-99", "other"},
		"/admin/api/2026-10":             {"", "2026-10"},
		"/admin/api/Unstable/shop.json":  {"", "other"},
		"/admin/api/2026_10/shop.json":   {"", "other"},
		"/admin/api/2026-1x/shop.json":   {"", "other"},
		"/admin/api/02026-10/shop.json":  {"", "other"},
		"/admin/products.json":           {"", "none"},
		"/admin/api/graphql.json":        {"", "none"},
		"/admin/api/%32026-10/shop.json": {"", "other"},
	} {
		if got := parse(t, raw); got.Asked != want[0] || got.Version.String() != want[1] {
			t.Errorf("%s: %q, %s, want %q", raw, got.Asked, got.Version, want)
		}
	}
}

func TestPathWithTwoReadingsIsNoTarget(t *testing.T) {
	t.Parallel()
	for raw, why := range map[string]string{
		"//admin/api/x":              "an empty segment",
		"/admin/api/2026-10//":       "an empty segment",
		"/admin/api/;x":              "an empty segment",
		"/admin/./x.json":            "a dot segment",
		"/admin/%2525252e%2e/x.json": "a dot segment",
		"/admin/..%3bx/y.json":       "a dot segment",
		"/admin/api/x%":              "a percent sign that begins no escape",
		"/admin/api/%u002f":          "a percent sign that begins no escape",
		"/admin/api/x#y":             "a raw #",
		"/admin/api/x?y":             "a raw ?",
		`/admin/api\x`:               "a backslash",
		"/admin/api/x y":             "a space or control character",
		"/admin/api/x\x7f":           "a space or control character",
		"/admin/api/a%25252fb":       "an encoded slash",
		"/admin/api/a%25%35cb":       "an encoded backslash",
		"/admin/api/a%2500":          "an encoded NUL",
		"/admin/api/%c0%af":          "an overlong UTF-8 sequence",
		"/admin/api/\xe0\x80\xaf":    "an overlong UTF-8 sequence",
		"/admin/api/2026-10/%" + strings.Repeat("25", 1<<19) + "2f": "an encoded slash", // in linear time, or it would not end
	} {
		target, err := ParseTarget(raw)
		if ambiguous, ok := errors.AsType[AmbiguousPathError](err); !ok || string(ambiguous) != why || target != (Target{}) {
			t.Errorf("%.60q: %+v, %v, want %s", raw, target, err, why)
		}
	}
}

func TestParsingAPathAllocatesNothing(t *testing.T) {
	long := "/admin/api/2026-10/" + strings.Repeat("x", 10_000) + "/orders.json"
	for _, raw := range []string{"/admin/api/2026-10/graphql.json", "/admin/api/2026-10/products/caf%C3%A9.json", "/admin/shop.json", ScopesPath, "/admin/oauth/access_token", "*", long} {
		if n := testing.AllocsPerRun(100, func() { _, _ = ParseTarget(raw) }); n != 0 {
			t.Errorf("%.60s: %v allocations", raw, n)
		}
	}
}

// What was read lately is found again only for the same path, by many at once.
func TestATargetThatWasReadLatelyIsTheSame(t *testing.T) {
	t.Parallel()
	paths := []string{
		"/admin/api/graphql.json", "/admin/graphql.json", "/admin/api/unstable/graphql.json", "/admin/api/2026-10/graphql.json/", "/admin/api/2026-10/graphql", "/admin/api/2026-10/graph%71l.json",
		"/admin/api/2026-10/shop.json", ScopesPath, "/admin/oauth/access_token", "/admin/api/" + strings.Repeat("a", 2*longestLately) + "/graphql.json", "/x-10/graphql.json", "",
	}
	for year := range 12 {
		for _, month := range []string{"01", "04", "07", "10", "12", "99", "aa"} {
			paths = append(paths, fmt.Sprintf("/admin/api/20%02d-%s/graphql.json", 20+year, month))
		}
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 20 * len(paths) {
				raw := paths[i*(2*worker+1)%len(paths)]
				want, wantErr := parseTarget(raw)
				for range 2 {
					if got, err := ParseTarget(raw); got != want || !errors.Is(err, wantErr) {
						t.Errorf("%q: %+v, %v; anew it is %+v, %v", raw, got, err, want, wantErr)
					}
				}
			}
		})
	}
	all.Wait()
	const usual = "/admin/api/2026-10/graphql.json"
	_, _ = ParseTarget(usual)
	if _, found := targets.find(usual); !found {
		t.Error("the usual path is read anew each time")
	}
}

func BenchmarkParseTarget(b *testing.B) {
	for name, raw := range map[string]string{"graphql": "/admin/api/2026-10/graphql.json", "escaped": "/admin/api/2026-10/products/caf%C3%A9.json"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseTarget(raw)
			}
		})
	}
}

func ExampleParseTarget() {
	t, err := ParseTarget("/admin/api/2026-10/products/632910392.json")
	fmt.Println(t.Route, t.Version, t.API == REST, err)
	_, err = ParseTarget("/admin/api/2026-10/..%2fproducts.json")
	fmt.Println(err)
	// Output:
	// rest:products 2026-10 true <nil>
	// an encoded slash
}

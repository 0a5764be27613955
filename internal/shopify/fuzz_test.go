package shopify

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	separator = regexp.MustCompile(`[/\\]`)
	escape    = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
	doubtful  = regexp.MustCompile(`^\.{1,2}(;|$)`)
	minting   = regexp.MustCompile(`(?i)^(oauth|api_permissions|[a-z0-9_-]*access_tokens?)([^a-z0-9_-]|$)`)
	belowAPI  = regexp.MustCompile(`(?i)^api([^a-z0-9_-]|$)`)
	graphQL   = regexp.MustCompile(`(?i)^graphql([^a-z0-9_-]|$)`)

	document = regexp.MustCompile(`^/admin/(api/([A-Za-z0-9_-]+/)?)?graphql\.json$`)
	route    = regexp.MustCompile(`^/admin/(?:api/[^/]*/|(api/[^/]*$)|oauth/)?([^/]*?)(?:\.json)?(?:/|$)`)
	runs     = regexp.MustCompile(`^/admin/(api/([^/]+/)?)?graphql(\.json)?/?$`)
	asked    = regexp.MustCompile(`^/admin/api/([0-9]{4}-[0-9]{2}|unstable)/`)
	admin    = regexp.MustCompile(`(?s)^/admin/(api/.+|.*\.json)$`)
)

// FuzzTarget holds ParseTarget against decoders, and against readings of each of its
// fields, that share no code with it.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{
		"/admin/api/2026-10/graphql.json", "/admin/shop.json", ScopesPath, "/admin/oauth/access_token", "/", "/admin/graphql.json", "/admin/api/graphql.json",
		"/admin/api/2026-10/%2525252e%2e/oauth/x.json", "/admin/api/x/%6Fauth.json", "/admin/api/2026-10/100%25.json", "/admin/api/2026-10/x/GraphQL;y",
		"/admin/api/%25zz%252f/x", "/admin/api/x/access_tokens%2500", "/admin/api/x/a;b=..;c/d.json", "/admin/..%3b/x.json", "/admin/api/x/products/1.json",
		"/admin/api/x/%25%36%66auth", "/admin/api/%c0%ae%c0%ae/x", "/admin\\api/x.json", "/admin/api/x/%", "/admin/%61pi/x/API_permissions.json",
		"/admin/api/x/oauth%e2%80%a8", "/admin/api/%25%32%35%36fauth/x", "//admin/api/x", "/admin/api/x//", "/admin/;/oauth.json", "*", "", "/admin/oauth/oauth/x",
		"/admin/.json", "/admin/api", "/admin/api/2026-05/x", "/admin/api/unstable/graphql", "/admin/oauth/graphql.json", "/admin/graph%71l.json", "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		target, err := ParseTarget(raw)
		if anew, why := parseTarget(raw); anew != target || why != err { //nolint:errorlint // they are one and the same text
			t.Fatalf("%q: %+v, %v, and anew %+v, %v", raw, target, err, anew, why)
		}
		if err != nil {
			if target != (Target{}) || err.Error() == "" || strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Fatalf("%q: %+v, %q", raw, target, err)
			}
			return
		}
		checkClosedLists(t, target, raw)
		checkSpellings(t, target, raw)
		if !strings.HasPrefix(raw, "/") {
			return
		}
		decoded, err := url.PathUnescape(raw)
		if err != nil || strings.ContainsAny(raw, "\\#?\x00 \r\n") || strings.IndexByte(decoded, 0xc0) >= 0 || strings.IndexByte(decoded, 0xc1) >= 0 {
			t.Fatalf("%q has one reading, but a byte that has no place in a path: %v", raw, err)
		}
		if clean := path.Clean(decoded); clean != decoded && clean != strings.TrimSuffix(decoded, "/") {
			t.Fatalf("%q has one reading, but net/http would clean it to %q", raw, clean)
		}
		if u, err := url.ParseRequestURI(raw); err != nil || u.Path != decoded {
			t.Fatalf("%q has one reading, but net/url reads %v (%v)", raw, u, err)
		}
		for round := range 4 {
			checkReading(t, target, round, decoded)
			decoded = unescapeLeniently(decoded)
		}
	})
}

// checkSpellings reads the bytes as they are.
func checkSpellings(t *testing.T, target Target, raw string) {
	t.Helper()
	if target.Path != raw {
		t.Fatalf("%q became %q", raw, target.Path)
	}
	if target.IsGraphQL != document.MatchString(raw) || target.IsGraphQL && !target.MaybeGraphQL {
		t.Fatalf("%q: %+v", raw, target)
	}
	if counted := target.Route == RouteGraphQL; counted != (target.API == GraphQL) || counted && !target.MaybeGraphQL {
		t.Fatalf("%q: %+v", raw, target)
	}
	if oauth := strings.HasPrefix(raw, "/admin/oauth/"); oauth != (target.API == Uncounted) && target.API != GraphQL {
		t.Fatalf("%q: %+v", raw, target)
	}
	want := ""
	if m := asked.FindStringSubmatch(raw); m != nil {
		want = m[1]
	}
	if target.Asked != want || want != "" && target.Version != ParseVersion(want) {
		t.Fatalf("%q: %+v, want the version %q", raw, target, want)
	}
	switch {
	case raw == ScopesPath:
		if target.Kind != Scopes {
			t.Fatalf("%q: %+v", raw, target)
		}
	case target.Kind == Scopes, target.Kind != Credentials && (target.Kind == AdminAPI) != admin.MatchString(raw):
		t.Fatalf("%q: %+v", raw, target)
	}
}

// checkClosedLists reads the names, which are labels of metrics.
func checkClosedLists(t *testing.T, target Target, raw string) {
	t.Helper()
	if int(target.Route) >= RouteCount || int(target.Version) >= VersionCount {
		t.Fatalf("%q: %+v", raw, target)
	}
	want := "other"
	if once := unescapeLeniently(raw); runs.MatchString(once) {
		want = "graphql"
	} else if m := route.FindStringSubmatch(once); m != nil && m[1] == "" {
		if name := "rest:" + m[2]; slices.Contains(routeNames, name) {
			want = name
		}
	}
	if target.Route.String() != want {
		t.Fatalf("%q: the route %s, want %s", raw, target.Route, want)
	}
	switch v := target.Version; {
	case v == VersionNone:
		if !strings.HasPrefix(raw, "/admin/") || strings.HasPrefix(raw, "/admin/api/") && raw != "/admin/api/graphql.json" {
			t.Fatalf("%q: the version none", raw)
		}
	case v != VersionOther:
		if raw != "/admin/api/"+v.String() && !strings.HasPrefix(raw, "/admin/api/"+v.String()+"/") {
			t.Fatalf("%q: the version %s", raw, v)
		}
	}
}

// checkReading fails when a decoder that stops here would see a dot segment, more or fewer
// segments than there are, or a name that the target does not tell of.
func checkReading(t *testing.T, target Target, round int, decoded string) {
	t.Helper()
	segments := separator.Split(decoded, -1)
	if len(segments) != strings.Count(target.Path, "/")+1 {
		t.Fatalf("%q has one reading, but round %d gives %q", target.Path, round, segments)
	}
	for i, s := range segments {
		if doubtful.MatchString(s) || s == "" && 0 < i && i < len(segments)-1 || strings.Contains(s, "\x00") {
			t.Fatalf("%q has one reading, but round %d gives the segment %q", target.Path, round, s)
		}
		if graphQL.MatchString(s) && !target.MaybeGraphQL {
			t.Fatalf("%q: round %d gives %q, which nobody takes for GraphQL's", target.Path, round, s)
		}
	}
	if target.Kind == Scopes || len(segments) < 3 || segments[1] != "admin" {
		return
	}
	places := segments[2:3]
	if belowAPI.MatchString(segments[2]) {
		places = segments[2:min(5, len(segments))]
	}
	if slices.ContainsFunc(places, minting.MatchString) && target.Kind != Credentials {
		t.Fatalf("%q: round %d gives a name of %q, and it leads to %d", target.Path, round, places, target.Kind)
	}
}

// unescapeLeniently decodes what is valid and leaves the rest, as many servers do.
func unescapeLeniently(s string) string {
	return escape.ReplaceAllStringFunc(s, func(e string) string {
		decoded, err := url.PathUnescape(e)
		if err != nil {
			return e
		}
		return decoded
	})
}

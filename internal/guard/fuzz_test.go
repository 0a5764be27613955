package guard

import (
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"evergate/internal/denial"
)

// FuzzPath holds the path policy against decoders that share no code with it.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/admin/api/2026-10/graphql.json", "/admin/shop.json", scopesPath, "/admin/oauth/access_token", "/",
		"/admin/api/2026-10/%2525252e%2e/oauth/x.json", "/admin/api/x/%6Fauth.json", "/admin/api/2026-10/100%25.json",
		"/admin/api/%25zz%252f/x", "/admin/api/x/access_tokens%2500", "/admin/api/x/a;b=..;c/d.json", "/admin/..%3b/x.json",
		"/admin/api/x/%25%36%66auth", "/admin/api/%c0%ae%c0%ae/x", "/admin\\api/x.json", "/admin/api/x/%", "/admin/%61pi/x/API_permissions.json",
		"/admin/api/x/oauth%e2%80%a8", "/admin/api/%25%32%35%36fauth/x", "//admin/api/x", "/admin/api/x//", "/admin/;/oauth.json", "*", "",
	} {
		f.Add("GET", seed)
		f.Add("POST", seed)
	}
	f.Fuzz(func(t *testing.T, method, raw string) {
		err := CheckPath(method, raw)
		checkRefusal(t, err)
		if err != nil || method == "GET" && raw == scopesPath {
			return
		}
		if !strings.HasPrefix(raw, "/admin/") {
			t.Fatalf("%q passes", raw)
		}
		if strings.ContainsAny(raw, "\\#?\x00 \r\n") {
			t.Fatalf("%q passes with a byte that has no place in a path", raw)
		}
		decoded, err := url.PathUnescape(raw)
		if err != nil {
			t.Fatalf("%q passes: %v", raw, err)
		}
		if clean := path.Clean(decoded); clean != strings.TrimSuffix(decoded, "/") {
			t.Fatalf("%q passes, but net/http would clean it to %q", raw, clean)
		}
		u, err := url.ParseRequestURI(raw)
		if err != nil || u.Path != decoded {
			t.Fatalf("%q passes, but net/url reads %v (%v)", raw, u, err)
		}
		if strings.IndexByte(decoded, 0xc0) >= 0 || strings.IndexByte(decoded, 0xc1) >= 0 {
			t.Fatalf("%q passes with a byte that no UTF-8 has", raw)
		}
		for round := range 4 {
			checkReading(t, raw, round, decoded, strings.Count(raw, "/"))
			decoded = unescapeLeniently(decoded)
		}
	})
}

var (
	separator = regexp.MustCompile(`[/\\]`)
	escape    = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
	doubtful  = regexp.MustCompile(`^\.{1,2}(;|$)`)
	minting   = regexp.MustCompile(`(?i)^(oauth|api_permissions|access_tokens)([^a-z0-9_-]|$)`)
	belowAPI  = regexp.MustCompile(`(?i)^api([^a-z0-9_-]|$)`)
)

// checkReading fails when a decoder that stops here would see a dot segment, more or
// fewer segments than there are, or a denied name in its place.
func checkReading(t *testing.T, raw string, round int, decoded string, slashes int) {
	t.Helper()
	segments := separator.Split(decoded, -1)
	if len(segments) != slashes+1 {
		t.Fatalf("%q passes, but round %d gives %q", raw, round, segments)
	}
	for i, s := range segments {
		if doubtful.MatchString(s) || s == "" && 0 < i && i < len(segments)-1 || strings.Contains(s, "\x00") {
			t.Fatalf("%q passes, but round %d gives the segment %q", raw, round, s)
		}
	}
	places := segments[2:3]
	if belowAPI.MatchString(segments[2]) {
		places = segments[3:min(5, len(segments))]
	}
	for _, s := range places {
		if minting.MatchString(s) {
			t.Fatalf("%q passes, but round %d gives the name %q", raw, round, s)
		}
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

// FuzzHost holds the Host allow-list against net/url's reading of the same authority.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"localhost", "localhost:8080", "127.0.0.1:1", "[::1]:1", "[::1]", "acme.localhost:1", "a.b.localhost", "acme.myshopify.com",
		"evergate.internal:443", "localhost.", "localhost:", "localhost:99999", "user@localhost", "localhost@evil", "localhost:1@evil:2",
		".localhost", "a..localhost", "evil#.localhost", "evil/.localhost", "evil?.localhost", "evil\\.localhost", "[::1].localhost", "localho\u017ft",
		"[evil].localhost", "%6cocalhost", "localhost%00", "acme.myshopify.com.localhost", "x.myshopify.com.localhost", "", "1.localhost:1",
	} {
		f.Add(seed)
	}
	door := newDoor(f, "evergate.internal")
	f.Fuzz(func(t *testing.T, host string) {
		passage, err := door.Admit(request(host, "/admin/shop.json"))
		checkRefusal(t, err)
		local := door.CheckLocal(request(host, "/"))
		checkRefusal(t, local)
		if err != nil {
			return
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil || u.User != nil || u.Path != "/" || u.Host != host {
			t.Fatalf("%q passes, but net/url reads %+v (%v)", host, u, err)
		}
		name := strings.ToLower(u.Hostname())
		if port := u.Port(); port != "" {
			if _, err := netip.ParseAddrPort("127.0.0.1:" + port); err != nil {
				t.Fatalf("%q passes: %v", host, err)
			}
		} else if strings.HasSuffix(host, ":") {
			t.Fatalf("%q passes without a port", host)
		}
		switch own := name == "acme.myshopify.com"; {
		case passage.OwnName != own, local != nil != own, passage.Host != host:
			t.Fatalf("%q: %+v, admin %+v", host, passage, local)
		case own, name == "localhost", name == "127.0.0.1", name == "::1", name == "evergate.internal":
			return
		}
		sub, ok := strings.CutSuffix(name, ".localhost")
		shop := !strings.Contains(sub, ".") || strings.HasSuffix(sub, ".myshopify.com")
		if !ok || shop && sub != "acme" && sub != "acme.myshopify.com" || !regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`).MatchString(sub) {
			t.Fatalf("%q passes", host)
		}
	})
}

// checkRefusal fails when a err is not fit to be sent.
func checkRefusal(t testing.TB, err error) {
	t.Helper()
	r := denialOf(t, err)
	statuses := map[string]int{
		"":                         0,
		denial.CodeAmbiguousPath:   http.StatusBadRequest,
		denial.CodeDeniedPath:      http.StatusForbidden,
		denial.CodeDeniedMethod:    http.StatusForbidden,
		denial.CodeMisdirectedHost: http.StatusMisdirectedRequest,
		denial.CodeUnknownShop:     http.StatusNotFound,
		denial.CodeCrossSite:       http.StatusForbidden,

		denial.CodeUnauthenticated:  http.StatusForbidden,
		denial.CodeDeniedPeer:       http.StatusForbidden,
		denial.CodeDeniedShop:       http.StatusForbidden,
		denial.CodeReadOnly:         http.StatusForbidden,
		denial.CodeDeniedOperation:  http.StatusForbidden,
		denial.CodeAmbiguousMethod:  http.StatusBadRequest,
		denial.CodeAmbiguousGraphQL: http.StatusBadRequest,
		denial.CodeMalformedGraphQL: http.StatusBadRequest,
		denial.CodeGraphQLTooLarge:  http.StatusRequestEntityTooLarge,
	}
	status, ok := statuses[r.Code]
	if (r.Code == denial.CodeReadOnly || r.Code == denial.CodeDeniedOperation) && r.Status == http.StatusOK {
		status = http.StatusOK // in GraphQL's own shape
	}
	if !ok || status != r.Status || len(r.Message) > 1000 || strings.ContainsFunc(r.Message, unprintable) {
		t.Fatalf("an unfit err: %+v", r)
	}
}

func unprintable(c rune) bool { return c < ' ' || c > '~' }

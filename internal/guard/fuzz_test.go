package guard

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"evergate/internal/denial/denialtest"
	"evergate/internal/shopify"
)

// FuzzPath asks for a word that is fit to be sent, and lets pass what is of the Admin API
// alone. That no decoder sees anything else in it is held by FuzzTarget in package shopify.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/admin/api/2026-10/graphql.json", "/admin/shop.json", shopify.ScopesPath, "/admin/oauth/access_token", "/", "/admin/api/x/%6Fauth.json",
		"/admin/api/2026-10/%2525252e%2e/oauth/x.json", "/admin/..%3b/x.json", "/admin\\api/x.json", "//admin/api/x", "/admin/\x1b[31m\u202e", "*", "",
	} {
		f.Add("GET", seed)
		f.Add("POST", seed)
	}
	f.Fuzz(func(t *testing.T, method, raw string) {
		err := checkPath(method, raw)
		denialtest.Check(t, err)
		if err != nil {
			return
		}
		if !strings.HasPrefix(raw, "/admin/") || strings.EqualFold(method, "TRACE") || strings.EqualFold(method, "CONNECT") {
			t.Fatalf("%s %q passes", method, raw)
		}
		target, err := shopify.ParseTarget(raw)
		if err != nil || target.Kind != shopify.AdminAPI && (target.Kind != shopify.Scopes || method != "GET") {
			t.Fatalf("%s %q passes, which is %+v, %v", method, raw, target, err)
		}
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
	admission := newAdmission(f, "evergate.internal")
	f.Fuzz(func(t *testing.T, host string) {
		passage, err := admission.Admit(view(newRequest(host, "/admin/shop.json")))
		denialtest.Check(t, err)
		local := admission.CheckLocal(view(newRequest(host, "/")))
		denialtest.Check(t, local)
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

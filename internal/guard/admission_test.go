package guard

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"evergate/internal/caller"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/request"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

func newAdmission(t testing.TB, allowed ...string) *Admission {
	t.Helper()
	shop, err := token.ParseShop("acme")
	if err != nil {
		t.Fatal(err)
	}
	admission, err := New(Options{Shops: One(shop), AllowedHosts: allowed})
	if err != nil {
		t.Fatal(err)
	}
	return admission
}

func newRequest(host, target string) *http.Request {
	return &http.Request{Method: "GET", Host: host, RequestURI: target, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}
}

func TestOnlyListedHostsAreAnswered(t *testing.T) {
	admission := newAdmission(t, "Evergate.internal", "192.0.2.7", "fd00::1", " [fd00::2] ", "")
	for host, code := range map[string]string{
		"localhost":              "",
		"localhost:8080":         "",
		"LOCALHOST:1":            "",
		"127.0.0.1:65535":        "",
		"[::1]":                  "",
		"[::1]:8080":             "",
		"a.b.localhost:8080":     "",
		"acme.localhost":         "",
		"acme.myshopify.com":     "",
		"ACME.MyShopify.com:443": "",
		"evergate.INTERNAL:80":   "",
		"192.0.2.7":              "",
		"[fd00::1]:80":           "",
		"[fd00::2]":              "",

		"":                             denial.CodeMisdirectedHost,
		"evil.example":                 denial.CodeMisdirectedHost,
		"127.0.0.2":                    denial.CodeMisdirectedHost,
		"127.1":                        denial.CodeMisdirectedHost,
		"::1":                          denial.CodeMisdirectedHost,
		"[::1":                         denial.CodeMisdirectedHost,
		"[::1]x":                       denial.CodeMisdirectedHost,
		"[::1]8080":                    denial.CodeMisdirectedHost,
		"[0:0:0:0:0:0:0:1]":            denial.CodeMisdirectedHost,
		"[::1%25lo]":                   denial.CodeMisdirectedHost,
		"localhost.":                   denial.CodeMisdirectedHost,
		"localhost.:80":                denial.CodeMisdirectedHost,
		" localhost":                   denial.CodeMisdirectedHost,
		"localhost ":                   denial.CodeMisdirectedHost,
		"localhost:":                   denial.CodeMisdirectedHost,
		"localhost:0":                  denial.CodeMisdirectedHost,
		"localhost:080":                denial.CodeMisdirectedHost,
		"localhost:65536":              denial.CodeMisdirectedHost,
		"localhost:+80":                denial.CodeMisdirectedHost,
		"localhost:8o":                 denial.CodeMisdirectedHost,
		"localhost:80:80":              denial.CodeMisdirectedHost,
		"localhost:80@evil":            denial.CodeMisdirectedHost,
		"user@localhost":               denial.CodeMisdirectedHost,
		"evil@acme.localhost":          denial.CodeMisdirectedHost,
		"localhost.evil.example":       denial.CodeMisdirectedHost,
		"evillocalhost":                denial.CodeMisdirectedHost,
		".localhost":                   denial.CodeMisdirectedHost,
		"a..localhost":                 denial.CodeMisdirectedHost,
		"a.localhost.":                 denial.CodeMisdirectedHost,
		"evil.example/x.localhost":     denial.CodeMisdirectedHost,
		"evil.example#.localhost":      denial.CodeMisdirectedHost,
		"localho\u017ft":               denial.CodeMisdirectedHost, // a long s
		"other.myshopify.com":          denial.CodeMisdirectedHost,
		"acme.myshopify.com.":          denial.CodeMisdirectedHost,
		"acme.myshopify.com.evil.test": denial.CodeMisdirectedHost,
		"x.evergate.internal":          denial.CodeMisdirectedHost,
		"localhost,evil.example":       denial.CodeMisdirectedHost,

		"other.localhost":               denial.CodeUnknownShop,
		"other.myshopify.com.localhost": denial.CodeUnknownShop,
	} {
		_, err := admission.Admit(view(newRequest(host, "/admin/shop.json")))
		denialtest.Want(t, "Host "+host, err, code)
		if code == denial.CodeMisdirectedHost && denialtest.Of(t, err).Status != http.StatusMisdirectedRequest {
			t.Errorf("Host %s: status %d, want 421", host, denialtest.Of(t, err).Status)
		}
	}
}

func TestAShopIsNamedByHostOrPath(t *testing.T) {
	admission := newAdmission(t)
	for _, c := range []struct {
		host, target string
		want         Admitted
	}{
		{"localhost:8080", "/admin/shop.json?a=/b//c#d", Admitted{Target: target("/admin/shop.json"), Host: "localhost:8080"}},
		{"Acme.localhost:8080", "/admin/shop.json", Admitted{Target: target("/admin/shop.json"), Host: "Acme.localhost:8080"}},
		{"acme.myshopify.com.localhost", "/admin/shop.json", Admitted{Target: target("/admin/shop.json"), Host: "acme.myshopify.com.localhost"}},
		{"localhost", "/aCme.myshopify.COM/admin/shop.json", Admitted{Target: target("/admin/shop.json"), Prefix: "/aCme.myshopify.COM", Host: "localhost"}},
		{"acme.localhost", "/acme.myshopify.com/admin/a%20b.json", Admitted{Target: target("/admin/a%20b.json"), Prefix: "/acme.myshopify.com", Host: "acme.localhost"}},
		{"ACME.myshopify.com", "/admin/shop.json", Admitted{Target: target("/admin/shop.json"), Host: "ACME.myshopify.com", OwnName: true}},
		{"acme.myshopify.com:8443", "/acme.myshopify.com/admin/shop.json",
			Admitted{Target: target("/admin/shop.json"), Prefix: "/acme.myshopify.com", Host: "acme.myshopify.com:8443", OwnName: true}},
	} {
		got, err := admission.Admit(view(newRequest(c.host, c.target)))
		c.want.Caller.Name = caller.Anonymous
		c.want.Shop, _ = admission.shops.Only()
		if got != c.want || err != nil {
			t.Errorf("%s%s: %+v, %+v; want %+v", c.host, c.target, got, err, c.want)
		}
	}
}

func TestAnotherShopIsUnknown(t *testing.T) {
	admission := newAdmission(t)
	for _, c := range []struct{ host, target, code string }{
		{"other.localhost:8080", "/admin/shop.json", denial.CodeUnknownShop},
		{"localhost", "/other.myshopify.com/admin/shop.json", denial.CodeUnknownShop},
		{"localhost", "/other.myshopify.com", denial.CodeUnknownShop},
		{"other.localhost", "/acme.myshopify.com/admin/shop.json", denial.CodeUnknownShop},
		{"acme.localhost", "/other.myshopify.com/admin/shop.json", denial.CodeUnknownShop},
		{"acme.myshopify.com", "/other.myshopify.com/admin/shop.json", denial.CodeUnknownShop},
		{"localhost", "/a.b.myshopify.com/admin/shop.json", denial.CodeUnknownShop},
		// Not spelt as a domain: nobody's prefix, and no path of the Admin API.
		{"localhost", "/acme/admin/shop.json", denial.CodeDeniedPath},
		{"localhost", "/.myshopify.com/admin/shop.json", denial.CodeDeniedPath},
		{"localhost", "/acme%2emyshopify.com/admin/shop.json", denial.CodeDeniedPath},
		{"localhost", "/acme.myshopify.com", denial.CodeDeniedPath},
		{"localhost", "/acme.myshopify.com/", denial.CodeDeniedPath},
		{"localhost", "/acme.myshopify.com/acme.myshopify.com/admin/shop.json", denial.CodeDeniedPath},
		{"localhost", "/acme.myshopify.com/admin/oauth/access_token", denial.CodeDeniedPath},
		{"localhost", "/acme.myshopify.com//admin/shop.json", denial.CodeAmbiguousPath},
		{"localhost", "/acme.myshopify.com/../admin/shop.json", denial.CodeAmbiguousPath},
		{"localhost", "/%2e%2e%2fother.myshopify.com/admin/shop.json", denial.CodeAmbiguousPath},
	} {
		got, err := admission.Admit(view(newRequest(c.host, c.target)))
		denialtest.Want(t, c.host+c.target, err, c.code)
		if c.code == denial.CodeUnknownShop && (denialtest.Of(t, err).Status != http.StatusNotFound || !strings.Contains(denialtest.Of(t, err).Message, "acme.myshopify.com")) {
			t.Errorf("%s%s: %+v, want a 404 that names the known shop", c.host, c.target, err)
		}
		if got != (Admitted{Caller: caller.Caller{Name: caller.Anonymous}}) {
			t.Errorf("%s%s: refused, yet it got %+v", c.host, c.target, got)
		}
	}
}

func TestAnAllowedHostNamesNoShop(t *testing.T) {
	_, err := newAdmission(t, "evergate.localhost").Admit(view(newRequest("evergate.localhost:8080", "/admin/shop.json")))
	denialtest.Want(t, "evergate.localhost", err, "")
}

func TestAWebPageLearnsNothingOfTheShop(t *testing.T) {
	r := newRequest("other.localhost", "/admin/shop.json")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	_, err := newAdmission(t).Admit(view(r))
	denialtest.Want(t, "a page asking for a shop", err, denial.CodeCrossSite)
}

func TestMistakenAllowedHostsAreAllReported(t *testing.T) {
	names := []string{"http://a.example", "*.b.example", "c.example:80", "d.example.", "e example", "[::1%lo]", "[::1]:80", "f@g", "h/i", "ü.example", "[127.0.0.1]", ".j"}
	_, err := New(Options{AllowedHosts: names})
	if err == nil {
		t.Fatal("no error")
	}
	if got, want := len(strings.Split(err.Error(), "\n")), len(names)+1; got != want { // and the shop is missing
		t.Errorf("%d errors, want %d:\n%v", got, want, err)
	}
}

func TestAdminListenerHasNoShopNames(t *testing.T) {
	admission := newAdmission(t, "evergate.internal")
	for host, code := range map[string]string{
		"localhost:9090": "", "127.0.0.1": "", "[::1]:9090": "", "x.localhost": "", "a.b.localhost": "", "evergate.internal": "",
		"acme.myshopify.com": denial.CodeMisdirectedHost, "evil.example": denial.CodeMisdirectedHost, "": denial.CodeMisdirectedHost, "localhost.": denial.CodeMisdirectedHost,
	} {
		denialtest.Want(t, "Host "+host, admission.CheckLocal(view(newRequest(host, "/-/quit"))), code)
	}
	r := newRequest("localhost:9090", "/-/quit")
	r.Header.Set("Origin", "http://localhost:3000")
	denialtest.Want(t, "a page of another port", admission.CheckLocal(view(r)), denial.CodeCrossSite)
}

func TestOnlyHTTP10OnThisMachineMayOmitTheHost(t *testing.T) {
	loopback := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	for _, c := range []struct {
		name  string
		addr  net.Addr
		minor int
		code  string
		host  string
	}{
		{"loopback", loopback, 0, "", "127.0.0.1:8080"},
		{"loopback, IPv6", &net.TCPAddr{IP: net.IPv6loopback, Port: 80}, 0, "", "[::1]:80"},
		{"Unix socket", &net.UnixAddr{Name: "/run/x", Net: "unix"}, 0, "", "localhost"},
		{"reachable", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}, 0, denial.CodeMisdirectedHost, ""},
		{"unknown", nil, 0, denial.CodeMisdirectedHost, ""},
		{"HTTP/1.1", loopback, 1, denial.CodeMisdirectedHost, ""},
	} {
		r := newRequest("", "/admin/shop.json")
		r.ProtoMinor = c.minor
		r = r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, c.addr))
		got, err := newAdmission(t).Admit(view(r))
		denialtest.Want(t, c.name, err, c.code)
		denialtest.Want(t, c.name+", admin", newAdmission(t).CheckLocal(view(r)), c.code)
		if got.Host != c.host {
			t.Errorf("%s: the address in use is %q, want %q", c.name, got.Host, c.host)
		}
	}
}

func TestCallersOfThisMachineAreKnown(t *testing.T) {
	for remote, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true,
		"192.0.2.1:1": false, "[::]:1": false, "localhost:1": false, "127.0.0.1": false, "": false, "@": false,
	} {
		r := httptest.NewRequest("POST", "/-/quit", nil)
		r.RemoteAddr = remote
		if got := FromLoopback(view(r)); got != want {
			t.Errorf("FromLoopback for %q: %v, want %v", remote, got, want)
		}
	}
	r := httptest.NewRequest("POST", "/-/quit", nil)
	r.RemoteAddr = "@"
	r = r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(&net.UnixAddr{Net: "unix"})))
	if !FromLoopback(view(r)) {
		t.Error("the caller of a Unix socket is on this machine")
	}
}

func TestAdmittedRequestsAllocateNothing(t *testing.T) {
	admission := newAdmission(t, "evergate.internal")
	for _, r := range []*http.Request{
		newRequest("localhost:8080", "/admin/api/2026-10/graphql.json?x=y"),
		newRequest("acme.localhost:8080", "/acme.myshopify.com/admin/api/2026-10/graphql.json"),
		newRequest("evergate.internal", "http://evergate.internal/admin/shop.json"),
	} {
		if n := testing.AllocsPerRun(100, func() { v := request.Of(r); _, _ = admission.Admit(&v) }); n != 0 {
			t.Errorf("%s%s: %v allocations", r.Host, r.RequestURI, n)
		}
	}
}

func BenchmarkAdmit(b *testing.B) {
	admission, r := newAdmission(b), newRequest("localhost:8080", "/admin/api/2026-10/graphql.json")
	b.ReportAllocs()
	for b.Loop() {
		v := request.Of(r)
		_, _ = admission.Admit(&v)
	}
}

// target is what a path asks for that has one reading.
func target(raw string) shopify.Target {
	t, err := shopify.ParseTarget(raw)
	if err != nil {
		panic(err)
	}
	return t
}

package guard

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"evergate/internal/token"
)

// behindProxies is a Admission that believes some of them.
func behindProxies(t *testing.T, proxies ...string) *Admission {
	t.Helper()
	shop, err := token.ParseShop("acme")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Shops: One(shop), AllowedHosts: []string{"evergate.internal"}}
	for _, p := range proxies {
		o.TrustedProxies = append(o.TrustedProxies, netip.MustParsePrefix(p))
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLinksPointWhereABelievedProxySaysTheClientIs(t *testing.T) {
	t.Parallel()
	proto, host := "X-Forwarded-Proto", "X-Forwarded-Host"
	for _, c := range []struct {
		name, from string
		header     http.Header
		want       string // origin
		own        bool
	}{
		{"nothing", "10.0.0.1:1", http.Header{}, "http://evergate.internal", false},
		{"both", "10.0.0.1:1", http.Header{proto: {"https"}, host: {"tools.example.com"}}, "https://tools.example.com", false},
		{"any_case", "10.0.0.1:1", http.Header{proto: {"HTTPS"}, host: {"Tools.Example.com"}}, "https://Tools.Example.com", false},
		{"proto_alone", "10.0.0.1:1", http.Header{proto: {"https"}}, "https://evergate.internal", false},
		{"host_alone", "10.0.0.1:1", http.Header{host: {"tools.example.com:8443"}}, "http://tools.example.com:8443", false},
		{"ipv6", "[fd00::7]:1", http.Header{proto: {"https"}, host: {"[2001:db8::1]:8443"}}, "https://[2001:db8::1]:8443", false},
		{"mapped", "[::ffff:10.0.0.1]:1", http.Header{proto: {"https"}}, "https://evergate.internal", false},
		{"two_hops_agree", "10.0.0.1:1", http.Header{proto: {"https, https"}, host: {"a.example", "a.example"}}, "https://a.example", false},
		{"the_shops_name", "10.0.0.1:1", http.Header{proto: {"https"}, host: {"acme.myshopify.com"}}, "https://acme.myshopify.com", true},
		{"the_shops_name_and_port", "10.0.0.1:1", http.Header{host: {"ACME.myshopify.com:8443"}}, "http://ACME.myshopify.com:8443", true},

		{"stranger", "10.0.1.1:1", http.Header{proto: {"https"}, host: {"evil.example"}}, "http://evergate.internal", false},
		{"stranger_by_ipv6", "[fd01::1]:1", http.Header{proto: {"https"}, host: {"evil.example"}}, "http://evergate.internal", false},
		{"socket", "@", http.Header{proto: {"https"}, host: {"evil.example"}}, "http://evergate.internal", false},
		{"no_address", "", http.Header{proto: {"https"}, host: {"evil.example"}}, "http://evergate.internal", false},

		{"other_scheme", "10.0.0.1:1", http.Header{proto: {"javascript"}}, "http://evergate.internal", false},
		{"two_schemes", "10.0.0.1:1", http.Header{proto: {"https,http"}}, "http://evergate.internal", false},
		{"two_lines", "10.0.0.1:1", http.Header{proto: {"https", "http"}}, "http://evergate.internal", false},
		{"two_hosts", "10.0.0.1:1", http.Header{host: {"evil.example, tools.example.com"}}, "http://evergate.internal", false},
		{"two_lines_of_hosts", "10.0.0.1:1", http.Header{host: {"evil.example", "tools.example.com"}}, "http://evergate.internal", false},
		{"empty", "10.0.0.1:1", http.Header{proto: {""}, host: {""}}, "http://evergate.internal", false},
		{"half_empty", "10.0.0.1:1", http.Header{host: {"a.example,"}}, "http://evergate.internal", false},
		{"path", "10.0.0.1:1", http.Header{host: {"evil.example/x"}}, "http://evergate.internal", false},
		{"user", "10.0.0.1:1", http.Header{host: {"localhost@evil.example"}}, "http://evergate.internal", false},
		{"angle", "10.0.0.1:1", http.Header{host: {"evil.example>; rel=x, <y"}}, "http://evergate.internal", false},
		{"quote", "10.0.0.1:1", http.Header{host: {`evil.example"`}}, "http://evergate.internal", false},
		{"space", "10.0.0.1:1", http.Header{host: {"evil example"}}, "http://evergate.internal", false},
		{"fragment", "10.0.0.1:1", http.Header{host: {"evil.example#"}}, "http://evergate.internal", false},
		{"bad_port", "10.0.0.1:1", http.Header{host: {"evil.example:99999"}}, "http://evergate.internal", false},
		{"two_ports", "10.0.0.1:1", http.Header{host: {"evil.example:1:2"}}, "http://evergate.internal", false},
		{"open_bracket", "10.0.0.1:1", http.Header{host: {"[::1"}}, "http://evergate.internal", false},
		{"no_ipv6", "10.0.0.1:1", http.Header{host: {"[evil.example]"}}, "http://evergate.internal", false},
		{"zone", "10.0.0.1:1", http.Header{host: {"[fe80::1%25eth0]"}}, "http://evergate.internal", false},
		{"not_ascii", "10.0.0.1:1", http.Header{host: {"еvil.example"}}, "http://evergate.internal", false},
		{"long", "10.0.0.1:1", http.Header{host: {strings.Repeat("a.", 200) + "example"}}, "http://evergate.internal", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := behindProxies(t, "10.0.0.0/24", "fd00::/64")
			r := newRequest("evergate.internal", "/admin/api/2026-10/products.json")
			r.RemoteAddr = c.from
			for name, lines := range c.header {
				r.Header[name] = lines
			}
			p, err := d.Admit(view(r))
			if err != nil {
				t.Fatal(err)
			}
			if p.Origin() != c.want || p.OwnName != c.own {
				t.Errorf("%s, own %t, want %s, %t", p.Origin(), p.OwnName, c.want, c.own)
			}
		})
	}
}

// What a proxy says decides where links point, and nothing else.
func TestAForwardedHostLetsNobodyIn(t *testing.T) {
	t.Parallel()
	d := behindProxies(t, "10.0.0.0/24")
	for _, host := range []string{"evil.example", "other.myshopify.com"} {
		r := newRequest(host, "/admin/api/2026-10/products.json")
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Set("X-Forwarded-Host", "localhost")
		if _, err := d.Admit(view(r)); err == nil {
			t.Errorf("%s passes", host)
		}
	}
}

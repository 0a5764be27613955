package guard

import (
	"net"
	"slices"
	"strings"
	"testing"

	"evergate/internal/caller"
	"evergate/internal/denial"
	"evergate/internal/policy"
	"evergate/internal/token"
)

// several are Shops of which there are some.
type several []string

func (s several) Find(name string) (token.Shop, bool) {
	shop, err := token.ParseShop(name)
	return shop, err == nil && slices.Contains(s, shop.Handle())
}

func (several) Only() (token.Shop, bool) { return token.Shop{}, false }

func (several) Policy(token.Shop) *policy.Policy { return nil }

func (s several) Known(most int) (domains []string) {
	if len(s) > most {
		return nil
	}
	for _, handle := range s {
		domains = append(domains, handle+shopSuffix)
	}
	return domains
}

func newAdmissionOf(t *testing.T, shops Shops) *Admission {
	t.Helper()
	a, err := New(Options{Shops: shops, AllowedHosts: []string{"evergate.internal"}, Tunnels: ShopTunnels})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestOneOfSeveralShopsIsNamed(t *testing.T) {
	t.Parallel()
	a := newAdmissionOf(t, several{"acme", "beta"})
	for _, c := range []struct{ host, target, shop, code string }{
		{"beta.localhost:8080", "/admin/shop.json", "beta", ""},
		{"BETA.myshopify.com", "/admin/shop.json", "beta", ""},
		{"beta.myshopify.com.localhost", "/admin/shop.json", "beta", ""},
		{"localhost", "/acme.myshopify.com/admin/shop.json", "acme", ""},
		{"evergate.internal:80", "/Beta.myshopify.com/admin/shop.json", "beta", ""},
		{"acme.localhost", "/acme.myshopify.com/admin/shop.json", "acme", ""},
		{"acme.localhost", "/beta.myshopify.com/admin/shop.json", "", denial.CodeAmbiguousPath},
		{"acme.myshopify.com", "/beta.myshopify.com/admin/shop.json", "", denial.CodeAmbiguousPath},
		{"localhost", "/admin/shop.json", "", denial.CodeUnknownShop},
		{"evergate.internal", "/admin/shop.json", "", denial.CodeUnknownShop},
		{"gamma.localhost", "/admin/shop.json", "", denial.CodeUnknownShop},
		{"localhost", "/gamma.myshopify.com/admin/shop.json", "", denial.CodeUnknownShop},
		{"gamma.myshopify.com", "/admin/shop.json", "", denial.CodeMisdirectedHost},
		{"acme.example", "/admin/shop.json", "", denial.CodeMisdirectedHost},
	} {
		p, err := a.Admit(view(newRequest(c.host, c.target)))
		if code := codeOf(err); code != c.code || c.code == "" && p.Shop.Handle() != c.shop {
			t.Errorf("%s%s: %q, %v; want %q, %q", c.host, c.target, p.Shop, err, c.shop, c.code)
		}
		// Whoever named no shop, or none that is known, learns how to name one, and, once it is known that no web page asks, which there are.
		const how = "A request names its shop before the path, as in /acme.myshopify.com/admin/api/…, or calls acme.localhost."
		misnamed := c.code == denial.CodeMisdirectedHost && strings.HasSuffix(c.host, shopSuffix)
		if misnamed && (!strings.Contains(err.Error(), how) || strings.Contains(err.Error(), "beta")) ||
			c.code == denial.CodeUnknownShop && !strings.Contains(err.Error(), "acme.myshopify.com, beta.myshopify.com. "+how) {
			t.Errorf("%s%s: %v", c.host, c.target, err)
		}
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return denial.Of(err).Code
}

func TestAListenerOfOneShopIsForNoOther(t *testing.T) {
	t.Parallel()
	a := newAdmissionOf(t, several{"acme", "beta"})
	beta, err := token.ParseShop("beta")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ host, target, shop, code string }{
		{"localhost", "/admin/shop.json", "beta", ""},
		{"beta.localhost", "/admin/shop.json", "beta", ""},
		{"localhost", "/beta.myshopify.com/admin/shop.json", "beta", ""},
		{"acme.localhost", "/admin/shop.json", "", denial.CodeUnknownShop},
		{"acme.myshopify.com", "/admin/shop.json", "", denial.CodeUnknownShop},
		{"localhost", "/acme.myshopify.com/admin/shop.json", "", denial.CodeUnknownShop},
	} {
		r := newRequest(c.host, c.target)
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		r = r.WithContext(a.access.ConnContext(a.access.BaseContext(caller.Listener(nil, false, beta)), here))
		p, err := a.Admit(view(r))
		if code := codeOf(err); code != c.code || c.code == "" && p.Shop.Handle() != c.shop {
			t.Errorf("%s%s: %q, %v; want %q, %q", c.host, c.target, p.Shop, err, c.shop, c.code)
		}
	}
}

// What is listed helps; what could be tens of thousands is not listed.
func TestKnownShopsAreListedUpToTen(t *testing.T) {
	t.Parallel()
	many := several{}
	for i := range mostNamed + 1 {
		many = append(many, "shop-"+string(rune('a'+i)))
	}
	for _, c := range []struct {
		shops several
		want  string
	}{{many[:mostNamed], "shop-j.myshopify.com"}, {many, "EVERGATE_SHOPS_FILE"}} {
		a := newAdmissionOf(t, c.shops)
		for _, target := range []string{"/nobody.myshopify.com/admin/shop.json", "/admin/shop.json"} {
			_, err := a.Admit(view(newRequest("localhost", target)))
			if err == nil || len(c.shops) == mostNamed && !strings.Contains(err.Error(), c.want) || len(c.shops) > mostNamed && strings.Contains(err.Error(), "shop-b") {
				t.Errorf("%d shops, %s: %v", len(c.shops), target, err)
			}
		}
	}
}

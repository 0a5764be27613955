package kubestore

import (
	"regexp"
	"strings"
	"testing"

	"evergate/internal/token"
)

func shopNamed(t testing.TB, name string) token.Shop {
	t.Helper()
	shop, err := token.ParseShop(name)
	if err != nil {
		t.Fatal(err)
	}
	return shop
}

var dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func TestEveryShopHasANameOfItsOwnThatKubernetesTakes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63) // no label of DNS is longer
	seen := map[string]string{}
	for _, handle := range []string{"a", "acme", "acme-", "acme--", "a-b", "grant", "0", long[:62], long, long[:62] + "b", long[:62] + "-", "x" + strings.Repeat("-", 62)} {
		shop := shopNamed(t, handle)
		name := nameOf(shop)
		if len(name) > 253 || !dnsSubdomain.MatchString(name) {
			t.Errorf("%.20s has the name %s", handle, name)
		}
		if other, taken := seen[name]; taken {
			t.Errorf("%.20s and %.20s share the name %s", handle, other, name)
		}
		seen[name] = handle
		if got, ok := shopOf(newMeta(shop)); !ok || got != shop {
			t.Errorf("%.20s is taken for %.20s, %t", handle, got, ok)
		}
	}
}

func TestWhoseAnObjectIsIsToldByItsName(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		meta objectMeta
		want string
	}{
		"of_another":         {objectMeta{Name: "evergate-grant-beta", Annotations: map[string]string{shopAnnotation: "acme.myshopify.com"}}, ""},
		"without_annotation": {objectMeta{Name: "evergate-grant-acme"}, "acme.myshopify.com"},
		"hash_without":       {objectMeta{Name: nameOf(shopNamed(t, "acme-"))}, ""},
		"foreign":            {objectMeta{Name: "acme"}, ""},
		"not_lower":          {objectMeta{Name: "evergate-grant-ACME"}, ""},
	} {
		shop, ok := shopOf(tc.meta)
		if ok != (tc.want != "") || ok && shop.Domain() != tc.want {
			t.Errorf("%s: %v, %t, want %q", name, shop, ok, tc.want)
		}
	}
}

func FuzzShopOf(f *testing.F) {
	f.Add("evergate-grant-acme", "acme.myshopify.com")
	f.Add("evergate-grant.0", "")
	f.Fuzz(func(t *testing.T, name, annotation string) {
		shop, ok := shopOf(objectMeta{Name: name, Annotations: map[string]string{shopAnnotation: annotation}})
		if ok && nameOf(shop) != name {
			t.Errorf("%q is taken for %s's, whose is %q", name, shop, nameOf(shop))
		}
	})
}

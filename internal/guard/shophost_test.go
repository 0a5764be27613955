package guard

import (
	"net/http/httptest"
	"strings"
	"testing"

	"evergate/internal/denial/denialtest"
	"evergate/internal/token"
)

// A shop's own name must never be made a name for another shop's data.
func TestNameOfAnotherShopCannotBeAllowed(t *testing.T) {
	t.Parallel()
	shop, err := token.ParseShop("acme")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Shops: One(shop), AllowedHosts: []string{"caller.Other.MyShopify.com"}}); err == nil || !strings.Contains(err.Error(), "a shop's own name") {
		t.Errorf("%v", err)
	}
	admission, err := New(Options{Shops: One(shop)})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/admin/api/2026-10/shop.json", nil)
	r.Host = "other.myshopify.com:8080"
	if _, err := admission.Admit(view(r)); denialtest.Of(t, err).Status != 421 || strings.Contains(denialtest.Of(t, err).Message, "EVERGATE_ALLOWED_HOSTS") {
		t.Errorf("%+v", err)
	}
}

package config

import (
	"strings"
	"testing"
)

func TestTheShopIsOptionalBesideAShopsFile(t *testing.T) {
	t.Parallel()
	c, err := Load([]string{"EVERGATE_SHOPS_FILE=/etc/shops.yaml", "EVERGATE_LISTEN=127.0.0.1:8080,acme@127.0.0.1:8081"})
	if err != nil || !c.Shop.IsZero() || c.Listeners[1].Shop.Handle() != "acme" {
		t.Errorf("%v", err)
	}
	if c, err = Load(append(minimal(), "EVERGATE_SHOPS_FILE=/etc/shops.yaml", "EVERGATE_LISTEN=other@127.0.0.1:8081")); err != nil || c.Shop.IsZero() || c.Grant != GrantClientCredentials {
		t.Errorf("one more shop: %v", err)
	}
	if _, err := Load(nil); err == nil || !strings.Contains(err.Error(), "SHOPIFY_SHOP is not set") {
		t.Errorf("neither: %v", err)
	}
	_, err = Load([]string{"EVERGATE_SHOPS_FILE=/etc/shops.yaml", "SHOPIFY_CLIENT_ID=x", "SHOPIFY_CLIENT_SECRET_FILE=" + writeFile(t, "shpss_1"), "SHOPIFY_ACCESS_TOKEN=shpat_1"})
	for _, want := range []string{"client_id", "client_secret", "access_token"} {
		if err == nil || !strings.Contains(err.Error(), "write "+want+" into the file of EVERGATE_SHOPS_FILE") {
			t.Errorf("credentials of nobody: %v, want %s", err, want)
		}
	}
}

func TestNoProxyForAllShops(t *testing.T) {
	t.Parallel()
	const file = "EVERGATE_SHOPS_FILE=/etc/shops.yaml"
	c, err := Load([]string{file, "HTTPS_PROXY=http://proxy:3128", "NO_PROXY=.myshopify.com"})
	if err != nil || c.HasProxy() {
		t.Errorf("exempt: %v", err)
	}
	if c, err = Load([]string{file, "HTTPS_PROXY=http://proxy:3128"}); err != nil || !c.HasProxy() {
		t.Errorf("not exempt: %v", err)
	}
	if _, err = Load([]string{file, "HTTPS_PROXY=ftp://proxy"}); err == nil || !strings.Contains(err.Error(), "NO_PROXY=.myshopify.com") {
		t.Errorf("the remedy: %v", err)
	}
}

func TestStoreLayout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ layout, store, want string }{
		{"evergate", "", ""}, {"evergate", "memory:", ""}, {"mysql", "memory:", "write evergate, prisma, shopify-postgresql or rails"},
		{"prisma", "", "EVERGATE_STORE is no such database"}, {"rails", "file:/x", "EVERGATE_STORE is no such database"},
	} {
		_, err := Load(append(minimal(), "EVERGATE_STORE_LAYOUT="+c.layout, "EVERGATE_STORE="+c.store))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, scheme := range []string{"postgres", "postgresql"} {
		if err := (&Config{Store: scheme + "://db/app", StoreLayout: LayoutPrisma}).StoreChoice().CheckLayout(); err != nil {
			t.Error(err)
		}
	}
}

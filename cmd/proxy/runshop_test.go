package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopsim"
)

// fleetFile is the environment of a simulated Shopify with two shops of a file, of which the second has a wrong secret, and
// an address of the file's own that nobody may listen at here.
func fleetFile(t *testing.T) (environ []string) {
	t.Helper()
	_, upstream := plainShopify(t, shopsim.Options{Shops: []shopsim.Shop{{Domain: "acme.myshopify.com"}, {Domain: "beta.myshopify.com"}}})
	file := filepath.Join(t.TempDir(), "shops.yaml")
	text := "defaults:\n  client_id: " + shopsim.DefaultClientID + "\n  client_secret: " + shopsim.DefaultClientSecret +
		"\nshops:\n  acme:\n    listen: 192.0.2.1:1\n  beta:\n    client_secret: wrong\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"EVERGATE_UPSTREAM_URL=" + upstream, "EVERGATE_SHOPS_FILE=" + file, "EVERGATE_UNSAFE_LISTEN=true"}
}

func TestRunIsForTheShopOfManyThatIsNamed(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	environ := fleetFile(t)
	call := append(slices.Clone(environ), "PROXY_TEST_COMMAND=call", "SHOPIFY_STORE_DOMAIN=other.myshopify.com")
	r := start(call, "run", "--shop", "acme", "--", self)
	r.mustEnd(t, 5)
	for _, want := range []string{"200\n", "\nSHOPIFY_SHOP=acme.myshopify.com\n", "\nSHOPIFY_STORE_DOMAIN=acme.myshopify.com\n"} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"--shop beta":   {exitSidecar, "was not started"},
		"--shop nobody": {exitConfig, "nobody.myshopify.com is not in the shops file"},
		"--shop a!b":    {exitConfig, "--shop"},
	} {
		if o := execute(environ, append(append([]string{"run"}, strings.Fields(args)...), "--", self)...); o.code != want.code || !strings.Contains(o.err, want.says) {
			t.Errorf("%s: %+v", args, o)
		}
	}
	if o := execute(append(slices.Clone(environ), "EVERGATE_LISTEN=beta@127.0.0.1:0"), "run", "--shop", "acme", "--", self); o.code != exitConfig || !strings.Contains(o.err, "write acme@127.0.0.1:0") {
		t.Errorf("%+v", o)
	}
}

func TestEnvIsForTheShopOfManyThatIsNamed(t *testing.T) {
	t.Parallel()
	environ := fleetFile(t)
	text, err := os.ReadFile(strings.TrimPrefix(environ[1], "EVERGATE_SHOPS_FILE="))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "shops.yaml") // of a sidecar that listens
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "192.0.2.1:1", "127.0.0.1:0", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start([]string{environ[0], "EVERGATE_SHOPS_FILE=" + file, "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_CONNECT=tunnel", "EVERGATE_CA_DIR=memory:"}, "serve")
	tools, operators := serving(t, s)
	here := []string{"EVERGATE_LISTEN=" + tools, "EVERGATE_ADMIN_LISTEN=" + operators, "EVERGATE_CONNECT=tunnel"}
	o := execute(here, "env", "--dotenv", "--shop", "acme", "--dir", t.TempDir())
	for _, want := range []string{"EVERGATE_URL=http://" + tools + "/acme.myshopify.com", "SHOPIFY_SHOP=acme.myshopify.com", "HTTPS_PROXY=http://" + tools} {
		if o.code != exitOK || !strings.Contains(strings.ReplaceAll(o.out, `"`, ""), want) {
			t.Errorf("no %s in %+v", want, o)
		}
	}
	if status, body := get(t, "http://"+tools+"/acme.myshopify.com/admin/api/2026-10/shop.json"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if o := execute(here, "env", "--dotenv", "--dir", t.TempDir()); o.code != exitOK || strings.Contains(o.out, "SHOPIFY_SHOP") || !strings.Contains(o.err, "name one with --shop") {
		t.Errorf("%+v", o)
	}
	if o := execute(here, "env", "--shop", "nobody", "--dir", t.TempDir()); o.code == exitOK || !strings.Contains(o.err, "--shop: ") {
		t.Errorf("%+v", o)
	}
	s.signals <- os.Interrupt
	s.mustEnd(t, exitOK)
}

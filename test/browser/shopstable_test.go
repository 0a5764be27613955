package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopsim"
)

func TestTheShopsOfManyAreSearched(t *testing.T) {
	t.Parallel()
	modules := requireBrowser(t)
	s := newShopify(t, shopsim.Options{Seed: 7})
	file := filepath.Join(t.TempDir(), "shops.yaml")
	var text strings.Builder
	fmt.Fprintf(&text, "defaults:\n  client_id: %s\n  client_secret: %s\nshops:\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret)
	for i := range 120 {
		fmt.Fprintf(&text, "  shop-%03d: {}\n", i)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := slices.DeleteFunc(slices.Clone(s.environ), func(setting string) bool { return strings.HasPrefix(setting, "SHOPIFY_") })
	p := start(t, append(environ, "EVERGATE_SHOPS_FILE="+file), "serve")
	chromium, _ := exec.LookPath("chromium")
	var seen struct {
		Complaints                   []string
		All                          int
		Typed, Focus, Heading, Title string
		Found                        []string
	}
	drive(t, "shopstable.cjs", modules, 1, map[string]any{"chromium": chromium, "url": "http://" + p.address(t, "listening for operators") + "/",
		"search": "shop-11", "shop": "shop-113.myshopify.com"}, &seen)
	if len(seen.Complaints) > 0 || seen.All != 100 || seen.Typed != "shop-11" {
		t.Errorf("the browser complains %q; %d rows; what was typed became %q", seen.Complaints, seen.All, seen.Typed)
	}
	if len(seen.Found) != 10 || seen.Found[3] != "shop-113.myshopify.com" || seen.Focus != "shop-113.myshopify.com" {
		t.Errorf("found: %q, focus: %q", seen.Found, seen.Focus)
	}
	if seen.Heading != "shop-113.myshopify.com" || !strings.Contains(seen.Title, "shop-113") {
		t.Errorf("the page of a shop: %q, %q", seen.Heading, seen.Title)
	}
	p.stop(t)
}

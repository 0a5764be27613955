package token

import (
	"regexp"
	"strings"
	"testing"
)

func TestShopIsRecognised(t *testing.T) {
	t.Parallel()
	for in, domain := range map[string]string{
		"acme":                          "acme.myshopify.com",
		"acme.myshopify.com":            "acme.myshopify.com",
		"ACME":                          "acme.myshopify.com",
		"Acme.MyShopify.Com":            "acme.myshopify.com",
		"  acme\n":                      "acme.myshopify.com",
		"0-9":                           "0-9.myshopify.com",
		"a":                             "a.myshopify.com",
		"ends-with-":                    "ends-with-.myshopify.com",
		"blue--finch-2":                 "blue--finch-2.myshopify.com",
		strings.Repeat("x", 60) + "-xx": strings.Repeat("x", 60) + "-xx.myshopify.com",
	} {
		shop, err := ParseShop(in)
		if err != nil || shop.Domain() != domain || shop.String() != domain || shop.Handle() != strings.TrimSuffix(domain, ".myshopify.com") || shop.IsZero() {
			t.Errorf("%q: %v, %v, want %s", in, shop, err, domain)
		}
	}
}

func TestWhatIsNoShopIsRefusedWithAHint(t *testing.T) {
	t.Parallel()
	for in, parts := range map[string][]string{
		"":                                       {"empty", "example acme"},
		" \t":                                    {"empty"},
		"https://acme.myshopify.com":             {`is a URL`, "the shop is acme.myshopify.com"},
		"HTTP://Acme.myshopify.com/":             {`is a URL`, "the shop is acme.myshopify.com"},
		"https://acme.myshopify.com/admin":       {"is a URL", "the shop is acme.myshopify.com"},
		"https://admin.shopify.com/store/acme":   {"is a URL", "the shop is acme.myshopify.com"},
		"https://admin.shopify.com/store/acme/x": {"is a URL", "the shop is acme.myshopify.com"},
		"https://www.acme.example/":              {"is a URL", "give the name before .myshopify.com"},
		"https://":                               {"is a URL", "give the name before .myshopify.com"},
		"://":                                    {"is a URL"},
		"admin.shopify.com/store/acme/products":  {"is an address in the admin", "the shop is acme.myshopify.com"},
		"admin.shopify.com/store/":               {"is an address in the admin", "give the name before .myshopify.com"},
		"acme.myshopify.com/admin":               {`has a path`, "the shop is acme.myshopify.com"},
		"acme/":                                  {`has a path`, "the shop is acme.myshopify.com"},
		"/":                                      {"has a path"},
		"www.acme.example":                       {"is not a myshopify.com domain", "custom domain", "Settings > Domains"},
		"admin.shopify.com":                      {"is not a myshopify.com domain"},
		"acme.myshopify.com.":                    {"is not a myshopify.com domain"},
		"acme.myshopify.com:443":                 {"is not a myshopify.com domain"},
		"acme.myshopify.com.evil.example":        {"is not a myshopify.com domain"},
		"acme.myshopify.io":                      {"is not a myshopify.com domain"},
		"evilmyshopify.com":                      {"is not a myshopify.com domain"},
		"a.b.myshopify.com":                      {"is not a shop name", "letters, digits and hyphens"},
		".myshopify.com":                         {"is not a shop name"},
		"-acme":                                  {"is not a shop name"},
		"my_shop":                                {"is not a shop name"},
		"my shop":                                {"is not a shop name"},
		"acme@home":                              {"is not a shop name"},
		"acme\x00":                               {"is not a shop name"},
		"acme\nx":                                {"is not a shop name"},
		"блю":                                    {"is not a shop name"},
		strings.Repeat("x", 64):                  {"is not a shop name", "at most 63"},
		strings.Repeat("x", 64) + ".myshopify.com":              {"is not a shop name", "at most 63"},
		"https://" + strings.Repeat("x", 64) + ".myshopify.com": {"is a URL", "give the name before"},
		strings.Repeat("x", 1<<20):                              {"is not a shop name"},
		strings.Repeat("x", 1<<20) + ".example":                 {"is not a myshopify.com domain"},
		"https://" + strings.Repeat("x", 1<<20):                 {"is a URL"},
		"acme/" + strings.Repeat("x", 1<<20):                    {"has a path", "the shop is acme.myshopify.com"},
	} {
		shop, err := ParseShop(in)
		if err == nil {
			t.Errorf("%q is taken as %v", in, shop)
			continue
		}
		if !shop.IsZero() {
			t.Errorf("%q: an error together with the shop %v", in, shop)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: the error has more than one line: %q", in, err)
		}
		if len(err.Error()) > 1000 {
			t.Errorf("%.100q: the error has %d bytes", in, len(err.Error()))
		}
		if _, found := FindShop(in); found {
			t.Errorf("%.100q is found", in)
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q does not say %q", in, err, part)
			}
		}
	}
}

// An error is one line of a log and one item of a list, whatever was given.
func TestShopMistakeIsOneLine(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"acme/\nlevel=INFO msg=forged", "a\nb://acme", "a\nb.example", "a\nb", "admin.shopify.com/\n", "acme/\x1b[2J"} {
		if _, err := ParseShop(in); err == nil || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: %q", in, err)
		}
	}
}

// strings.ToLower turns the Kelvin sign into an ASCII k, so a name that is not ASCII
// would become another shop's.
func TestShopNameIsASCII(t *testing.T) {
	t.Parallel()
	if shop, err := ParseShop("\u212Aelvin"); err == nil {
		t.Errorf("a name with a Kelvin sign is taken as %v", shop)
	}
}

func FuzzParseShop(f *testing.F) {
	for _, seed := range []string{
		"acme", "acme.myshopify.com", "https://acme.myshopify.com/admin", "admin.shopify.com/store/acme", "a://b://c", "///",
		"https://admin.shopify.com/store/admin.shopify.com/store/acme", "\u212A", "İ", ".myshopify.com", "a\xff", "x.myshopify.com\n", "",
	} {
		f.Add(seed)
	}
	accepted := regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`)
	f.Fuzz(func(t *testing.T, in string) {
		shop, err := ParseShop(in)
		if err != nil {
			if !shop.IsZero() || err.Error() == "" {
				t.Fatalf("%q: %v together with %v", in, err, shop)
			}
			return
		}
		if !accepted.MatchString(shop.Domain()) {
			t.Fatalf("%q is taken as %q", in, shop.Domain())
		}
		for _, again := range []string{shop.Domain(), shop.Handle(), strings.ToUpper(shop.Domain())} {
			if second, err := ParseShop(again); err != nil || second != shop {
				t.Fatalf("%q gives %v, and %q then gives %v, %v", in, shop, again, second, err)
			}
		}
		if folded := strings.ToLower(strings.TrimSpace(in)); folded != shop.Handle() && folded != shop.Domain() {
			t.Fatalf("%q is taken as %v, which is not what it says", in, shop)
		}
	})
}

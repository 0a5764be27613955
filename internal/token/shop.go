package token

import (
	"fmt"
	"strings"

	"evergate/internal/remedy"
)

const (
	shopSuffix = ".myshopify.com"
	// longestHandle is the longest label of a name in the DNS (RFC 1035, 2.3.4). Whoever names a longer one means no shop, and stores
	// make keys and names of files of what is one.
	longestHandle = 63
)

// Shop is a validated store. The zero Shop is no store.
type Shop struct{ domain string }

// ParseShop accepts "acme" or "acme.myshopify.com" in any case. What people paste by
// mistake (a URL, an admin address, a storefront domain) is refused with an error that
// names the mistake and, where it can be told, the right value.
func ParseShop(s string) (Shop, error) {
	in := strings.TrimSpace(s)
	if in == "" {
		return Shop{}, remedy.New("give the name before .myshopify.com, for example acme", "the shop is empty")
	}
	name := lowerASCII(in)
	if scheme, rest, ok := strings.Cut(name, "://"); ok {
		return Shop{}, shopMistake(in, fmt.Sprintf("is a URL: drop %.40q", scheme+"://"), rest)
	}
	if host, path, ok := strings.Cut(name, "/"); ok {
		if host == "admin.shopify.com" {
			return Shop{}, shopMistake(in, "is an address in the admin, not a shop", name)
		}
		return Shop{}, shopMistake(in, fmt.Sprintf("has a path: drop %.100q", "/"+path), name)
	}
	if !strings.Contains(name, ".") {
		name += shopSuffix
	}
	if !strings.HasSuffix(name, shopSuffix) {
		return Shop{}, remedy.New("use the permanent name that the admin shows under Settings > Domains, for example acme.myshopify.com", "%.100q is not a myshopify.com domain, and the API does not answer on a storefront or custom domain", in)
	}
	handle := strings.TrimSuffix(name, shopSuffix)
	if !isHandle(handle) {
		return Shop{}, fmt.Errorf("%.100q is not a shop name: it may hold letters, digits and hyphens before %s, at most %d", in, shopSuffix, longestHandle)
	}
	return Shop{domain: name}, nil
}

// FindShop is ParseShop for what a client names, a handle or a domain in any case: nothing is explained. A domain in lower case
// is taken as it is, without a copy.
func FindShop(name string) (Shop, bool) {
	if len(name) > longestHandle+len(shopSuffix) {
		return Shop{}, false
	}
	if !isLower(name) {
		name = lowerASCII(name)
	}
	handle, isDomain := strings.CutSuffix(name, shopSuffix)
	if !isHandle(handle) {
		return Shop{}, false
	}
	if !isDomain {
		name += shopSuffix
	}
	return Shop{domain: name}, true
}

func isLower(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return false
		}
	}
	return true
}

// isHandle is ^[a-z0-9][a-z0-9-]*$, which Shopify documents for callbacks, as far as it is a label of the DNS.
func isHandle(s string) bool {
	return s != "" && len(s) <= longestHandle && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-')
	})
}

// lowerASCII leaves everything but A to Z as it is: strings.ToLower makes a k of the Kelvin
// sign, and with it another shop's name of one that is none.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// shopMistake names the mistake and, when rest holds a usable name, the right value.
func shopMistake(in, what, rest string) error {
	guess := rest
	if after, ok := strings.CutPrefix(rest, "admin.shopify.com/store/"); ok {
		guess = after
	}
	guess, _, _ = strings.Cut(guess, "/")
	if shop, err := ParseShop(guess); err == nil {
		what, _, _ = strings.Cut(what, ":")
		return remedy.New(fmt.Sprintf("write %s", shop.Handle()), "%.100q %s; the shop is %s", in, what, shop)
	}
	return fmt.Errorf("%.100q %s; give the name before %s, for example acme", in, what, shopSuffix)
}

// Handle returns the part before .myshopify.com.
func (s Shop) Handle() string { return strings.TrimSuffix(s.domain, shopSuffix) }

// Domain returns the permanent domain, for example acme.myshopify.com.
func (s Shop) Domain() string { return s.domain }

// IsZero reports whether s is no store.
func (s Shop) IsZero() bool { return s.domain == "" }

// Clone returns a Shop that keeps alive nothing else than its own name.
func (s Shop) Clone() Shop { return Shop{domain: strings.Clone(s.domain)} }

// String returns the domain.
func (s Shop) String() string { return s.Domain() }

package shopsim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// shop is a store while the simulator runs.
type shop struct {
	id        int64
	domain    string
	name      string
	otherOrg  bool
	condition Condition
	installed map[string]bool     // by client id
	buckets   map[string]*buckets // by client id
	products  productStore
	locations []*location
	keys      map[string]onceUse // of @idempotent, by app and key

	bulk         []*bulkOperation // in the order of their ids
	variantsEach int              // of the products that were there from the start
	sales        sales
}

func newShop(cfg Shop, index int) *shop {
	sh := &shop{
		id:        60_000_001 + int64(index),
		domain:    shopDomain(cfg.Domain),
		name:      cfg.Name,
		otherOrg:  cfg.OtherOrganization,
		condition: cfg.Condition,
		installed: map[string]bool{},
		buckets:   map[string]*buckets{},
		locations: newLocations(cfg.Locations),
		keys:      map[string]onceUse{},

		variantsEach: cfg.Variants,
		sales:        sales{orders: cfg.Orders, customers: cfg.Customers},
	}
	if sh.name == "" {
		sh.name = displayName(sh.domain)
	}
	for n := range cfg.Products {
		p, _ := sh.products.create(map[string]any{"title": fmt.Sprintf("Product %d", n+1)}, seedTime)
		p.seeded = true
	}
	return sh
}

// displayName turns "blue-finch.myshopify.com" into "Blue Finch".
func displayName(domain string) string {
	words := strings.Split(strings.TrimSuffix(domain, ".myshopify.com"), "-")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}

// Condition is something wrong with a shop that makes the API refuse requests:
// all of them, whatever the token, except for NonExpiringEnded. The token endpoint
// goes on working.
type Condition string

// The conditions, by what Shopify answers in them.
const (
	Healthy             Condition = ""                     // nothing is wrong
	Unauthorized        Condition = "unauthorized"         // 401 even for valid tokens
	PaymentRequired     Condition = "payment_required"     // 402, the documented body
	Frozen              Condition = "frozen"               // 402 "Unavailable Shop"
	Unavailable         Condition = "unavailable"          // 403 "Unavailable Shop"
	NonExpiringRefused  Condition = "non_expiring_refused" // 403 as for a token that never expires, whatever the token
	NonExpiringEnded    Condition = "non_expiring_ended"   // the same 403, only for tokens that never expire
	CustomerDataRefused Condition = "customer_data"        // 403 protected customer data
	Locked              Condition = "locked"               // 423
)

const (
	badTokenText    = "[API] Invalid API key or access token (unrecognized login or wrong password)"
	nonExpiringText = "[API] Non-expiring access tokens are no longer accepted for the Admin API. " +
		"Start using expiring offline tokens: https://shopify.dev/docs/apps/build/authentication-authorization/" +
		"access-tokens/offline-access-tokens#expiring-vs-non-expiring-offline-tokens"
	customerDataText = "[API] This app is not approved to access REST endpoints with protected customer data. " +
		"See https://partners.shopify.com/1/apps/1/customer_data for more details."
)

// answer is what the API says to any token in this condition, nil if that
// depends on the token.
func (c Condition) answer() *response {
	switch c {
	case Unauthorized:
		return jsonErrors(http.StatusUnauthorized, badTokenText)
	case PaymentRequired:
		return jsonErrors(http.StatusPaymentRequired, "This shop's plan does not have access to this feature")
	case Frozen:
		return jsonErrors(http.StatusPaymentRequired, "Unavailable Shop")
	case Unavailable:
		return jsonErrors(http.StatusForbidden, "Unavailable Shop")
	case NonExpiringRefused:
		return jsonErrors(http.StatusForbidden, nonExpiringText)
	case CustomerDataRefused:
		return jsonErrors(http.StatusForbidden, customerDataText)
	case Locked:
		return jsonErrors(http.StatusLocked, "This shop is unavailable")
	}
	return nil
}

// Validate reports a condition that does not exist.
func (c Condition) Validate() error {
	if c != Healthy && c != NonExpiringEnded && c.answer() == nil {
		return fmt.Errorf("condition %q: want one of unauthorized, payment_required, frozen, unavailable, "+
			"non_expiring_refused, non_expiring_ended, customer_data, locked, or nothing for a healthy shop", string(c))
	}
	return nil
}

// SetCondition changes what is wrong with a shop. It panics on an unknown condition.
func (s *Sim) SetCondition(shopName string, c Condition) {
	if err := c.Validate(); err != nil {
		panic(fmt.Sprintf("shopsim: %v", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustShop(shopName).condition = c
}

// SetOtherOrganization says whether the shop belongs to another organisation
// than the apps, which the client credentials grant does not allow.
func (s *Sim) SetOtherOrganization(shopName string, other bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustShop(shopName).otherOrg = other
}

// DrainBuckets empties both rate limits of the app on the shop, as if another
// client had just spent them.
func (s *Sim) DrainBuckets(shopName, clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustShop(shopName).bucketsOf(s.mustApp(clientID).id).drain(s.state.settings)
}

// mustShop finds a shop by either form of its name, "" being the first one.
func (s *Sim) mustShop(name string) *shop {
	sh, err := s.findShop(name)
	if err != nil {
		panic(fmt.Sprintf("shopsim: %v", err))
	}
	return sh
}

func (s *Sim) findShop(name string) (*shop, error) {
	if name == "" {
		name = s.opts.Shops[0].Domain
	}
	sh := s.shopNamed(shopDomain(name))
	if sh == nil {
		known := slices.Sorted(maps.Keys(s.state.shops))
		if more := len(known) - 10; more > 0 {
			known = append(known[:10], fmt.Sprintf("%d more", more))
		}
		return nil, fmt.Errorf("no shop %q: the shops are %s", name, strings.Join(known, ", "))
	}
	return sh, nil
}

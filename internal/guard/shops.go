package guard

import (
	"net/http"
	"strings"

	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/policy"
	"evergate/internal/token"
)

// Shops are those that are served. Its methods are safe for concurrent use, and called for every request.
type Shops interface {
	// Find returns the shop that a name means: a handle or a domain, in any case. False: it is not served. One that is found
	// may still turn out to have no grant.
	Find(name string) (token.Shop, bool)
	// Only is the shop of a request that names none; false: each request has to name one.
	Only() (token.Shop, bool)
	// Policy is what a shop is held to, whoever calls; nil: to nothing.
	Policy(shop token.Shop) *policy.Policy
	// Known are the domains of those that are served, in order, if they are at most that many; else, or when they cannot be
	// listed, nothing.
	Known(most int) []string
}

// One are Shops of which there is one.
func One(shop token.Shop) Shops { return one{shop, shop.Handle()} }

type one struct {
	shop   token.Shop
	handle string
}

func (o one) Find(name string) (token.Shop, bool) {
	return o.shop, ascii.EqualFold(name, o.handle) || ascii.EqualFold(name, o.shop.Domain())
}

func (o one) Only() (token.Shop, bool) { return o.shop, true }

func (one) Policy(token.Shop) *policy.Policy { return nil }

func (o one) Known(int) []string { return []string{o.shop.Domain()} }

// mostNamed is how many shops an error lists.
const mostNamed = 10

// HowToName says how a request names its shop.
func HowToName(example string) string {
	return "A request names its shop before the path, as in /" + example + "/admin/api/…, or calls " + strings.TrimSuffix(example, shopSuffix) + localSuffix + "."
}

// whichServed goes on after the sentence that a shop is not served here.
func (a *Admission) whichServed() string {
	switch known := a.shops.Known(mostNamed); len(known) {
	case 0:
		return "Name one that is, or have it added to EVERGATE_SHOPS_FILE. " + HowToName(a.anExample())
	case 1:
		return "The one that is known is " + known[0] + ": name that one, or none."
	default:
		return "Those that are known are " + strings.Join(known, ", ") + ". " + HowToName(known[0])
	}
}

// anExample is a shop's domain for a message.
func (a *Admission) anExample() string {
	if known := a.shops.Known(mostNamed); len(known) > 0 {
		return known[0]
	}
	return "acme" + shopSuffix
}

// forWhom says for which hosts this is a forward proxy.
func (a *Admission) forWhom() string {
	if only, ok := a.shops.Only(); ok {
		return only.Domain()
	}
	return "the shops that are served"
}

// ownDomain finds the shop whose own domain a host is.
func (a *Admission) ownDomain(host string) (token.Shop, bool) {
	if !ascii.HasSuffixFold(host, shopSuffix) {
		return token.Shop{}, false
	}
	return a.shops.Find(host)
}

// unnamed is the answer to a request that names no shop where it has to.
func (a *Admission) unnamed() error {
	message := "This request names no shop, and more than one is served here."
	if known := a.shops.Known(mostNamed); len(known) > 1 {
		message += " " + a.whichServed()
	} else {
		message += " " + HowToName(a.anExample())
	}
	return denial.New(http.StatusNotFound, denial.CodeUnknownShop, message)
}

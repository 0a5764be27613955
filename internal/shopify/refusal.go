package shopify

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// The refusals that something can be done about here. Match them with errors.Is.
var (
	// ErrToken says that Shopify does not accept the token: it expired or was revoked, or
	// it is of another shop.
	ErrToken = errors.New("the token is not accepted")
	// ErrNonExpiring says that the token is permanent and that the app may have none.
	ErrNonExpiring = errors.New("tokens that do not expire are no longer accepted")
)

// Refusal is an answer other than the one that was hoped for.
type Refusal struct {
	Status int
	// What says what happened, and Remedy what to do.
	What, Remedy string
	kind         error
}

// Error implements error. It holds nothing of the answer but its status and, of a redirect, a host.
func (r *Refusal) Error() string { return r.What + ": " + r.Remedy }

// Is reports whether target is what was refused.
func (r *Refusal) Is(target error) bool { return r.kind != nil && target == r.kind }

// refusal explains an answer.
func (c *Client) refusal(a *answer) error {
	r := &Refusal{Status: a.status}
	switch {
	case a.status >= 300 && a.status < 400:
		r.What, r.Remedy = c.redirected(a.header.Get("Location")), "set SHOPIFY_SHOP to the shop's permanent name, which the admin shows under Settings > Domains"
	case a.status == http.StatusUnauthorized:
		r.kind = ErrToken
		r.What = fmt.Sprintf("%s does not accept the token: it has expired or was revoked, is of another shop, or the app was uninstalled", c.Shop)
		r.Remedy = "obtain another one"
	case RefusesNonExpiring(a.status, a.body):
		r.kind = ErrNonExpiring
		r.What, r.Remedy = "Shopify no longer accepts tokens that do not expire from this app", "run `evergate token migrate`, or `evergate login`"
	case a.status == http.StatusPaymentRequired, a.status == http.StatusLocked:
		r.What, r.Remedy = fmt.Sprintf("%s is frozen or locked (status %d)", c.Shop, a.status), "someone with access to its admin must look"
	case a.status == http.StatusForbidden:
		r.What, r.Remedy = fmt.Sprintf("%s refuses the call (status 403)", c.Shop), "see in its admin whether the shop is open and what the app may do"
	case a.status == http.StatusNotFound:
		r.What, r.Remedy = fmt.Sprintf("there is no shop %s", c.Shop), "check SHOPIFY_SHOP"
	case a.status == http.StatusTooManyRequests, a.status >= 500:
		r.What, r.Remedy = fmt.Sprintf("Shopify is busy or erring (status %d)", a.status), "try again in a moment"
	default:
		r.What, r.Remedy = fmt.Sprintf("Shopify answered with status %d", a.status), "see whether EVERGATE_UPSTREAM_URL leads to Shopify"
	}
	return r
}

func (c *Client) redirected(location string) string {
	if u, err := url.Parse(location); err == nil && u.Host != "" && u.Host != c.Shop.Domain() {
		return fmt.Sprintf("%s has moved to %.100q", c.Shop, u.Host)
	}
	return fmt.Sprintf("%s redirects", c.Shop)
}

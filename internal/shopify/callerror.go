package shopify

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"evergate/internal/remedy"
)

// What Shopify can refuse that something can be done about here. Match them with errors.Is.
var (
	// ErrToken says that Shopify does not accept the token: it expired or was revoked, or
	// it is of another shop.
	ErrToken = errors.New("the token is not accepted")
	// ErrNonExpiring says that the token is permanent and that the app may have none.
	ErrNonExpiring = errors.New("tokens that do not expire are no longer accepted")
)

// CallError is an answer to a call of our own other than the one that was hoped for.
type CallError struct {
	Status int
	// Err says what happened and what to do. It holds nothing of the answer but its status
	// and, of a redirect, a host.
	Err  *remedy.Error
	kind error
}

// Error implements error.
func (e *CallError) Error() string { return e.Err.Error() }

// Unwrap returns what happened with the remedy beside it.
func (e *CallError) Unwrap() error { return e.Err }

// Is reports whether target is what was refused.
func (e *CallError) Is(target error) bool { return e.kind != nil && target == e.kind }

// callError explains an answer.
func (c *Client) callError(a *Answer) error {
	e := &CallError{Status: a.Status}
	var what, do string
	switch {
	case a.Status >= 300 && a.Status < 400:
		what, do = c.redirected(a.Header.Get("Location")), "set SHOPIFY_SHOP to the shop's permanent name, which the admin shows under Settings > Domains"
	case a.Status == http.StatusUnauthorized:
		e.kind = ErrToken
		what = fmt.Sprintf("%s does not accept the token: it has expired or was revoked, is of another shop, or the app was uninstalled", c.Shop)
		do = "obtain another one"
	case RefusesNonExpiring(a.Status, a.Body):
		e.kind = ErrNonExpiring
		what, do = "Shopify no longer accepts tokens that do not expire from this app", "run "+c.Remedies.Command("token migrate")+", or "+c.Remedies.Command("login")
	case a.Status == http.StatusPaymentRequired, a.Status == http.StatusLocked:
		what, do = fmt.Sprintf("%s is frozen or locked (status %d)", c.Shop, a.Status), "someone with access to its admin must look"
	case a.Status == http.StatusForbidden:
		what, do = fmt.Sprintf("%s refuses the call (status 403)", c.Shop), "see in its admin whether the shop is open and what the app may do"
		if !ExplainsForbidden(a.Body) {
			do += "; if the app has an IP allowlist, see in the Dev Dashboard whether it has the address that Evergate calls from"
		}
	case a.Status == http.StatusNotFound:
		what, do = fmt.Sprintf("there is no shop %s", c.Shop), "check SHOPIFY_SHOP"
	case a.Status == http.StatusTooManyRequests, a.Status >= 500:
		what, do = fmt.Sprintf("Shopify is busy or erring (status %d)", a.Status), "try again in a moment"
	default:
		what, do = fmt.Sprintf("Shopify answered with status %d", a.Status), "see whether EVERGATE_UPSTREAM_URL leads to Shopify"
	}
	e.Err = &remedy.Error{Err: errors.New(what), Remedy: do}
	return e
}

func (c *Client) redirected(location string) string {
	if u, err := url.Parse(location); err == nil && u.Host != "" && u.Host != c.Shop.Domain() {
		return fmt.Sprintf("%s has moved to %.100q", c.Shop, u.Host)
	}
	return fmt.Sprintf("%s redirects", c.Shop)
}

// ExplainsForbidden reports whether the beginning of a 403's body gives one of the known reasons.
// What an IP allowlist's refusal says is not documented, so it is told by exclusion.
func ExplainsForbidden(body []byte) bool {
	for _, reason := range []string{"merchant approval for", "not approved to", "Unavailable Shop", nonExpiringRefused} {
		if bytes.Contains(body, []byte(reason)) {
			return true
		}
	}
	return false
}

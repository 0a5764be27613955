package grant

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"evergate/internal/shopify"
	"evergate/internal/token"
)

// What Shopify can refuse beside the client. Both come with token.ErrConfig: a person must
// do something, and nothing that is stored is dead.
var (
	// ErrCode says that an authorization code is unknown, used or too old.
	ErrCode = errors.New("the authorization code is not accepted")
	// ErrSubjectToken says that the token that was to be exchanged is not accepted: a
	// session token, or the permanent token of a migration.
	ErrSubjectToken = errors.New("the token to be exchanged is not accepted")
)

// refusal is a failed answer as far as it could be read.
type refusal struct {
	said
	status int
	json   bool // it was JSON, not a page
}

// verdict is what a refusal asks for.
type verdict struct {
	what     string // what is wrong, where that is known
	remedy   string // what a person is to do
	decision error  // token.ErrTransient, token.ErrConfig or token.ErrReauthorize
	subject  error  // ErrCode, ErrSubjectToken or nil
	client   bool   // the client itself was refused: another secret of its may do
}

// reading is what a refusal means to one grant, in that grant's words. False leaves it to
// what the refusal means to all of them.
type reading func(*shopify.Client, refusal) (verdict, bool)

// judge decides what a failure asks for and says it in one sentence for a person. The
// order matters: a code is worth more than a status.
func judge(api *shopify.Client, r refusal, location string, own ...reading) verdict {
	switch {
	case isTransient(r.status):
		return verdict{what: "Shopify is busy or erring", remedy: "this passes by itself", decision: token.ErrTransient}
	case r.status >= 300 && r.status < 400:
		return config("set SHOPIFY_SHOP to the shop's permanent myshopify.com name", "%s", redirected(api.Shop, location))
	}
	if strings.Contains(r.description, "Could not find Shopify API application") {
		r.code = "application_cannot_be_found" // older wording of the same refusal
	}
	for _, read := range append(own, readCommon) {
		if v, ok := read(api, r); ok {
			return v
		}
	}
	return readStatus(api.Shop, r.status)
}

// config is the verdict that asks for a change of the configuration. format and args say
// what is wrong, if that is known.
func config(remedy, format string, args ...any) verdict {
	return verdict{what: fmt.Sprintf(format, args...), remedy: remedy, decision: token.ErrConfig}
}

// isTransient reports the statuses that mean "the same again, later": 520 to 530 are the
// edge that gets no answer from its origin.
func isTransient(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500 || status/100 == 2 // a success that is no 200 is no answer we know
}

// readCommon reads the codes that mean the same to every grant.
func readCommon(api *shopify.Client, r refusal) (verdict, bool) {
	switch r.code {
	case "application_cannot_be_found":
		return config("check SHOPIFY_CLIENT_ID (an app made a moment ago takes a little to be known)", "no app has this client id"), true
	case "invalid_client":
		v := config("check SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET", "the client id and the client secret do not belong together")
		v.client = isClientError(r.status)
		return v, true
	case "invalid_request":
		return config("check SHOPIFY_CLIENT_SECRET, then the installation", "the client secret is wrong, or the app is not installed on %s", api.Shop), true
	case "app_not_installed":
		return config("install it, then authorise it there with "+api.Remedies.Command("login"), "the app is not installed on %s", api.Shop), true
	case "unauthorized_client", "unsupported_grant_type":
		return config("check SHOPIFY_CLIENT_ID and EVERGATE_GRANT", "this app may not obtain tokens in this way"), true
	}
	return verdict{}, false
}

// isClientError reports the statuses of a refusal that names its reason.
func isClientError(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusUnauthorized
}

// readStatus is what is left when no code says more.
func readStatus(shop token.Shop, status int) verdict {
	switch status {
	case http.StatusPaymentRequired, http.StatusForbidden, http.StatusLocked:
		return config("someone with access to its admin must look; this recovers by itself", "%s is frozen, locked or closed", shop)
	case http.StatusNotFound:
		return config("check SHOPIFY_SHOP", "there is no shop %s", shop)
	case http.StatusUnauthorized:
		return config("check SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET", "Shopify does not accept this client")
	}
	return config("check SHOPIFY_CLIENT_ID, SHOPIFY_CLIENT_SECRET and that the app is installed on "+shop.Domain(), "")
}

func redirected(shop token.Shop, location string) string {
	if u, err := url.Parse(location); err == nil && u.Host != "" && u.Host != shop.Domain() {
		return fmt.Sprintf("%s has moved to %.100q", shop, u.Host)
	}
	return fmt.Sprintf("%s redirects", shop)
}

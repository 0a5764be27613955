package grant

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"evergate/internal/shopify"
	"evergate/internal/token"
)

// longestClientCredentials caps the life of a client-credentials token. Shopify documents
// 24 hours (expires_in 86399); the hour above is for a change of theirs that we would hear of.
const longestClientCredentials = 25 * time.Hour

// ClientCredentials is the grant of RFC 6749 section 4.4: an app asks for a token with its
// own id and secret, as often as it likes. Shopify allows it where the app and the store
// belong to one organisation and the app is installed. There is no refresh token.
type ClientCredentials struct{ Endpoint *Endpoint }

// Name returns the grant's name as it stands in EVERGATE_GRANT and in metrics.
func (ClientCredentials) Name() string { return "client_credentials" }

// Grant obtains a token with one POST. An error wraps one of the decisions of package token.
func (g ClientCredentials) Grant(ctx context.Context) (token.Token, error) {
	a, err := g.Endpoint.post(ctx, url.Values{"grant_type": {"client_credentials"}}, readClientCredentials)
	if err != nil {
		return token.Token{}, err
	}
	return a.expiring(longestClientCredentials), nil
}

func readClientCredentials(api *shopify.Client, r refusal) (verdict, bool) {
	switch r.code {
	case "shop_not_permitted":
		return config("use the offline grant", "the app and %s are in different organisations (or the app is not installed there), and client credentials work only within one", api.Shop), true
	case "app_not_installed":
		return config("install it from the Dev Dashboard; this recovers by itself", "the app is not installed on %s", api.Shop), true
	case "unauthorized_client", "unsupported_grant_type":
		return config("use the offline grant", "this app may not use client credentials"), true
	case "invalid_request":
		// As a page with status 400 this is what Shopify says of a wrong secret, to this grant only.
		v, ok := readCommon(api, r)
		v.client = !r.json && r.status == http.StatusBadRequest
		return v, ok
	}
	return verdict{}, false
}

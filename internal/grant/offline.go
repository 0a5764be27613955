package grant

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"evergate/internal/shopify"
	"evergate/internal/token"
)

// Values of the token exchange (RFC 8693 section 2.1).
const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	idToken       = "urn:ietf:params:oauth:token-type:id_token"
	offlineToken  = "urn:shopify:params:oauth:token-type:offline-access-token"
)

// Offline is the grant that a merchant gives once and that lives on without him: a token
// that expires, with a refresh token that is replaced at each use, or a permanent token.
// One app has one such chain per shop, and every method but Migrate's repetition ends the
// one before, so whoever calls them serialises them and keeps what they return.
type Offline struct{ Endpoint *Endpoint }

// Name returns the grant's name as it stands in EVERGATE_GRANT and in metrics.
func (Offline) Name() string { return "offline" }

// Refresh exchanges a refresh token for the next pair. An error that wraps
// token.ErrReauthorize says that this refresh token is dead; after any other one it may be
// presented again, also when the answer was lost: Shopify honours it until its replacement
// is used. An answer without a new refresh token is such a failure, or the chain would end.
func (g Offline) Refresh(ctx context.Context, refresh token.Secret) (token.Pair, error) {
	a, err := g.Endpoint.post(ctx, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {refresh.Reveal()},
	}, readRefresh)
	return paired(a, err, answer.pair)
}

// ExchangeCode exchanges the authorization code of a callback, which works once, for a pair
// that expires or for a permanent token. An error may wrap ErrCode.
func (g Offline) ExchangeCode(ctx context.Context, code token.Secret, expiring bool) (token.Pair, error) {
	// Shopify documents this request without a grant_type and without a redirect_uri.
	params := url.Values{"code": {code.Reveal()}}
	if expiring {
		params.Set("expiring", "1")
	}
	a, err := g.Endpoint.post(ctx, params, readCode)
	return paired(a, err, answer.pairOrPermanent)
}

// ExchangeSession exchanges the session token of a merchant who has the app open in the
// admin for a pair. An error may wrap ErrSubjectToken.
func (g Offline) ExchangeSession(ctx context.Context, sessionToken token.Secret) (token.Pair, error) {
	a, err := g.exchange(ctx, sessionToken, idToken,
		"the session token is over a minute old, or of another app or shop", "open the app in the shop's admin again")
	return paired(a, err, answer.pairOrPermanent)
}

// Migrate exchanges a permanent token for a pair and thereby ends it, everywhere it is used
// and for good. For seven days the same permanent token brings the same pair back, until that
// pair is refreshed: it is how a lost answer is recovered. An error may wrap ErrSubjectToken.
func (g Offline) Migrate(ctx context.Context, permanent token.Secret) (token.Pair, error) {
	a, err := g.exchange(ctx, permanent, offlineToken,
		"this access token cannot be migrated (it was already, it expires, or it is not an app's permanent token)", "authorise the app anew with "+g.Endpoint.API.Remedies.Command("login"))
	return paired(a, err, answer.pair)
}

func (g Offline) exchange(ctx context.Context, subject token.Secret, kind, wrong, remedy string) (answer, error) {
	return g.Endpoint.post(ctx, url.Values{
		"grant_type":           {tokenExchange},
		"subject_token":        {subject.Reveal()},
		"subject_token_type":   {kind},
		"requested_token_type": {offlineToken},
		"expiring":             {"1"},
	}, func(_ *shopify.Client, r refusal) (verdict, bool) {
		v := config(remedy, "%s", wrong)
		v.subject = ErrSubjectToken
		return v, r.code == "invalid_subject_token" || r.code == "invalid_grant"
	})
}

// paired is what every method ends with. An answer of which no pair can be made asks for the
// same again, as every malformed answer does.
func paired(a answer, err error, pair func(answer) (token.Pair, error)) (token.Pair, error) {
	if err != nil {
		return token.Pair{}, err
	}
	p, err := pair(a)
	if err != nil {
		return token.Pair{}, token.Decide(token.ErrTransient, fmt.Errorf("token endpoint: %w", err))
	}
	return p, nil
}

// readRefresh knows the one refusal that ends a chain. Shopify gives it no code of its own:
// "invalid_request" also stands for a wrong secret and for an app that is not there, and
// taking one of those for the end would cost a merchant's grant. Only a 401 in JSON that
// names the refresh token counts, and invalid_grant, which RFC 6749 section 5.2 has for it.
func readRefresh(api *shopify.Client, r refusal) (verdict, bool) {
	dead := r.code == "invalid_grant" && isClientError(r.status) ||
		(r.code == "invalid_request" || r.code == "") && r.status == http.StatusUnauthorized && namesDeadRefreshToken(r.description)
	return verdict{
		what:     "the refresh token is no longer active (90 days unused, replaced by another login, or the app was uninstalled)",
		remedy:   fmt.Sprintf("authorise the app on %s anew with %s", api.Shop, api.Remedies.Command("login")),
		decision: token.ErrReauthorize,
	}, dead && r.json
}

// namesDeadRefreshToken reports whether a sentence calls the refresh token not active. That
// one is missing from the request does not count.
func namesDeadRefreshToken(sentence string) bool {
	s := strings.ReplaceAll(strings.ToLower(sentence), "refresh token", "refresh_token")
	if !strings.Contains(s, "refresh_token") {
		return false
	}
	for _, word := range []string{"active refresh_token", "inactive", "not active", "no longer active", "expired", "revoked"} {
		if strings.Contains(s, word) {
			return true
		}
	}
	return false
}

// readCode takes a page without a sentence for one of two things: only to client credentials
// is it known to mean a wrong secret, and what is wrong with a code has been seen as a page, too.
func readCode(_ *shopify.Client, r refusal) (verdict, bool) {
	isPage := !r.json && !strings.Contains(r.description, "authorization code")
	switch {
	case r.code == "invalid_request" && isPage:
		return config("check SHOPIFY_CLIENT_SECRET, then start the login again", "the authorization code was used already, or the client secret is wrong"), true
	case r.code == "invalid_request", r.code == "invalid_grant":
		v := config("start the login again", "the authorization code is unknown, too old or was used already")
		v.subject = ErrCode
		return v, true
	}
	return verdict{}, false
}

package shopify

import "evergate/internal/token"

// Credential is a kind of credential of Shopify's, as its prefix tells.
type Credential uint8

// The kinds of credentials that have a prefix of their own.
const (
	// UnknownCredential has none of the prefixes, which says nothing: the oldest ones have none.
	UnknownCredential Credential = iota
	ClientSecret
	RefreshToken
	ThemeAccessPassword
	AutomationToken
	AccessToken
	CustomAppToken
	PrivateAppPassword
	OnlineToken
)

var credentials = [...]struct{ prefix, what string }{
	ClientSecret:        {"shpss_", "a client secret"},
	RefreshToken:        {"shprt_", "a refresh token"},
	ThemeAccessPassword: {"shptka_", "a Theme Access password"},
	AutomationToken:     {"atkn_", "an app automation token of the Shopify CLI"},
	AccessToken:         {"shpat_", "an access token"},
	CustomAppToken:      {"shpca_", "an access token"},
	PrivateAppPassword:  {"shppa_", "the password of a private app"},
	OnlineToken:         {"shpua_", "an online access token, which ends with its user's session"},
}

// PlaceholderToken has the shape of an access token and is none. It is for programs that refuse to start without one.
const PlaceholderToken = "shpat_00000000000000000000000000000000"

// CredentialOf tells what s is by its prefix.
func CredentialOf(s token.Secret) Credential {
	for c := UnknownCredential + 1; int(c) < len(credentials); c++ {
		if s.HasPrefix(c.Prefix()) {
			return c
		}
	}
	return UnknownCredential
}

// Prefix is what every credential of the kind begins with.
func (c Credential) Prefix() string { return credentials[c].prefix }

// String names the kind for people.
func (c Credential) String() string { return credentials[c].what }

// OpensAdminAPI reports whether the Admin API takes credentials of the kind as a token.
func (c Credential) OpensAdminAPI() bool {
	return c == AccessToken || c == CustomAppToken || c == PrivateAppPassword || c == OnlineToken
}

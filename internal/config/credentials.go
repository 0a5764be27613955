package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// checkCredentials settles the grant and looks for the usual mistakes: one value pasted
// where another belongs. No value is ever part of a message.
func (c *Config) checkCredentials(vars map[string]string) (errs []error) {
	for _, err := range []error{
		mistakenID(c.ClientID), mistakenSecret("SHOPIFY_CLIENT_SECRET", c.ClientSecret, c.ClientID),
		mistakenSecret("SHOPIFY_CLIENT_SECRET_PREVIOUS", c.PreviousSecret, c.ClientID),
		mistakenToken(c.AccessToken, c.ClientID, c.ClientSecret), mistakenRefresh(c.RefreshToken),
	} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if hex32().MatchString(c.AccessToken.Reveal()) && len(errs) == 0 {
		c.Warnings = append(c.Warnings, remedy.New("if Shopify refuses it, it is the former", "SHOPIFY_ACCESS_TOKEN has the shape of a client id, or of a token from before 2020"))
	}
	if err := c.settleGrant(vars); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// settleGrant replaces auto by what the credentials say.
func (c *Config) settleGrant(vars map[string]string) error {
	g := given{
		id: c.isSet(vars, "SHOPIFY_CLIENT_ID"), secret: c.isSet(vars, "SHOPIFY_CLIENT_SECRET"),
		static: c.isSet(vars, "SHOPIFY_ACCESS_TOKEN"), refresh: c.isSet(vars, "SHOPIFY_REFRESH_TOKEN"),
	}
	switch c.Grant {
	case GrantAuto:
		if g.static && (g.id || g.secret || g.refresh) {
			return remedy.New("say which to use with EVERGATE_GRANT=static or EVERGATE_GRANT=client_credentials, or with EVERGATE_GRANT=offline", "SHOPIFY_ACCESS_TOKEN and credentials of another grant are both set")
		}
		c.Grant, c.Inferred = g.grant(), true
	case GrantClientCredentials, GrantOffline, GrantStatic:
	default:
		return remedy.New("write client_credentials, offline, static or auto", "EVERGATE_GRANT=%q", c.Grant)
	}
	if c.Grant == GrantStatic {
		if !g.static {
			return errors.New("EVERGATE_GRANT=static needs SHOPIFY_ACCESS_TOKEN, or SHOPIFY_ACCESS_TOKEN_FILE" + c.hints(vars))
		}
		return nil
	}
	switch {
	case !g.id && !g.secret:
		return remedy.New("set SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, which the Dev Dashboard shows under the app's settings, "+
			"or SHOPIFY_ACCESS_TOKEN for a custom app from before 2026"+c.hints(vars), "no credentials")
	case !g.id:
		return remedy.New("set both"+c.hints(vars), "SHOPIFY_CLIENT_ID is not set, but SHOPIFY_CLIENT_SECRET is")
	case !g.secret:
		return remedy.New("set both"+c.hints(vars), "SHOPIFY_CLIENT_SECRET is not set, but SHOPIFY_CLIENT_ID is")
	}
	return nil
}

// given is which credentials there are.
type given struct{ id, secret, static, refresh bool }

func (g given) grant() string {
	switch {
	case g.static:
		return GrantStatic
	case g.refresh:
		return GrantOffline
	}
	return GrantClientCredentials
}

func (c *Config) isSet(vars map[string]string, name string) bool {
	return strings.TrimSpace(vars[name]) != "" || vars[name+"_FILE"] != "" || c.files[name] != ""
}

// hints points at a token that is none, and at names that Shopify's own templates use for the same values.
func (c *Config) hints(vars map[string]string) string {
	var hints []string
	if c.placeholder {
		return " (SHOPIFY_ACCESS_TOKEN holds the placeholder of `evergate run` or `evergate env`: another Evergate has the credentials, and " +
			URLVariable + " says where)"
	}
	for _, n := range [][2]string{{"SHOPIFY_API_KEY", "SHOPIFY_CLIENT_ID"}, {"SHOPIFY_API_SECRET", "SHOPIFY_CLIENT_SECRET"},
		{"SHOPIFY_API_SECRET_KEY", "SHOPIFY_CLIENT_SECRET"}} {
		if vars[n[0]] != "" {
			hints = append(hints, n[0]+" is called "+n[1]+" here")
		}
	}
	if hints == nil {
		return ""
	}
	return " (" + strings.Join(hints, "; ") + ")"
}

var hex32 = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{32}$`) })

func mistakenID(id string) error {
	if kind := shopify.CredentialOf(token.NewSecret(id)); kind != shopify.UnknownCredential {
		return remedy.New("the client id is the other value, 32 characters without a prefix", "SHOPIFY_CLIENT_ID holds %s", kind)
	}
	return nil
}

func mistakenSecret(name string, s token.Secret, id string) error {
	switch kind := shopify.CredentialOf(s); {
	case !s.Empty() && s.Reveal() == id:
		return remedy.New("the secret stands beside it in the Dev Dashboard and starts with "+shopify.ClientSecret.Prefix(), "%s holds the client id", name)
	case kind != shopify.UnknownCredential && kind != shopify.ClientSecret:
		return remedy.New("the client secret starts with "+shopify.ClientSecret.Prefix(), "%s holds %s", name, kind)
	}
	return nil
}

func mistakenRefresh(s token.Secret) error {
	if kind := shopify.CredentialOf(s); kind != shopify.UnknownCredential && kind != shopify.RefreshToken {
		return remedy.New("a refresh token starts with "+shopify.RefreshToken.Prefix(), "SHOPIFY_REFRESH_TOKEN holds %s", kind)
	}
	return nil
}

func mistakenToken(t token.Secret, id string, secret token.Secret) error {
	switch kind := shopify.CredentialOf(t); {
	case t.Empty():
		return nil
	case kind == shopify.ClientSecret || t.Equal(secret):
		return remedy.New("put it into SHOPIFY_CLIENT_SECRET, with SHOPIFY_CLIENT_ID, and Evergate obtains the token", "SHOPIFY_ACCESS_TOKEN holds a client secret, which no API accepts")
	case t.Reveal() == id:
		return remedy.New("remove it and set SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET; Evergate obtains the token", "SHOPIFY_ACCESS_TOKEN holds the client id")
	case kind != shopify.UnknownCredential && !kind.OpensAdminAPI():
		return fmt.Errorf("SHOPIFY_ACCESS_TOKEN holds %s, which the Admin API does not accept", kind)
	}
	return nil
}

// GrantInWords is a grant's name as people say it, after "with".
func GrantInWords(grant string) string {
	switch grant {
	case GrantClientCredentials:
		return "client credentials"
	case GrantOffline:
		return "a stored grant"
	case GrantStatic:
		return "a permanent token"
	}
	return grant
}

package config

import (
	"errors"
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
	if c.ShopName == "" && c.ShopsFile != "" {
		return c.ownerless(vars)
	}
	errs = Credentials{c.ClientID, c.ClientSecret, c.PreviousSecret, c.AccessToken, c.RefreshToken}.Mistakes(nil)
	if hex32().MatchString(c.AccessToken.Reveal()) && len(errs) == 0 {
		c.Warnings = append(c.Warnings, remedy.New("if Shopify refuses it, it is the former", "SHOPIFY_ACCESS_TOKEN has the shape of a client id, or of a token from before 2020"))
	}
	if err := c.settleGrant(vars); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// ownerless refuses credentials that are for the shop of SHOPIFY_SHOP where there is none: whoever sets them counts on them.
func (c *Config) ownerless(vars map[string]string) (errs []error) {
	for _, name := range [...]string{"SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET", "SHOPIFY_CLIENT_SECRET_PREVIOUS", "SHOPIFY_ACCESS_TOKEN", "SHOPIFY_REFRESH_TOKEN", "SHOPIFY_SCOPES"} {
		if c.isSet(vars, name) {
			key := strings.ToLower(strings.TrimPrefix(name, "SHOPIFY_"))
			errs = append(errs, remedy.New("write "+key+" into the file of EVERGATE_SHOPS_FILE, or set SHOPIFY_SHOP", "%s is set, which is for the shop of SHOPIFY_SHOP, and that is not", name))
		}
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

// Credentials are those of one shop; what is not given is empty.
type Credentials struct {
	ID                                string
	Secret, Previous, Access, Refresh token.Secret
}

// Mistakes finds values pasted where another belongs. named is what whoever wrote them calls a setting; nil: as it is called.
func (c Credentials) Mistakes(named func(setting string) string) (errs []error) {
	if named == nil {
		named = func(setting string) string { return setting }
	}
	for _, err := range []error{
		c.mistakenID(named), c.mistakenSecret(named("SHOPIFY_CLIENT_SECRET"), c.Secret), c.mistakenSecret(named("SHOPIFY_CLIENT_SECRET_PREVIOUS"), c.Previous),
		c.mistakenToken(named), c.mistakenRefresh(named),
	} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (c Credentials) mistakenID(named func(string) string) error {
	if kind := shopify.CredentialOf(token.NewSecret(c.ID)); kind != shopify.UnknownCredential {
		return remedy.New("the client id is the other value, 32 characters without a prefix", "%s holds %s", named("SHOPIFY_CLIENT_ID"), kind)
	}
	return nil
}

func (c Credentials) mistakenSecret(name string, s token.Secret) error {
	switch kind := shopify.CredentialOf(s); {
	case !s.Empty() && s.Reveal() == c.ID:
		return remedy.New("the secret stands beside it in the Dev Dashboard and starts with "+shopify.ClientSecret.Prefix(), "%s holds the client id", name)
	case kind != shopify.UnknownCredential && kind != shopify.ClientSecret:
		return remedy.New("the client secret starts with "+shopify.ClientSecret.Prefix(), "%s holds %s", name, kind)
	}
	return nil
}

func (c Credentials) mistakenRefresh(named func(string) string) error {
	if kind := shopify.CredentialOf(c.Refresh); kind != shopify.UnknownCredential && kind != shopify.RefreshToken {
		return remedy.New("a refresh token starts with "+shopify.RefreshToken.Prefix(), "%s holds %s", named("SHOPIFY_REFRESH_TOKEN"), kind)
	}
	return nil
}

func (c Credentials) mistakenToken(named func(string) string) error {
	name, id, secret := named("SHOPIFY_ACCESS_TOKEN"), named("SHOPIFY_CLIENT_ID"), named("SHOPIFY_CLIENT_SECRET")
	switch kind := shopify.CredentialOf(c.Access); {
	case c.Access.Empty():
		return nil
	case kind == shopify.ClientSecret || c.Access.Equal(c.Secret):
		return remedy.New("put it into "+secret+", with "+id+", and Evergate obtains the token", "%s holds a client secret, which no API accepts", name)
	case c.Access.Reveal() == c.ID:
		return remedy.New("remove it and set "+id+" and "+secret+"; Evergate obtains the token", "%s holds the client id", name)
	case kind == shopify.RefreshToken:
		return remedy.New("put it into "+named("SHOPIFY_REFRESH_TOKEN")+", or store it with `evergate token import`", "%s holds %s, which the Admin API does not accept", name, kind)
	case kind != shopify.UnknownCredential && !kind.OpensAdminAPI():
		return remedy.New("the token of a custom app starts with "+shopify.AccessToken.Prefix(), "%s holds %s, which the Admin API does not accept", name, kind)
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

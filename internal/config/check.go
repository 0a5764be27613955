package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"evergate/internal/guard"
	"evergate/internal/token"
)

// check fills in what is derived and returns every mistake.
func (c *Config) check(vars map[string]string) error {
	var errs []error
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	add(c.checkShop())
	errs = append(errs, c.checkCredentials(vars)...)
	errs = append(errs, c.checkListeners()...)
	add(c.checkHosts())
	add(c.checkUpstream())
	add(c.checkRoots())
	errs = append(errs, c.checkDurations()...)
	if c.LogFormat != "" && c.LogFormat != "text" && c.LogFormat != "json" {
		add(fmt.Errorf("EVERGATE_LOG_FORMAT=%q: write text or json", c.LogFormat))
	}
	return errors.Join(errs...)
}

func (c *Config) checkShop() (err error) {
	if c.ShopName == "" {
		return errors.New("SHOPIFY_SHOP is not set: give the name of the store before .myshopify.com, for example acme")
	}
	if c.Shop, err = token.ParseShop(c.ShopName); err != nil {
		return fmt.Errorf("SHOPIFY_SHOP: %w", err)
	}
	return nil
}

// checkListeners parses the addresses and refuses those that other hosts can reach.
func (c *Config) checkListeners() (errs []error) {
	var err error
	if c.Listeners, err = guard.ParseListen(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("EVERGATE_LISTEN: %w", err))
	}
	if !c.Shop.IsZero() {
		if err := guard.CheckPins(c.Listeners, c.Shop); err != nil {
			errs = append(errs, fmt.Errorf("EVERGATE_LISTEN: %w", err))
		}
	}
	for _, a := range c.Listeners {
		if !a.Loopback() && !c.UnsafeListen {
			errs = append(errs, fmt.Errorf("EVERGATE_LISTEN=%q is not loopback: whoever can reach it acts as your app; "+
				"listen on 127.0.0.1 or a Unix socket, or set EVERGATE_UNSAFE_LISTEN=true to accept that", a))
		}
	}
	admin, err := guard.ParseListen(c.AdminListen)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("EVERGATE_ADMIN_LISTEN: %w", err))
	case len(admin) != 1 || !admin[0].Shop.IsZero():
		errs = append(errs, fmt.Errorf("EVERGATE_ADMIN_LISTEN=%q: give one address, for example 127.0.0.1:9090", c.AdminListen))
	default:
		c.Admin = admin[0]
	}
	return errs
}

func (c *Config) checkHosts() error {
	if c.Shop.IsZero() {
		return nil // said already, and a door needs one
	}
	if _, err := guard.NewDoor(guard.Options{Shop: c.Shop, AllowedHosts: c.AllowedHosts}); err != nil {
		return fmt.Errorf("EVERGATE_ALLOWED_HOSTS: %w", err)
	}
	return nil
}

func (c *Config) checkUpstream() error {
	u, err := url.Parse(strings.ReplaceAll(c.UpstreamURL, "{shop}", c.Shop.Domain()))
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return fmt.Errorf("EVERGATE_UPSTREAM_URL=%q is not an http or https URL: write for example https://{shop}", c.UpstreamURL)
	case strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("EVERGATE_UPSTREAM_URL=%q: give scheme, host and port only", c.UpstreamURL)
	}
	if u.Scheme == "http" && !isLoopbackHost(u.Hostname()) {
		c.Warnings = append(c.Warnings, "EVERGATE_UPSTREAM_URL is http and not loopback: the access token and the client secret travel unencrypted")
	}
	u.Path = ""
	c.Base = u
	return nil
}

func isLoopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *Config) checkRoots() error {
	if c.UpstreamCAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(c.UpstreamCAFile)
	if err != nil {
		return fmt.Errorf("EVERGATE_UPSTREAM_CA_FILE: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine without system roots still has the file's
	}
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("EVERGATE_UPSTREAM_CA_FILE=%q holds no certificate in PEM form", c.UpstreamCAFile)
	}
	c.Roots = roots
	return nil
}

func (c *Config) checkDurations() (errs []error) {
	for name, d := range map[string]time.Duration{
		"EVERGATE_TOKEN_WAIT": c.TokenWait, "EVERGATE_UPSTREAM_TIMEOUT": c.UpstreamTimeout, "EVERGATE_SHUTDOWN_TIMEOUT": c.ShutdownTimeout,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s=%q: it must be longer than nothing, for example 5s", name, d))
		}
	}
	if c.ShutdownDelay < 0 {
		errs = append(errs, fmt.Errorf("EVERGATE_SHUTDOWN_DELAY=%q: it cannot be negative", c.ShutdownDelay))
	}
	return errs
}

// checkCredentials settles the grant and looks for the usual mistakes: one value pasted
// where another belongs. No value is ever part of a message.
func (c *Config) checkCredentials(vars map[string]string) (errs []error) {
	for _, err := range []error{
		mistakenID(c.ClientID), mistakenSecret(c.ClientSecret, c.ClientID), mistakenToken(c.AccessToken, c.ClientID, c.ClientSecret),
	} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if hex32.MatchString(c.AccessToken.Reveal()) && len(errs) == 0 {
		c.Warnings = append(c.Warnings, "SHOPIFY_ACCESS_TOKEN has the shape of a client id, or of a token from before 2020: if Shopify refuses it, it is the former")
	}
	if err := c.settleGrant(vars); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// settleGrant replaces auto by what the credentials say.
func (c *Config) settleGrant(vars map[string]string) error {
	given := func(name string) bool { return vars[name] != "" || vars[name+"_FILE"] != "" }
	id, secret, static := given("SHOPIFY_CLIENT_ID"), given("SHOPIFY_CLIENT_SECRET"), given("SHOPIFY_ACCESS_TOKEN")
	switch c.Grant {
	case GrantAuto:
		switch {
		case static && (id || secret):
			return errors.New("SHOPIFY_ACCESS_TOKEN and client credentials are both set: say which to use with EVERGATE_GRANT=static or EVERGATE_GRANT=client_credentials")
		case static:
			c.Grant = GrantStatic
		default:
			c.Grant = GrantClientCredentials
		}
	case GrantClientCredentials, GrantStatic:
	default:
		return fmt.Errorf("EVERGATE_GRANT=%q: write client_credentials, static or auto", c.Grant)
	}
	switch {
	case c.Grant == GrantStatic && !static:
		return errors.New("EVERGATE_GRANT=static needs SHOPIFY_ACCESS_TOKEN, or SHOPIFY_ACCESS_TOKEN_FILE")
	case c.Grant == GrantClientCredentials && !id && !secret:
		return errors.New("no credentials: set SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, which the Dev Dashboard shows under the app's settings, " +
			"or SHOPIFY_ACCESS_TOKEN for a custom app from before 2026" + otherNames(vars))
	case c.Grant == GrantClientCredentials && !id:
		return errors.New("SHOPIFY_CLIENT_ID is not set, but SHOPIFY_CLIENT_SECRET is: set both" + otherNames(vars))
	case c.Grant == GrantClientCredentials && !secret:
		return errors.New("SHOPIFY_CLIENT_SECRET is not set, but SHOPIFY_CLIENT_ID is: set both" + otherNames(vars))
	}
	return nil
}

// otherNames points at names that Shopify's own templates use for the same values.
func otherNames(vars map[string]string) string {
	var hints []string
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

var hex32 = regexp.MustCompile(`^[0-9a-f]{32}$`)

// kinds are the credentials of Shopify's that can be told by their prefix.
var kinds = []struct{ prefix, what string }{
	{"shpss_", "a client secret"},
	{"shprt_", "a refresh token"},
	{"shptka_", "a Theme Access password"},
	{"atkn_", "an app automation token of the Shopify CLI"},
	{"shpat_", "an access token"},
	{"shpca_", "an access token"},
	{"shppa_", "the password of a private app"},
	{"shpua_", "an online access token, which ends with its user's session"},
}

func kindOf(s token.Secret) string {
	for _, k := range kinds {
		if s.HasPrefix(k.prefix) {
			return k.what
		}
	}
	return ""
}

func mistakenID(id string) error {
	if kind := kindOf(token.NewSecret(id)); kind != "" {
		return fmt.Errorf("SHOPIFY_CLIENT_ID holds %s: the client id is the other value, 32 characters without a prefix", kind)
	}
	return quoted("SHOPIFY_CLIENT_ID", id)
}

func mistakenSecret(s token.Secret, id string) error {
	switch kind := kindOf(s); {
	case !s.Empty() && s.Reveal() == id:
		return errors.New("SHOPIFY_CLIENT_SECRET holds the client id: the secret stands beside it in the Dev Dashboard and starts with shpss_")
	case kind != "" && !s.HasPrefix("shpss_"):
		return fmt.Errorf("SHOPIFY_CLIENT_SECRET holds %s: the client secret starts with shpss_", kind)
	}
	return quoted("SHOPIFY_CLIENT_SECRET", s.Reveal())
}

func mistakenToken(t token.Secret, id string, secret token.Secret) error {
	switch kind := kindOf(t); {
	case t.Empty():
		return nil
	case t.HasPrefix("shpss_") || t.Equal(secret):
		return errors.New("SHOPIFY_ACCESS_TOKEN holds a client secret, which no API accepts: put it into SHOPIFY_CLIENT_SECRET, with SHOPIFY_CLIENT_ID, and Evergate obtains the token")
	case t.Reveal() == id:
		return errors.New("SHOPIFY_ACCESS_TOKEN holds the client id: remove it and set SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET; Evergate obtains the token")
	case kind != "" && !t.HasPrefix("shpat_") && !t.HasPrefix("shpca_") && !t.HasPrefix("shpua_") && !t.HasPrefix("shppa_"):
		return fmt.Errorf("SHOPIFY_ACCESS_TOKEN holds %s, which the Admin API does not accept", kind)
	}
	return quoted("SHOPIFY_ACCESS_TOKEN", t.Reveal())
}

// quoted finds quotation marks that an env file or a YAML file left around a value.
func quoted(name, value string) error {
	if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		return fmt.Errorf("%s has quotation marks around it, which are taken as part of the value: remove them", name)
	}
	return nil
}

package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/guard"
	"evergate/internal/listen"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
	"evergate/internal/resolve"
	"evergate/internal/store"
	"evergate/internal/token"
	"evergate/internal/trust"
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
	errs = append(errs, c.checkProxies()...)
	errs = append(errs, c.checkAccess(vars)...)
	add(c.checkUpstream())
	add(c.checkProxy(vars))
	add(c.checkResolver())
	add(c.checkRoots())
	add(c.checkPublicURL())
	add(c.checkLoginListen())
	add(c.checkApart())
	add(c.checkAppName())
	errs = append(errs, c.checkStore()...)
	add(c.CheckCADir())
	errs = append(errs, c.checkDurations(vars)...)
	if c.MaxConnections < 0 {
		add(remedy.New("write 1 or more, or leave it out to have it derived from what the process may have", "EVERGATE_MAX_CONNECTIONS=%d", c.MaxConnections))
	}
	if c.LogFormat != "" && c.LogFormat != "text" && c.LogFormat != "json" {
		add(remedy.New("write text or json", "EVERGATE_LOG_FORMAT=%q", c.LogFormat))
	}
	if c.Pace != PaceOn && c.Pace != PaceOff && c.Pace != PaceLocal {
		add(remedy.New("write on, local or off", "EVERGATE_PACE=%q", c.Pace))
	}
	return errors.Join(errs...)
}

func (c *Config) checkShop() (err error) {
	if c.ShopName == "" && c.ShopsFile != "" {
		return nil
	}
	if c.ShopName == "" {
		return remedy.New("give the name of the store before .myshopify.com, for example acme", "SHOPIFY_SHOP is not set")
	}
	if c.Shop, err = token.ParseShop(c.ShopName); err != nil {
		return fmt.Errorf("SHOPIFY_SHOP: %w", err)
	}
	return nil
}

// checkListeners parses the addresses and refuses those that other hosts can reach.
func (c *Config) checkListeners() (errs []error) {
	var err error
	if c.Listeners, err = listen.Parse(c.Listen); err != nil {
		errs = append(errs, remedy.Prefix("EVERGATE_LISTEN", err))
	}
	if !c.Shop.IsZero() && c.ShopsFile == "" {
		if err := listen.CheckPins(c.Listeners, c.Shop); err != nil {
			errs = append(errs, remedy.Prefix("EVERGATE_LISTEN", err))
		}
	}
	for _, a := range c.Listeners {
		if err := c.CheckReach("EVERGATE_LISTEN", a); err != nil {
			errs = append(errs, err)
		}
	}
	admin, err := listen.Parse(c.AdminListen)
	switch {
	case err != nil:
		errs = append(errs, remedy.Prefix("EVERGATE_ADMIN_LISTEN", err))
	case len(admin) != 1 || !admin[0].Shop.IsZero() || admin[0].TLS:
		errs = append(errs, remedy.New("give one address, for example 127.0.0.1:9090", "EVERGATE_ADMIN_LISTEN=%q", c.AdminListen))
	default:
		c.Admin = admin[0]
	}
	return errs
}

func (c *Config) checkHosts() error {
	if c.Shop.IsZero() && c.ShopsFile == "" {
		return nil // reported by the parser
	}
	return remedy.Prefix("EVERGATE_ALLOWED_HOSTS", guard.CheckHosts(c.AllowedHosts))
}

// checkProxies parses the addresses of proxies that are believed.
func (c *Config) checkProxies() (errs []error) {
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			var ip netip.Addr
			if ip, err = netip.ParseAddr(strings.Trim(text, "[]")); err == nil && ip.Zone() == "" {
				p = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen())
			}
		}
		switch {
		case !p.IsValid():
			errs = append(errs, remedy.New("write for example 10.0.0.7 or 10.0.0.0/8, without name and port", "EVERGATE_TRUSTED_PROXIES: %q is neither an address nor a range of them", text))
		case p.Addr().Is4In6():
			errs = append(errs, remedy.New("write it as IPv4", "EVERGATE_TRUSTED_PROXIES: %q is a range of IPv4 addresses written as IPv6", text))
		default:
			if p.Bits() == 0 {
				c.Warnings = append(c.Warnings, remedy.New("list the proxies", "EVERGATE_TRUSTED_PROXIES: %q is everybody, who can then say where links lead", text))
			}
			c.Proxies = append(c.Proxies, p.Masked())
		}
	}
	return errs
}

func (c *Config) checkResolver() error {
	if c.Resolver == "" {
		return nil
	}
	if _, err := resolve.Parse(c.Resolver); err != nil {
		return remedy.New("write for example 10.0.0.2, 10.0.0.2:53 or resolv.conf", "EVERGATE_RESOLVER=%q: %w", c.Resolver, err)
	}
	return nil
}

// BaseOf is where to connect for a shop: scheme and authority.
func (c *Config) BaseOf(shop token.Shop) *url.URL {
	u, err := url.Parse(strings.ReplaceAll(c.UpstreamURL, shopInURL, shop.Domain()))
	if err != nil {
		return &url.URL{} // Load lets none through
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}
}

func (c *Config) checkUpstream() error {
	u, err := url.Parse(strings.ReplaceAll(c.UpstreamURL, shopInURL, cmp.Or(c.Shop, anyShop()).Domain()))
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return remedy.New("write for example https://{shop}", "EVERGATE_UPSTREAM_URL=%q is not an http or https URL", c.UpstreamURL)
	case strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return remedy.New("give scheme, host and port only", "EVERGATE_UPSTREAM_URL=%q", c.UpstreamURL)
	}
	if !isPort(u) {
		return remedy.New("write a port from 1 to 65535", "EVERGATE_UPSTREAM_URL=%q", c.UpstreamURL)
	}
	if u.Scheme == "http" && !isLoopbackHost(u.Hostname()) {
		c.Warnings = append(c.Warnings, remedy.New("the access token and the client secret travel unencrypted", "EVERGATE_UPSTREAM_URL is http and not loopback"))
	}
	c.Base = &url.URL{Scheme: u.Scheme, Host: u.Host}
	return nil
}

// shopInURL stands for the shop's domain in EVERGATE_UPSTREAM_URL.
const shopInURL = "{shop}"

// anyShop stands for each where what is looked at is the same for all.
func anyShop() token.Shop {
	s, _ := token.ParseShop("shop")
	return s
}

// Remedies writes the commands that a shop's errors name.
func (c *Config) Remedies(shop token.Shop) remedy.Shop {
	if c.ShopsFile == "" {
		return ""
	}
	return remedy.ShopOf(shop.Domain())
}

// BaseByShop reports whether each shop has a base of its own.
func (c *Config) BaseByShop() bool { return strings.Contains(c.UpstreamURL, shopInURL) }

func isLoopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// largestRoots bounds in bytes what is read of certificates; all that a system trusts are a quarter of a megabyte.
const largestRoots = 4 << 20

func (c *Config) checkRoots() error {
	if c.UpstreamCAFile == "" {
		return nil
	}
	pem, _, err := readfile.Owned(c.UpstreamCAFile, largestRoots)
	if err != nil {
		return remedy.Prefix("EVERGATE_UPSTREAM_CA_FILE", err)
	}
	roots, ok := trust.FromPEM(pem)
	if !ok {
		return fmt.Errorf("EVERGATE_UPSTREAM_CA_FILE=%q holds no certificate in PEM form", c.UpstreamCAFile)
	}
	c.Roots = roots
	return nil
}

// The values of StoreLayout.
const (
	LayoutEvergate   = "evergate"
	LayoutPrisma     = "prisma"
	LayoutPostgreSQL = "shopify-postgresql"
	LayoutRails      = "rails"
)

// Choice is a store and whose table it uses, as EVERGATE_STORE and EVERGATE_STORE_LAYOUT say it or flags in their stead.
type Choice struct {
	Store, Layout string
	// By and LayoutBy are what the two were said with, for errors.
	By, LayoutBy string
}

// StoreChoice is what the settings say of the store.
func (c *Config) StoreChoice() Choice {
	return Choice{Store: c.Store, Layout: c.StoreLayout, By: "EVERGATE_STORE", LayoutBy: "EVERGATE_STORE_LAYOUT"}
}

// CheckLayout says what is wrong with the layout, or why the store cannot have it.
func (c Choice) CheckLayout() error {
	switch c.Layout {
	case "", LayoutEvergate: // none: of a Config that nobody has loaded
		return nil
	case LayoutPrisma, LayoutPostgreSQL, LayoutRails:
		if scheme, _, _ := strings.Cut(c.Store, "://"); scheme != "postgres" && scheme != "postgresql" {
			return remedy.New(fmt.Sprintf("let %s name the database of the app, postgres://…, or leave the layout out", c.By), "%s=%s is the table of an app in PostgreSQL, and %s is no such database", c.LayoutBy, c.Layout, c.By)
		}
		return nil
	}
	return remedy.New("write evergate, prisma, shopify-postgresql or rails", "%s=%q", c.LayoutBy, c.Layout)
}

func (c *Config) checkStore() (errs []error) {
	if err := c.StoreChoice().CheckLayout(); err != nil {
		errs = append(errs, err)
	}
	if c.Store != "" {
		if err := store.Valid(c.Store); err != nil {
			errs = append(errs, err)
		}
	}
	if store.IsShared(c.Store) && c.StoreKey.Empty() {
		errs = append(errs, remedy.New("make one with: openssl rand -base64 32, and give it to all who share the store",
			"EVERGATE_STORE is shared with other machines, where grants are always encrypted, and EVERGATE_STORE_KEY is not set"))
	}
	for _, k := range []struct {
		name string
		key  token.Secret
	}{{"EVERGATE_STORE_KEY", c.StoreKey}, {"EVERGATE_STORE_KEY_PREVIOUS", c.StoreKeyPrevious}} {
		if k.key.Empty() {
			continue
		}
		if _, err := envelope.ParseKey(k.key.Reveal()); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", k.name, err))
		}
	}
	return errs
}

func (c *Config) checkPublicURL() error {
	if c.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopbackHost(u.Hostname())):
		return remedy.New("write an https address, for example https://login.example.com", "EVERGATE_PUBLIC_URL=%q", c.PublicURL)
	case strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return remedy.New("give scheme, host and port only", "EVERGATE_PUBLIC_URL=%q", c.PublicURL)
	}
	if !isPort(u) {
		return remedy.New("write a port from 1 to 65535, or none", "EVERGATE_PUBLIC_URL=%q", c.PublicURL)
	}
	c.Public = &url.URL{Scheme: u.Scheme, Host: u.Host}
	return nil
}

// longestAppName is more than Shopify lets an app's name have.
const longestAppName = 100

func (c *Config) checkAppName() error {
	if len(c.AppName) > longestAppName {
		return remedy.New(fmt.Sprintf("give the app's name alone, in %d bytes at most", longestAppName), "EVERGATE_APP_NAME has %d bytes", len(c.AppName))
	}
	return nil
}

// checkLoginListen wants both or none: under a public address there must be nothing but the login.
func (c *Config) checkLoginListen() error {
	switch {
	case c.PublicURL == "" && c.LoginListen == "":
		return nil
	case c.LoginListen == "":
		return remedy.New("set it to the address that the public one leads to, for example 127.0.0.1:8090; the admin listener serves no login, because it must not be reached from elsewhere", "EVERGATE_PUBLIC_URL is set and EVERGATE_LOGIN_LISTEN is not")
	case c.PublicURL == "":
		return remedy.New("set it to the https address that leads here, for example https://login.example.com", "EVERGATE_LOGIN_LISTEN is set and EVERGATE_PUBLIC_URL is not")
	}
	addresses, err := listen.Parse(c.LoginListen)
	switch {
	case err != nil:
		return fmt.Errorf("EVERGATE_LOGIN_LISTEN: %w", err)
	case len(addresses) != 1 || !addresses[0].Shop.IsZero() || addresses[0].TLS:
		return remedy.New("give one address, for example 127.0.0.1:8090", "EVERGATE_LOGIN_LISTEN=%q", c.LoginListen)
	}
	c.Login = addresses[0]
	return nil
}

// checkApart refuses an address that is given twice. The system would say it at the start only, and as if another process had it.
func (c *Config) checkApart() error {
	var bound listen.Bound
	for _, of := range []struct {
		setting string
		list    []listen.Address
	}{{"EVERGATE_ADMIN_LISTEN", []listen.Address{c.Admin}}, {"EVERGATE_LISTEN", c.Listeners}, {"EVERGATE_LOGIN_LISTEN", []listen.Address{c.Login}}} {
		a, other := bound.TakeList(of.list, of.setting)
		if other == "" {
			continue
		}
		do := "give each an address of its own"
		if other == "EVERGATE_ADMIN_LISTEN" && c.AdminListen == DefaultAdmin {
			do += "; EVERGATE_ADMIN_LISTEN is " + DefaultAdmin + " if it is not set"
		}
		return remedy.New(do, "%s: the listen address %q is one that %s has already", of.setting, a, other)
	}
	return nil
}

// checkDurations leaves out what could not be parsed: that has been reported.
func (c *Config) checkDurations(vars map[string]string) (errs []error) {
	unread := func(name string) bool {
		_, err := time.ParseDuration(vars[name])
		return vars[name] != "" && err != nil
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"EVERGATE_TOKEN_WAIT", c.TokenWait}, {"EVERGATE_UPSTREAM_TIMEOUT", c.UpstreamTimeout}, {"EVERGATE_SHUTDOWN_TIMEOUT", c.ShutdownTimeout},
		{"EVERGATE_PACE_MAX_WAIT", c.PaceMaxWait},
	} {
		if d.value <= 0 && !unread(d.name) {
			errs = append(errs, remedy.New("it must be longer than nothing, for example 5s", "%s=%q", d.name, d.value))
		}
	}
	if c.ShutdownDelay < 0 {
		errs = append(errs, fmt.Errorf("EVERGATE_SHUTDOWN_DELAY=%q: it cannot be negative", c.ShutdownDelay))
	}
	return errs
}

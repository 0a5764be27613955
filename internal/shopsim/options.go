package shopsim

import (
	"errors"
	"fmt"
	"log"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// Defaults of the one shop and the one app that exist when Options names none.
const (
	DefaultShop         = "blue-finch.myshopify.com"
	DefaultClientID     = "3f1c9b7a5d2e4f60819273a4b5c6d7e8"
	DefaultClientSecret = "shpss_0123456789abcdef0123456789abcdef"
	DefaultScopes       = "read_products,write_products"

	// AllScopes is every scope that something here asks for.
	AllScopes = DefaultScopes + ",read_inventory,write_inventory,read_locations,read_orders,read_customers,read_themes"
)

// Options says what exists at the start. The zero value is one shop with one
// app installed on it; every default is what Shopify does by current knowledge.
type Options struct {
	// Shops are the stores. Default: one, DefaultShop, without products.
	Shops []Shop

	// AnyShop makes a shop of every other name below myshopify.com when it is first asked for. It is like the first of
	// Shops, with products, grants and rate limits of its own.
	AnyShop bool

	// Apps are the apps, each known to all shops. Default: one, with
	// DefaultClientID, DefaultClientSecret and DefaultScopes.
	Apps []App

	// Settings are the switches that can also be turned while running.
	Settings Settings

	// Fixtures are what all shops have in place of what is made for them, and answers. Default: none.
	Fixtures *Fixtures

	// Versions are the supported API versions, oldest first. Default: 2026-01
	// to 2027-01, as in November 2026. "unstable" is always served. An older
	// version falls forward to the first of these; any other is a 404.
	Versions []string

	// LocalhostShop, if set, is the shop that answers to the Host names
	// localhost, 127.0.0.1 and ::1, for clients that cannot send another Host.
	LocalhostShop string

	// Seed makes tokens, request ids and random faults repeatable. 0 takes a
	// random seed.
	Seed uint64

	// JournalSize is how many requests the journal keeps. Default: 1000.
	JournalSize int

	// JournalBody is how many bytes of each body the journal keeps. Default: 16384.
	JournalBody int

	// ErrorLog receives what net/http has to say about connections. Default: nowhere.
	ErrorLog *log.Logger
}

// Shop is a store.
type Shop struct {
	// Domain is "acme" or "acme.myshopify.com". Required.
	Domain string

	// Name is the name in shop.json. Default: made from the domain.
	Name string

	// Products is how many products the shop starts with.
	Products int

	// Variants is how many variants each of those products has. Default: one, as every product has.
	Variants int

	// Orders is how many orders the shop has, of products that it started with, and Customers how many people
	// made them. They can only be read. Default: none; with orders, one customer.
	Orders    int
	Customers int

	// Locations are the names of the places where stock is kept. Default: one, "Shop location".
	Locations []string

	// CustomDomains answer with 301 to the myshopify domain.
	CustomDomains []string

	// NotInstalled: no app is installed yet.
	NotInstalled bool

	// OtherOrganization: the shop belongs to another organisation than the
	// apps, which the client credentials grant does not allow.
	OtherOrganization bool

	// Condition is what is wrong with the shop, if anything.
	Condition Condition
}

// App is an app as its developer configured it.
type App struct {
	// ClientID identifies the app. Required.
	ClientID string

	// ClientSecret is its first secret. Required.
	ClientSecret string

	// Scopes is what its tokens may do, comma separated. Default: DefaultScopes.
	Scopes string

	// MustExpire makes the API refuse tokens of this app that never expire, as
	// it does for public apps created since April 2026.
	MustExpire bool

	// AppURL is the app's own address. If set, the authorize page demands that
	// redirect URLs have the same host.
	AppURL string

	// RedirectURLs are where the authorize page may send the browser, compared
	// byte by byte. See also Settings.ExactRedirects.
	RedirectURLs []string
}

func (o Options) withDefaults() Options {
	if len(o.Shops) == 0 {
		o.Shops = []Shop{{Domain: DefaultShop}}
	}
	if len(o.Apps) == 0 {
		o.Apps = []App{{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret}}
	}
	if len(o.Versions) == 0 {
		o.Versions = []string{"2026-01", "2026-04", "2026-07", "2026-10", "2027-01"}
	}
	o.JournalSize = orDefault(o.JournalSize, 1000)
	o.JournalBody = orDefault(o.JournalBody, 16<<10)
	o.Settings = o.Settings.withDefaults()
	return o
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Validate reports everything that is wrong with the options at once.
func (o Options) Validate() error {
	var errs []error
	known := map[string]bool{}
	for _, sh := range o.withDefaults().Shops {
		errs = append(errs, sh.validate())
		if known[shopDomain(sh.Domain)] {
			errs = append(errs, fmt.Errorf("shop %q is listed twice: remove one", sh.Domain))
		}
		known[shopDomain(sh.Domain)] = true
	}
	if o.LocalhostShop != "" && !known[shopDomain(o.LocalhostShop)] {
		errs = append(errs, fmt.Errorf("LocalhostShop %q is none of the shops: add it to Shops", o.LocalhostShop))
	}
	apps := map[string]bool{}
	for _, a := range o.Apps {
		if apps[a.ClientID] {
			errs = append(errs, fmt.Errorf("app %q is listed twice: remove one", a.ClientID))
		}
		apps[a.ClientID] = true
		if a.ClientID == "" || a.ClientSecret == "" {
			errs = append(errs, fmt.Errorf("app %q needs both a client id and a client secret", a.ClientID))
		}
		errs = append(errs, a.validateURLs())
	}
	if o.JournalSize < 0 || o.JournalBody < 0 {
		errs = append(errs, errors.New("JournalSize and JournalBody must not be negative"))
	}
	for _, v := range o.Versions {
		if !quarterly().MatchString(v) {
			errs = append(errs, fmt.Errorf("version %q: want YYYY-01, -04, -07 or -10", v))
		}
	}
	return errors.Join(append(errs, o.Settings.Validate())...)
}

func (a App) validateURLs() error {
	var errs []error
	for _, raw := range append([]string{orDefault(a.AppURL, "https://localhost")}, a.RedirectURLs...) {
		if u, err := url.Parse(raw); err != nil || u.Host == "" || u.Fragment != "" {
			errs = append(errs, fmt.Errorf("app %q: URL %q: want one such as https://app.example/callback", a.ClientID, raw))
		}
	}
	return errors.Join(errs...)
}

func (sh Shop) validate() error {
	if !shopPattern().MatchString(shopDomain(sh.Domain)) {
		return fmt.Errorf("shop %q: want a name such as acme or acme.myshopify.com", sh.Domain)
	}
	if sh.Products < 0 || sh.Products > maxProducts {
		return fmt.Errorf("shop %q: the number of products must be between 0 and %d", sh.Domain, maxProducts)
	}
	if min(sh.Orders, sh.Customers) < 0 || max(sh.Orders, sh.Customers) > maxProducts {
		return fmt.Errorf("shop %q: the numbers of orders and customers must be between 0 and %d", sh.Domain, maxProducts)
	}
	if sh.Variants < 0 || sh.Variants > maxVariants {
		return fmt.Errorf("shop %q: the number of variants must be between 0 and %d", sh.Domain, maxVariants)
	}
	return sh.Condition.Validate()
}

// maxProducts keeps a typing error from eating the memory.
const maxProducts = 1_000_000

var (
	shopPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`) })
	quarterly   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^20\d\d-(01|04|07|10)$`) })
)

// shopDomain turns "Acme" into "acme.myshopify.com".
func shopDomain(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if strings.Contains(name, ".") {
		return name
	}
	return name + ".myshopify.com"
}

// headerSafe refuses values that could not be sent in a header field.
func headerSafe(name, value string) error {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("%s %q: want printable ASCII only", name, value)
	}
	return nil
}

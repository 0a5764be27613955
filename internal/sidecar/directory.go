package sidecar

import (
	"slices"
	"strings"
	"sync/atomic"

	"evergate/internal/config"
	"evergate/internal/guard"
	"evergate/internal/listen"
	"evergate/internal/localca"
	"evergate/internal/policy"
	"evergate/internal/reload"
	"evergate/internal/shopsfile"
	"evergate/internal/token"
)

// directory says which shops are served and what holds for each: that of the settings, those that the shops file names,
// and, where it says so, all that have a grant in the store. It implements guard.Shops; a request takes no lock in it.
type directory struct {
	single token.Shop // of the settings; zero: there is none
	own    *config.Config
	only   guard.Shops                    // single, for whoever names it; nil: there is none
	file   atomic.Pointer[shopsfile.File] // nil: there is none
	files  reload.Values                  // what file is read from
	// changed is told of another state of the file; nil: nobody has to know.
	changed func(before, now *shopsfile.File)
}

// entry is what holds for one shop.
type entry struct {
	credentials
	grant    string
	inferred bool
	scopes   []string
	// said is what the file says; nil: the settings do.
	said *shopsfile.Settings
	// listed says that the shop is served whether or not there is a grant.
	listed bool
}

// take puts another state of the shops file into force.
func (d *directory) take(file *shopsfile.File) {
	before := d.file.Swap(file)
	if d.changed != nil {
		d.changed(before, file)
	}
}

// isFleet reports whether there may be more than one shop.
func (d *directory) isFleet() bool { return d.file.Load() != nil }

// entry returns what holds for a shop; false: it is not served.
func (d *directory) entry(shop token.Shop) (entry, bool) {
	if !d.single.IsZero() && shop == d.single {
		return entry{credentials: d.own, grant: d.own.Grant, inferred: d.own.Inferred, scopes: d.own.Scopes, listed: true}, true
	}
	file := d.file.Load()
	if file == nil {
		return entry{}, false
	}
	s, listed := file.Shop(shop)
	if !listed {
		var stored bool
		if s, stored = file.StoredShop(shop); !stored {
			return entry{}, false
		}
	}
	return entry{credentials: s.Settings, grant: s.Grant, inferred: s.Inferred, scopes: s.Scopes, said: s.Settings, listed: listed}, true
}

// mayLogin returns what holds for a shop whose merchant may give the app a grant, and where that would be used; false: there is
// no such shop.
func (d *directory) mayLogin(shop token.Shop) (entry, bool) {
	e, served := d.entry(shop)
	if !served || shop != d.single && !d.file.Load().MayLogin(shop) {
		return entry{}, false
	}
	return e, e.grant == config.GrantOffline || e.inferred && e.grant == config.GrantClientCredentials
}

// Find implements guard.Shops.
func (d *directory) Find(name string) (token.Shop, bool) {
	if d.only != nil { // compared as it stands, so that one shop alone pays for no name that is put together
		if shop, ok := d.only.Find(name); ok || !d.isFleet() {
			return shop, ok
		}
	}
	shop, ok := token.FindShop(name)
	if !ok {
		return token.Shop{}, false
	}
	_, served := d.entry(shop)
	return shop, served
}

// Only implements guard.Shops.
func (d *directory) Only() (token.Shop, bool) {
	file := d.file.Load()
	switch {
	case file == nil:
		return d.single, !d.single.IsZero()
	case file.Stored:
	case len(file.Shops) == 0:
		return d.single, !d.single.IsZero()
	case len(file.Shops) == 1 && d.single.IsZero():
		return file.Shops[0].Name, true
	}
	return token.Shop{}, false
}

// Policy implements guard.Shops.
func (d *directory) Policy(shop token.Shop) *policy.Policy {
	if !d.isFleet() {
		return nil
	}
	e, ok := d.entry(shop)
	if !ok || e.said == nil || e.said.Policy == "" {
		return nil
	}
	return policy.BuiltIn(e.said.Policy)
}

// Known implements guard.Shops.
func (d *directory) Known(most int) (domains []string) {
	file := d.file.Load()
	switch {
	case file == nil:
	case file.Stored || len(file.Shops) > most:
		return nil
	default:
		for _, s := range file.Shops {
			domains = append(domains, s.Name.Domain())
		}
	}
	if !d.single.IsZero() {
		domains = append(domains, d.single.Domain())
	}
	slices.Sort(domains)
	return slices.Compact(domains)
}

// all are the domains of those that are served, beside those that are only stored.
func (d *directory) all() (domains []string) {
	if file := d.file.Load(); file != nil {
		for _, s := range file.Shops {
			domains = append(domains, s.Name.Domain())
		}
	}
	if !d.single.IsZero() {
		domains = append(domains, d.single.Domain())
	}
	return domains
}

// count is how many shops there are, beside those that are only stored.
func (d *directory) count() int {
	n := 0
	if file := d.file.Load(); file != nil {
		n = len(file.Shops)
	}
	if !d.single.IsZero() {
		n++
	}
	return n
}

// mostUnnamed is for how many shops a certificate is made where a client does not say which it means.
const mostUnnamed = 20

// leaves says which certificates the local CA makes: for the names by which shops are called.
func (d *directory) leaves() localca.LeafOptions {
	return localca.LeafOptions{
		Allows: func(name string) bool {
			sub, local := strings.CutSuffix(name, ".localhost")
			if !local {
				sub = name
			}
			if strings.Contains(sub, ".") == local {
				return false // acme.myshopify.com.localhost needs none, and acme alone is no name
			}
			_, ok := d.Find(sub)
			return ok
		},
		Unnamed: func() (names []string) {
			for _, domain := range d.Known(mostUnnamed) {
				label, _, _ := strings.Cut(domain, ".")
				names = append(names, domain, label+".localhost")
			}
			return names
		},
	}
}

var _ guard.Shops = (*directory)(nil)

// keeps reports whether some shop's grant has to be kept.
func (d *directory) keeps() bool {
	file := d.file.Load()
	return file.Stored || !d.single.IsZero() && d.own.Grant == config.GrantOffline ||
		slices.ContainsFunc(file.Shops, func(s shopsfile.Shop) bool { return s.Grant == config.GrantOffline })
}

// anyClient is the app of some shop: in one place rest the grants of one app.
func (d *directory) anyClient() (id string, secret token.Secret, err error) {
	file := d.file.Load()
	switch {
	case !d.single.IsZero():
		return d.own.Client()
	case len(file.Shops) > 0:
		return file.Shops[0].Client()
	}
	return "", token.Secret{}, nil
}

// listeners are those of shops' own.
func (d *directory) listeners() (all []listen.Address) {
	for _, s := range d.file.Load().Shops {
		all = append(all, s.Listen...)
	}
	return all
}

package sidecar

import (
	"slices"
	"strings"

	"evergate/internal/config"
	"evergate/internal/remedy"
	"evergate/internal/store"
	"evergate/internal/token"
)

// mostNamed is how many shops a person can choose from by reading.
const mostNamed = 10

// Named returns the shop that a command means: the one with this name, or the only one there is if it is empty.
func (s Settings) Named(name string) (token.Shop, error) {
	d := s.directory
	if name == "" {
		if shop, ok := d.Only(); ok {
			return shop, nil
		}
		if !d.isFleet() {
			return token.Shop{}, config.Wrong(remedy.New("set SHOPIFY_SHOP", "no shop is named"))
		}
		return token.Shop{}, config.Wrong(remedy.New("name it with --shop"+d.examples(), "there may be more than one shop, and this means one"))
	}
	shop, err := token.ParseShop(name)
	if err != nil {
		return token.Shop{}, config.Wrong(remedy.Prefix("--shop", err))
	}
	if _, served := d.entry(shop); served {
		return shop, nil
	}
	if !d.isFleet() {
		return token.Shop{}, config.Wrong(remedy.New("leave --shop out, or set SHOPIFY_SHOP to it", "--shop: the shop that is configured is %s, not %s", d.single, shop))
	}
	return token.Shop{}, config.Wrong(remedy.New("write it into EVERGATE_SHOPS_FILE, or name another"+d.examples(), "--shop: %s is not in the shops file", shop))
}

// examples are the known shops, if they are few.
func (d *directory) examples() string {
	known := d.Known(mostNamed)
	if len(known) == 0 || len(known) > mostNamed {
		return ""
	}
	for i, domain := range known {
		known[i], _, _ = strings.Cut(domain, ".")
	}
	return ": " + strings.Join(known, ", ")
}

// IsOwn reports whether a shop is that of the settings, and not of a file.
func (s Settings) IsOwn(shop token.Shop) bool { return shop == s.directory.single }

// OpenShop is OpenInstallation for any of the shops. offline asks for the offline grant, whatever is used now. The settings that
// the installation has are what holds for this shop alone.
func OpenShop(s Settings, shop token.Shop, offline bool, environ []string, build Build) (*Installation, error) {
	e, served := s.directory.entry(shop)
	switch {
	case s.IsOwn(shop):
		return OpenInstallation(s.Config, environ, build)
	case !served:
		return nil, config.Wrong(remedy.New("write it into EVERGATE_SHOPS_FILE", "%s is not in the shops file", shop))
	}
	own := *s.Config
	own.Warnings = slices.Clone(s.Config.Warnings)
	own.Shop, own.Base, own.Scopes = shop, own.BaseOf(shop), e.scopes
	in := newApp(&own, environ, build).install(shop, e.credentials, e.grant, e.scopes)
	if offline {
		in.Grant = config.GrantOffline
	}
	if err := in.openFromPlace(e, config.Getenv(environ)); err != nil {
		return nil, config.Wrong(err)
	}
	own.Grant = in.Grant
	return in, nil
}

// openFromPlace opens the store of a file's shop, and settles its grant by what is there.
func (in *Installation) openFromPlace(e entry, getenv func(string) string) error {
	spec := in.Config.Store
	if spec == "" && in.Grant == config.GrantOffline {
		spec = "file:"
	}
	if spec == "" || in.Grant == config.GrantStatic {
		return nil
	}
	keys, err := StoreKeys(in.Config)
	if err != nil {
		return err
	}
	id, _, _ := e.Client() // what cannot be read now is reported when it is needed
	backend, err := store.OpenBackend(store.Options{Spec: spec, Layout: in.Config.StoreLayout, Keys: keys, ClientID: id, Getenv: getenv})
	if err != nil {
		return err
	}
	stored, err := backend.Shop(in.Shop)
	if err != nil {
		return err
	}
	in.where, in.Backend, in.Store = spec, backend, stored
	if e.inferred && in.Grant == config.GrantClientCredentials && in.holdsOffline(stored) {
		in.Grant, in.fallback = config.GrantOffline, true
	}
	return nil
}

// Offline returns one of the shops with the offline grant, in the place that all of them share.
func (a *App) Offline(s Settings, shop token.Shop) (*Installation, error) {
	e, served := s.directory.entry(shop)
	if !served {
		return nil, config.Wrong(remedy.New("write it into EVERGATE_SHOPS_FILE", "%s is not in the shops file", shop))
	}
	in := a.install(shop, e.credentials, config.GrantOffline, e.scopes)
	var err error
	in.Store, err = a.Backend.Shop(shop)
	return in, err
}

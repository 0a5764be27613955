package sidecar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"evergate/internal/config"
	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/store"
	"evergate/internal/token"
)

// StoreWait bounds a look into the store outside the request path.
const StoreWait = 10 * time.Second

// StoreKeys are the keys that a store is encrypted with.
func StoreKeys(cfg *config.Config) (envelope.Keys, error) {
	current, previous, err := cfg.StoreKeys()
	if err != nil {
		return envelope.Keys{}, config.Wrong(err)
	}
	var keys envelope.Keys
	for _, k := range []struct {
		name string
		text token.Secret
		key  *token.Secret
	}{{"EVERGATE_STORE_KEY", current, &keys.Current}, {"EVERGATE_STORE_KEY_PREVIOUS", previous, &keys.Previous}} {
		if k.text.Empty() {
			continue
		}
		if *k.key, err = envelope.ParseKey(k.text.Reveal()); err != nil {
			return envelope.Keys{}, config.Wrong(fmt.Errorf("%s: %w", k.name, err))
		}
	}
	return keys, nil
}

// openStore opens what EVERGATE_STORE names, or the default place for an offline grant.
// Where the grant was only inferred, a stored offline grant of this app settles it.
func (in *Installation) openStore(keys envelope.Keys, getenv func(string) string) error {
	spec := in.Config.Store
	if spec == "" && in.Grant == config.GrantStatic {
		return nil
	}
	if spec == "" {
		spec = "file:"
		if in.Grant != config.GrantOffline && !(in.Config.Inferred && defaultStoreExists(getenv)) {
			return nil
		}
	}
	backend, err := store.OpenBackend(store.Options{Spec: spec, Layout: in.Config.StoreLayout, Keys: keys, ClientID: in.ClientID(), Getenv: getenv})
	var s token.Store
	if err == nil {
		s, err = backend.Shop(in.Shop)
	}
	if err != nil {
		if in.Config.Store == "" && in.Grant != config.GrantOffline {
			in.Config.Warnings = append(in.Config.Warnings, fmt.Errorf("the default store is left alone: %w", err))
			return nil
		}
		return err
	}
	in.where = spec
	if kept, ok := s.(interface{ WasPlain() bool }); ok && kept.WasPlain() {
		in.Config.Warnings = append(in.Config.Warnings, errors.New("the stored grant was in plain text although EVERGATE_STORE_KEY is set, and has been encrypted; "+
			"if the key is not new, somebody who does not have it has written there: log in again"))
	}
	if in.Config.Inferred && in.Grant == config.GrantClientCredentials && in.holdsOffline(s) {
		in.Grant = config.GrantOffline
	}
	// Nobody asked for the offline grant by name, whether it was found in the store or is begun with
	// SHOPIFY_REFRESH_TOKEN: what has been set up is what works.
	in.fallback = in.Config.Inferred && in.Grant == config.GrantOffline
	if in.Config.Store != "" || in.Grant == config.GrantOffline {
		in.Backend, in.Store = backend, s
	}
	return nil
}

// defaultStoreExists keeps `auto` from making directories that nobody asked for.
func defaultStoreExists(getenv func(string) string) bool {
	dir, err := store.DefaultDir(getenv)
	if err != nil {
		return false
	}
	_, err = os.Stat(dir)
	return err == nil
}

// holdsOffline reports whether an offline grant of this app is stored. One of another app
// does not count, and one that cannot be read does: it must not be passed over in silence.
func (in *Installation) holdsOffline(s token.Store) bool {
	ctx, cancel := context.WithTimeout(context.Background(), StoreWait)
	defer cancel()
	record, _, err := s.Load(ctx)
	if errors.Is(err, token.ErrNotFound) {
		return false
	}
	return err != nil || in.isOwnOffline(record)
}

// storesOffline is holdsOffline for a grant that is in use: what cannot be read now is no reason to leave it.
func (in *Installation) storesOffline(s token.Store) bool {
	ctx, cancel := context.WithTimeout(context.Background(), StoreWait)
	defer cancel()
	record, _, err := s.Load(ctx)
	return err == nil && in.isOwnOffline(record)
}

func (in *Installation) isOwnOffline(record token.Record) bool {
	id, _, err := in.Client()
	return record.Grant == config.GrantOffline && (record.ClientID == "" || err != nil || record.ClientID == id)
}

// seed begins an offline grant with SHOPIFY_REFRESH_TOKEN if nothing is stored yet. From
// then on the store is the truth, because the seed is worth nothing after its first use.
func (in *Installation) seed(ctx context.Context) error {
	refresh, err := in.RefreshSeed()
	if in.Grant != config.GrantOffline || refresh.Empty() || err != nil {
		return err
	}
	id, _, err := in.Client()
	if err != nil {
		return err
	}
	stored, handle, err := in.Store.Load(ctx)
	if err != nil && !errors.Is(err, token.ErrNotFound) {
		return err
	}
	if !stored.Current.Token.Access.Empty() || !stored.Current.Refresh.Empty() {
		return nil
	}
	_, err = in.Store.Swap(ctx, handle, token.Begin(token.Record{
		Shop: in.Shop.Domain(), ClientID: id, Grant: config.GrantOffline, Current: token.Pair{Refresh: refresh},
	}))
	if errors.Is(err, token.ErrConflict) {
		return nil // another process was faster, with the same seed or a better one
	}
	return err
}

// RecordPlace says where the record is. What a database's address holds of a password is left out.
func (in *Installation) RecordPlace() string {
	if dir := in.StoreDir(); dir != "" {
		return filepath.Join(dir, in.Shop.Domain()+".json")
	}
	return store.Shown(in.where)
}

// IsVolatile reports a store that ends with the process.
func (in *Installation) IsVolatile() bool { return in.where == "memory:" }

// StoreDir is the directory of a file store; empty for any other.
func (in *Installation) StoreDir() string {
	dir, isFile := strings.CutPrefix(in.where, "file:")
	if !isFile {
		return ""
	}
	dir = strings.TrimPrefix(dir, "//")
	if dir == "" {
		dir, _ = store.DefaultDir(config.Getenv(in.environ)) // it was opened, so there is one
	}
	if absolute, err := filepath.Abs(dir); err == nil {
		return absolute
	}
	return dir
}

// openApp prepares what the shops of a fleet share. Grants rest in the default place if no other is named and some shop has one that has to be kept.
func openApp(cfg *config.Config, d *directory, environ []string, build Build) (*App, error) {
	app := newApp(cfg, environ, build)
	keys, err := StoreKeys(cfg)
	if err != nil {
		return nil, err
	}
	spec := cfg.Store
	if spec == "" && d.keeps() {
		spec = "file:"
	}
	if spec == "" {
		return app, nil
	}
	id, _, _ := d.anyClient() // what cannot be read now is reported when it is needed
	app.Backend, err = store.OpenBackend(store.Options{Spec: spec, Layout: cfg.StoreLayout, Keys: keys, ClientID: id, Getenv: config.Getenv(environ)})
	if err != nil {
		return nil, config.Wrong(err)
	}
	app.where = spec
	return app, nil
}

// OpenShops opens what the shops of a file share, for a command that looks at it. Nothing is sent yet.
func OpenShops(s Settings, environ []string, build Build) (*App, error) {
	return openApp(s.Config, s.directory, environ, build)
}

// Where is as in EVERGATE_STORE, without passwords; empty: nothing is kept.
func (a *App) Where() string { return store.Shown(a.where) }

// Place is where the grants of many shops rest, for a command that deals with all of them.
type Place struct {
	token.Backend
	Keys envelope.Keys
	// Where is as in EVERGATE_STORE, without passwords.
	Where string
	// Layout is as in EVERGATE_STORE_LAYOUT; empty: a place of our own.
	Layout string
}

// OpenPlace opens what was chosen; the file store's default place where no store was. The shop and its app's credentials need not be set.
func OpenPlace(cfg *config.Config, chosen config.Choice, environ []string) (Place, error) {
	if err := chosen.CheckLayout(); err != nil {
		return Place{}, config.Wrong(err)
	}
	spec := cmp.Or(chosen.Store, "file:")
	if spec == "memory:" {
		return Place{}, config.Wrong(remedy.New("let "+chosen.By+" name a store that stays, as the sidecar's does", "memory: ends with each process"))
	}
	keys, err := StoreKeys(cfg)
	if err != nil {
		return Place{}, err
	}
	b, err := store.OpenBackend(store.Options{Spec: spec, Layout: chosen.Layout, Keys: keys, ClientID: cfg.ClientID, Getenv: config.Getenv(environ)})
	if err != nil {
		if chosen.By != cfg.StoreChoice().By {
			err = remedy.Prefix(chosen.By, err) // which it knows as EVERGATE_STORE
		}
		return Place{}, config.Wrong(err)
	}
	p := Place{Backend: b, Keys: keys, Where: store.Shown(spec)}
	if chosen.Layout != config.LayoutEvergate {
		p.Layout = chosen.Layout
	}
	return p, nil
}

// Is reports whether two of them are one place.
func (p Place) Is(other Place) bool { return store.Same(p.Backend, other.Backend) }

// Missing says that there is no such place yet, where only a grant makes one. Nothing can be read from it.
func (p Place) Missing() error { return store.Missing(p.Backend) }

// String says which place it is, for people.
func (p Place) String() string {
	if p.Layout == "" {
		return p.Where
	}
	return p.Where + " (" + p.Layout + ")"
}

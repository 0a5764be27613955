package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"evergate/internal/config"
	"evergate/internal/grant"
	"evergate/internal/refresh"
	"evergate/internal/store"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// storeWait bounds a look into the store outside the request path.
const storeWait = 10 * time.Second

// connection is what every command that deals with Shopify has in common: the way there, the
// app's identity, and the place where a grant rests.
type connection struct {
	cfg       *config.Config
	transport *upstream.Transport
	endpoint  *grant.Endpoint
	store     store.Store // nil: nothing is kept
	// where says where the store is, for people.
	where string
}

// connect prepares everything and settles the grant, for which it may look into the
// store. Nothing is sent yet.
func connect(cfg *config.Config, environ []string) (*connection, error) {
	c := &connection{cfg: cfg}
	c.transport = upstream.New(upstream.Options{
		Base: cfg.Base, Roots: cfg.Roots, HeaderTimeout: cfg.UpstreamTimeout, Warm: warmConnections,
	})
	c.endpoint = &grant.Endpoint{
		Shop: cfg.Shop, Base: cfg.Base, Transport: c.transport, UserAgent: userAgent(),
		Client: func() (grant.Client, error) {
			id, secret, err := cfg.Client()
			return grant.Client{ID: id, Secret: secret}, err
		},
		Previous: cfg.OtherSecret,
	}
	keys, err := storeKeys(cfg)
	if err != nil {
		return nil, err
	}
	if err := c.openStore(keys, lookUpIn(environ)); err != nil {
		return nil, configError(err)
	}
	return c, nil
}

func storeKeys(cfg *config.Config) (store.Keys, error) {
	current, previous, err := cfg.StoreKeys()
	if err != nil {
		return store.Keys{}, configError(err)
	}
	var keys store.Keys
	for _, k := range []struct {
		name string
		text token.Secret
		key  *token.Secret
	}{{"EVERGATE_STORE_KEY", current, &keys.Current}, {"EVERGATE_STORE_KEY_PREVIOUS", previous, &keys.Previous}} {
		if k.text.Empty() {
			continue
		}
		if *k.key, err = store.ParseKey(k.text.Reveal()); err != nil {
			return store.Keys{}, configError(fmt.Errorf("%s: %w", k.name, err))
		}
	}
	return keys, nil
}

// lookUpIn is os.Getenv for an environment that was handed to us; the last entry counts.
func lookUpIn(environ []string) func(string) string {
	return func(name string) string {
		for _, e := range slices.Backward(environ) {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// openStore opens what EVERGATE_STORE names, or the default place for an offline grant.
// Where the grant was only inferred, a stored offline grant of this app settles it.
func (c *connection) openStore(keys store.Keys, getenv func(string) string) error {
	spec := c.cfg.Store
	if spec == "" && c.cfg.Grant == config.GrantStatic {
		return nil
	}
	if spec == "" {
		spec = "file:"
		if c.cfg.Grant != config.GrantOffline && !(c.cfg.Inferred && defaultStoreExists(getenv)) {
			return nil
		}
	}
	s, err := store.Open(spec, c.cfg.Shop, keys, getenv)
	if err != nil {
		if c.cfg.Store == "" && c.cfg.Grant != config.GrantOffline {
			c.cfg.Warnings = append(c.cfg.Warnings, "the default store is left alone: "+err.Error())
			return nil
		}
		return err
	}
	c.where = spec
	if c.cfg.Inferred && c.cfg.Grant == config.GrantClientCredentials && c.holdsOffline(s) {
		c.cfg.Grant = config.GrantOffline
	}
	if c.cfg.Store != "" || c.cfg.Grant == config.GrantOffline {
		c.store = s
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
func (c *connection) holdsOffline(s store.Store) bool {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	record, _, err := s.Load(ctx)
	if errors.Is(err, token.ErrNotFound) {
		return false
	}
	if err != nil {
		return true
	}
	id, _, err := c.cfg.Client()
	return record.Grant == config.GrantOffline && (record.ClientID == "" || err != nil || record.ClientID == id)
}

// newSource returns the source of tokens for the grant that was settled.
func (c *connection) newSource(log *slog.Logger, observer refresh.Observer) *refresh.Source {
	o := refresh.Options{Shop: c.cfg.Shop, Log: log, Observer: observer, Wait: c.cfg.TokenWait, Scopes: c.cfg.Scopes, Store: c.store, ClientID: c.clientID()}
	switch c.cfg.Grant {
	case config.GrantOffline:
		o.Refresher = grant.Offline{Endpoint: c.endpoint}
	case config.GrantStatic:
		o.Granter, o.Poll, o.Store = grant.Static{Read: c.cfg.StaticToken}, true, nil
	default:
		o.Granter = grant.ClientCredentials{Endpoint: c.endpoint}
	}
	return refresh.New(o)
}

// clientID is the app that a stored grant must be of. A file that cannot be read now is
// reported when it is needed.
func (c *connection) clientID() string {
	id, _, err := c.cfg.Client()
	if err != nil {
		return c.cfg.ClientID
	}
	return id
}

// seed begins an offline grant with SHOPIFY_REFRESH_TOKEN if nothing is stored yet. From
// then on the store is the truth, because the seed is worth nothing after its first use.
func (c *connection) seed(ctx context.Context) error {
	refresh, err := c.cfg.RefreshSeed()
	if c.cfg.Grant != config.GrantOffline || refresh.Empty() || err != nil {
		return err
	}
	id, _, err := c.cfg.Client()
	if err != nil {
		return err
	}
	stored, handle, err := c.store.Load(ctx)
	if err != nil && !errors.Is(err, token.ErrNotFound) {
		return err
	}
	if !stored.Current.Token.Access.Empty() || !stored.Current.Refresh.Empty() {
		return nil
	}
	_, err = c.store.Swap(ctx, handle, token.Record{
		Shop: c.cfg.Shop.Domain(), ClientID: id, Grant: config.GrantOffline, Current: token.Pair{Refresh: refresh},
	})
	if errors.Is(err, token.ErrConflict) {
		return nil // another process was faster, with the same seed or a better one
	}
	return err
}

package sidecar

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"evergate/internal/config"
	"evergate/internal/grant"
	"evergate/internal/limit"
	"evergate/internal/refresh"
	"evergate/internal/shopify"
	"evergate/internal/store"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// StoreWait bounds a look into the store outside the request path.
const StoreWait = 10 * time.Second

// Connection is what every command that deals with Shopify has in common: the way there, the
// app's identity, and the place where a grant rests.
type Connection struct {
	// Config is a copy in which the grant is settled; nobody changes what was loaded.
	Config    *config.Config
	Build     Build
	Transport *upstream.Transport
	Endpoint  *grant.Endpoint
	Store     token.Store // nil: nothing is kept
	where     string      // as in EVERGATE_STORE
	found     bool        // the grant is the offline one because it was found in the store
	environ   []string
	limits    limit.Limits
}

// Connect prepares everything and settles the grant, for which it may look into the
// store. Nothing is sent yet.
func Connect(cfg *config.Config, environ []string, build Build) (*Connection, error) {
	own := *cfg
	own.Warnings = slices.Clone(cfg.Warnings)
	cfg = &own
	c := &Connection{Config: cfg, Build: build, environ: environ, limits: LimitsOf(cfg)}
	// Each client has one request at a time; what is more is for calls on our own account.
	c.Transport = newTransport(cfg, warmConnections, c.limits.Connections+ownConnections)
	c.Endpoint = &grant.Endpoint{
		API: c.API(),
		Client: func() (grant.Client, error) {
			id, secret, err := cfg.Client()
			return grant.Client{ID: id, Secret: secret}, err
		},
		Previous: cfg.OtherSecret,
	}
	keys, err := StoreKeys(cfg)
	if err != nil {
		return nil, err
	}
	if err := c.openStore(keys, config.Getenv(environ)); err != nil {
		return nil, config.Wrong(err)
	}
	return c, nil
}

// StoreKeys are the keys that a store is encrypted with.
func StoreKeys(cfg *config.Config) (store.Keys, error) {
	current, previous, err := cfg.StoreKeys()
	if err != nil {
		return store.Keys{}, config.Wrong(err)
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
			return store.Keys{}, config.Wrong(fmt.Errorf("%s: %w", k.name, err))
		}
	}
	return keys, nil
}

// openStore opens what EVERGATE_STORE names, or the default place for an offline grant.
// Where the grant was only inferred, a stored offline grant of this app settles it.
func (c *Connection) openStore(keys store.Keys, getenv func(string) string) error {
	spec := c.Config.Store
	if spec == "" && c.Config.Grant == config.GrantStatic {
		return nil
	}
	if spec == "" {
		spec = "file:"
		if c.Config.Grant != config.GrantOffline && !(c.Config.Inferred && defaultStoreExists(getenv)) {
			return nil
		}
	}
	s, err := store.Open(spec, c.Config.Shop, keys, getenv)
	if err != nil {
		if c.Config.Store == "" && c.Config.Grant != config.GrantOffline {
			c.Config.Warnings = append(c.Config.Warnings, fmt.Errorf("the default store is left alone: %w", err))
			return nil
		}
		return err
	}
	c.where = spec
	if kept, ok := s.(interface{ WasPlain() bool }); ok && kept.WasPlain() {
		c.Config.Warnings = append(c.Config.Warnings, errors.New("the stored grant was in plain text although EVERGATE_STORE_KEY is set, and has been encrypted; "+
			"if the key is not new, somebody who does not have it has written there: log in again"))
	}
	if c.Config.Inferred && c.Config.Grant == config.GrantClientCredentials && c.holdsOffline(s) {
		c.Config.Grant, c.found = config.GrantOffline, true
	}
	if c.Config.Store != "" || c.Config.Grant == config.GrantOffline {
		c.Store = s
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
func (c *Connection) holdsOffline(s token.Store) bool {
	ctx, cancel := context.WithTimeout(context.Background(), StoreWait)
	defer cancel()
	record, _, err := s.Load(ctx)
	if errors.Is(err, token.ErrNotFound) {
		return false
	}
	if err != nil {
		return true
	}
	id, _, err := c.Config.Client()
	return record.Grant == config.GrantOffline && (record.ClientID == "" || err != nil || record.ClientID == id)
}

// newSource returns the source of tokens for the grant that was settled.
func (c *Connection) newSource(log *slog.Logger, observer refresh.Observer) *refresh.Source {
	return refresh.New(refresh.Options{
		Shop: c.Config.Shop, Log: log, Obtainer: c.obtainer(), Observer: observer,
		Wait: c.Config.TokenWait, Scopes: c.Config.Scopes, Alive: c.alive,
	})
}

// obtainer is how tokens of the grant are come by.
func (c *Connection) obtainer() refresh.Obtainer {
	switch {
	case c.found:
		return refresh.RotatingOr(grant.Offline{Endpoint: c.Endpoint}, c.Store, c.ClientID(),
			refresh.Fallback{Granter: grant.ClientCredentials{Endpoint: c.Endpoint}, Alive: c.alive})
	case c.Config.Grant == config.GrantOffline:
		return refresh.Rotating(grant.Offline{Endpoint: c.Endpoint}, c.Store, c.ClientID())
	case c.Config.Grant == config.GrantStatic:
		return refresh.Polled(grant.Static{Read: c.Config.StaticToken})
	case c.Store != nil:
		return refresh.Cached(grant.ClientCredentials{Endpoint: c.Endpoint}, c.Store, c.ClientID())
	}
	return refresh.Direct(grant.ClientCredentials{Endpoint: c.Endpoint})
}

// ClientID is the app that a stored grant must be of. A file that cannot be read now is
// reported when it is needed.
func (c *Connection) ClientID() string {
	id, _, err := c.Config.Client()
	if err != nil {
		return c.Config.ClientID
	}
	return id
}

// seed begins an offline grant with SHOPIFY_REFRESH_TOKEN if nothing is stored yet. From
// then on the store is the truth, because the seed is worth nothing after its first use.
func (c *Connection) seed(ctx context.Context) error {
	refresh, err := c.Config.RefreshSeed()
	if c.Config.Grant != config.GrantOffline || refresh.Empty() || err != nil {
		return err
	}
	id, _, err := c.Config.Client()
	if err != nil {
		return err
	}
	stored, handle, err := c.Store.Load(ctx)
	if err != nil && !errors.Is(err, token.ErrNotFound) {
		return err
	}
	if !stored.Current.Token.Access.Empty() || !stored.Current.Refresh.Empty() {
		return nil
	}
	_, err = c.Store.Swap(ctx, handle, token.Record{
		Shop: c.Config.Shop.Domain(), ClientID: id, Grant: config.GrantOffline, Current: token.Pair{Refresh: refresh},
	})
	if errors.Is(err, token.ErrConflict) {
		return nil // another process was faster, with the same seed or a better one
	}
	return err
}

// API makes calls of our own, with the connection's transport and without the proxy.
func (c *Connection) API() *shopify.Client {
	return &shopify.Client{Shop: c.Config.Shop, Base: c.Config.Base, Transport: c.Transport, UserAgent: c.Build.UserAgent()}
}

// aliveLimit bounds the question whether a token is alive.
const aliveLimit = 10 * time.Second

// alive asks Shopify whether it takes a token, by a call that counts in no rate limit and that every
// token may make. The error says that this is not known.
func (c *Connection) alive(ctx context.Context, access token.Secret) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, aliveLimit)
	defer cancel()
	_, err := c.API().Scopes(ctx, access)
	if errors.Is(err, shopify.ErrToken) {
		return false, nil
	}
	return err == nil, err
}

// HasFallback reports whether client credentials are used should the stored grant be dead.
func (c *Connection) HasFallback() bool { return c.found }

// NewTransport is for calls where there is no connection, because its store cannot be opened.
func NewTransport(cfg *config.Config) *upstream.Transport { return newTransport(cfg, 0, 0) }

func newTransport(cfg *config.Config, warm, most int) *upstream.Transport {
	o := upstream.Options{Base: cfg.Base, Roots: cfg.Roots, HeaderTimeout: cfg.UpstreamTimeout, Warm: warm, Most: most}
	if cfg.HasProxy() {
		o.Proxy = func() (upstream.Proxy, error) {
			u, setting, err := cfg.Proxy()
			return upstream.Proxy{URL: u, Setting: setting}, err
		}
	}
	return upstream.New(o)
}

// TokenOnce comes by a token by the sidecar's own rules, for a command that ends then.
func (c *Connection) TokenOnce(ctx context.Context) (token.Token, error) {
	return c.newSource(slog.New(slog.DiscardHandler), nil).Once(ctx)
}

// TokenAnew is TokenOnce for a command that is to find out whether a token can be had: one that
// is stored will not do.
func (c *Connection) TokenAnew(ctx context.Context) (token.Token, error) {
	s := c.newSource(slog.New(slog.DiscardHandler), nil)
	defer s.Stop()
	if err := s.Refresh(ctx); err != nil {
		return token.Token{}, err
	}
	return s.Token(ctx)
}

// RecordPlace says where the record is. What a database's address holds of a password is left out.
func (c *Connection) RecordPlace() string {
	if dir := c.StoreDir(); dir != "" {
		return filepath.Join(dir, c.Config.Shop.Domain()+".json")
	}
	if u, err := url.Parse(c.where); err == nil && u.Host != "" {
		return u.Redacted()
	}
	return c.where
}

// IsVolatile reports a store that ends with the process.
func (c *Connection) IsVolatile() bool { return c.where == "memory:" }

// StoreDir is the directory of a file store; empty for any other.
func (c *Connection) StoreDir() string {
	dir, isFile := strings.CutPrefix(c.where, "file:")
	if !isFile {
		return ""
	}
	dir = strings.TrimPrefix(dir, "//")
	if dir == "" {
		dir, _ = store.DefaultDir(config.Getenv(c.environ)) // it was opened, so there is one
	}
	if absolute, err := filepath.Abs(dir); err == nil {
		return absolute
	}
	return dir
}

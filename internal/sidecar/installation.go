package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"evergate/internal/config"
	"evergate/internal/grant"
	"evergate/internal/limit"
	"evergate/internal/refresh"
	"evergate/internal/remedy"
	"evergate/internal/resolve"
	"evergate/internal/shopify"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

const (
	// warmConnections are dialled ahead: one for the first call, one for the second.
	warmConnections = 2
	// ownConnections to Shopify are for the token and for checks, whatever the tools do.
	ownConnections = 8
)

// App is the app, and what its shops have in common: the settings, the transport to Shopify, the place where grants rest.
type App struct {
	Config    *config.Config
	Build     Build
	Transport *upstream.Transport
	// Backend is where grants rest; nil: nothing is kept.
	Backend token.Backend
	where   string // as in EVERGATE_STORE
	environ []string
	limits  limit.Limits
}

// credentials are those of the app for a shop, as they are now.
type credentials interface {
	Client() (id string, secret token.Secret, err error)
	OtherSecret() (token.Secret, error)
	StaticToken() (token.Secret, error)
	StaticTokenFile() string
	RefreshSeed() (token.Secret, error)
}

// Installation is the app in one shop, and what every command needs that deals with it: the token endpoint with the app's
// credentials, and the store of its grant.
type Installation struct {
	*App
	credentials
	Shop token.Shop
	Base *url.URL
	// Grant is settled: never auto.
	Grant    string
	Scopes   []string
	Endpoint *grant.Endpoint
	Store    token.Store // nil: nothing is kept
	fallback bool        // the grant is the offline one, and client credentials are used while it is dead
}

// newApp prepares everything that needs no look into the store.
func newApp(cfg *config.Config, environ []string, build Build) *App {
	a := &App{Config: cfg, Build: build, environ: environ, limits: LimitsOf(cfg)}
	// Each client has one request at a time; what is more is for calls on our own account.
	a.Transport = newTransport(cfg, warmConnections, a.limits.Connections+ownConnections)
	return a
}

// install returns the app in one shop, without a store.
func (a *App) install(shop token.Shop, c credentials, grantName string, scopes []string) *Installation {
	in := &Installation{App: a, credentials: c, Shop: shop, Base: a.Config.BaseOf(shop), Grant: grantName, Scopes: scopes}
	in.Endpoint = &grant.Endpoint{
		API: in.API(),
		Client: func() (grant.Client, error) {
			id, secret, err := c.Client()
			return grant.Client{ID: id, Secret: secret}, err
		},
		Previous: c.OtherSecret,
	}
	return in
}

// OpenInstallation prepares everything for the shop of the settings and settles the grant, for which it may look into the
// store. Nothing is sent yet. The settings are copied, and the copy has the grant that was settled.
func OpenInstallation(cfg *config.Config, environ []string, build Build) (*Installation, error) {
	if cfg.Shop.IsZero() {
		return nil, config.Wrong(remedy.New("set SHOPIFY_SHOP", "no shop is named"))
	}
	own := *cfg
	own.Warnings = slices.Clone(cfg.Warnings)
	cfg = &own
	in := newApp(cfg, environ, build).install(cfg.Shop, cfg, cfg.Grant, cfg.Scopes)
	keys, err := StoreKeys(cfg)
	if err != nil {
		return nil, err
	}
	if err := in.openStore(keys, config.Getenv(environ)); err != nil {
		return nil, config.Wrong(err)
	}
	cfg.Grant = in.Grant
	return in, nil
}

// newSource returns the source of tokens for the grant that was settled. set may change the options.
func (in *Installation) newSource(log *slog.Logger, set ...func(*refresh.Options)) (*refresh.Source, error) {
	obtainer, err := in.obtainer()
	if err != nil {
		return nil, err
	}
	o := refresh.Options{Shop: in.Shop, Log: log, Obtainer: obtainer, Wait: in.Config.TokenWait, Scopes: in.Scopes, Alive: in.alive, Remedies: in.Remedies()}
	for _, change := range set {
		change(&o)
	}
	return refresh.New(o), nil
}

// obtainer is how tokens of the grant are obtained.
func (in *Installation) obtainer() (refresh.Obtainer, error) {
	askAnew := grant.ClientCredentials{Endpoint: in.Endpoint}
	switch in.Grant {
	case config.GrantClientCredentials:
		if in.Store != nil {
			return refresh.Cached(askAnew, in.Store, in.ClientID()), nil
		}
		return refresh.Direct(askAnew), nil
	case config.GrantOffline:
		if in.fallback {
			return refresh.RotatingOr(grant.Offline{Endpoint: in.Endpoint}, in.Store, in.ClientID(), refresh.Fallback{Granter: askAnew, Alive: in.alive}), nil
		}
		return refresh.Rotating(grant.Offline{Endpoint: in.Endpoint}, in.Store, in.ClientID()), nil
	case config.GrantStatic:
		if in.StaticTokenFile() == "" {
			return refresh.Direct(grant.Static{Read: in.StaticToken}), nil
		}
		return refresh.Polled(grant.Static{Read: in.StaticToken}), nil
	}
	return nil, fmt.Errorf("nothing obtains tokens by the grant %q", in.Grant) // config.Load lets no other through
}

// ClientID is the app that a stored grant must be of. A file that cannot be read now is
// reported when it is needed.
func (in *Installation) ClientID() string {
	id, _, err := in.Client()
	if err != nil {
		return in.Config.ClientID
	}
	return id
}

// API makes calls of our own, with the same transport and without the proxy.
func (in *Installation) API() *shopify.Client {
	return &shopify.Client{Shop: in.Shop, Base: in.Base, Transport: in.Transport, UserAgent: in.Build.UserAgent(), Remedies: in.Remedies()}
}

// Remedies writes commands for people, with the shop where there may be more than one.
func (in *Installation) Remedies() remedy.Shop { return in.Config.Remedies(in.Shop) }

// aliveLimit bounds the question whether a token is alive.
const aliveLimit = 10 * time.Second

// alive asks Shopify whether it takes a token, by a call that counts in no rate limit and that every
// token may make. The error says that this is not known.
func (in *Installation) alive(ctx context.Context, access token.Secret) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, aliveLimit)
	defer cancel()
	_, err := in.API().Scopes(ctx, access)
	if errors.Is(err, shopify.ErrToken) {
		return false, nil
	}
	return err == nil, err
}

// HasFallback reports whether client credentials are used should the stored grant be dead.
func (in *Installation) HasFallback() bool { return in.fallback }

// NewTransport is for calls where there is no Installation, because its store cannot be opened.
func NewTransport(cfg *config.Config) *upstream.Transport { return newTransport(cfg, 0, 0) }

func newTransport(cfg *config.Config, warm, most int) *upstream.Transport {
	o := upstream.Options{Base: cfg.Base, Roots: cfg.Roots, HeaderTimeout: cfg.UpstreamTimeout, Warm: warm, Most: most}
	if cfg.ShopsFile != "" && cfg.BaseByShop() {
		o.Family = true
		if cfg.Shop.IsZero() {
			o.Base = nil // which shop is called first is not known yet
		}
	}
	if cfg.HasProxy() {
		o.Proxy = func() (upstream.Proxy, error) {
			u, setting, err := cfg.Proxy()
			return upstream.Proxy{URL: u, Setting: setting}, err
		}
	}
	if cfg.Resolver != "" {
		if r, err := resolve.Parse(cfg.Resolver); err == nil { // config.Load has tried it
			o.Lookup = r.Lookup
		}
	}
	return upstream.New(o)
}

// TokenOnce obtains a token by the sidecar's own rules, for a command that ends then.
func (in *Installation) TokenOnce(ctx context.Context) (token.Token, error) {
	s, err := in.newSource(slog.New(slog.DiscardHandler))
	if err != nil {
		return token.Token{}, err
	}
	return s.Once(ctx)
}

// TokenAnew is TokenOnce for a command that is to find out whether a token can be had: one that
// is stored will not do.
func (in *Installation) TokenAnew(ctx context.Context) (token.Token, error) {
	s, err := in.newSource(slog.New(slog.DiscardHandler))
	if err != nil {
		return token.Token{}, err
	}
	defer s.Stop()
	if err := s.Refresh(ctx); err != nil {
		return token.Token{}, err
	}
	return s.Token(ctx)
}

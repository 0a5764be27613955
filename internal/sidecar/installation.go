package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// Installation is the app in one shop, and what every command needs that deals with it: the
// transport to Shopify, the token endpoint with the app's credentials, and the store of its grant.
type Installation struct {
	// Config is a copy in which the grant is settled; nobody changes what was loaded.
	Config    *config.Config
	Build     Build
	Transport *upstream.Transport
	Endpoint  *grant.Endpoint
	Store     token.Store // nil: nothing is kept
	where     string      // as in EVERGATE_STORE
	fallback  bool        // the grant is the offline one, and client credentials are used while it is dead
	environ   []string
	limits    limit.Limits
}

// OpenInstallation prepares everything and settles the grant, for which it may look into the
// store. Nothing is sent yet.
func OpenInstallation(cfg *config.Config, environ []string, build Build) (*Installation, error) {
	if cfg.Shop.IsZero() {
		return nil, config.Wrong(remedy.New("set SHOPIFY_SHOP", "no shop is named"))
	}
	own := *cfg
	own.Warnings = slices.Clone(cfg.Warnings)
	cfg = &own
	in := &Installation{Config: cfg, Build: build, environ: environ, limits: LimitsOf(cfg)}
	// Each client has one request at a time; what is more is for calls on our own account.
	in.Transport = newTransport(cfg, warmConnections, in.limits.Connections+ownConnections)
	in.Endpoint = &grant.Endpoint{
		API: in.API(),
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
	if err := in.openStore(keys, config.Getenv(environ)); err != nil {
		return nil, config.Wrong(err)
	}
	return in, nil
}

// newSource returns the source of tokens for the grant that was settled.
func (in *Installation) newSource(log *slog.Logger, observer refresh.Observer, published func(token.Token)) (*refresh.Source, error) {
	obtainer, err := in.obtainer()
	if err != nil {
		return nil, err
	}
	return refresh.New(refresh.Options{
		Shop: in.Config.Shop, Log: log, Obtainer: obtainer, Observer: observer, Published: published,
		Wait: in.Config.TokenWait, Scopes: in.Config.Scopes, Alive: in.alive,
	}), nil
}

// obtainer is how tokens of the grant are obtained.
func (in *Installation) obtainer() (refresh.Obtainer, error) {
	askAnew := grant.ClientCredentials{Endpoint: in.Endpoint}
	switch in.Config.Grant {
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
		return refresh.Polled(grant.Static{Read: in.Config.StaticToken}), nil
	}
	return nil, fmt.Errorf("nothing obtains tokens by the grant %q", in.Config.Grant) // config.Load lets no other through
}

// ClientID is the app that a stored grant must be of. A file that cannot be read now is
// reported when it is needed.
func (in *Installation) ClientID() string {
	id, _, err := in.Config.Client()
	if err != nil {
		return in.Config.ClientID
	}
	return id
}

// API makes calls of our own, with the same transport and without the proxy.
func (in *Installation) API() *shopify.Client {
	return &shopify.Client{Shop: in.Config.Shop, Base: in.Config.Base, Transport: in.Transport, UserAgent: in.Build.UserAgent()}
}

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
	s, err := in.newSource(slog.New(slog.DiscardHandler), nil, nil)
	if err != nil {
		return token.Token{}, err
	}
	return s.Once(ctx)
}

// TokenAnew is TokenOnce for a command that is to find out whether a token can be had: one that
// is stored will not do.
func (in *Installation) TokenAnew(ctx context.Context) (token.Token, error) {
	s, err := in.newSource(slog.New(slog.DiscardHandler), nil, nil)
	if err != nil {
		return token.Token{}, err
	}
	defer s.Stop()
	if err := s.Refresh(ctx); err != nil {
		return token.Token{}, err
	}
	return s.Token(ctx)
}

package login

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"evergate/internal/grant"
	"evergate/internal/token"
)

var (
	// ErrNobody says that nobody may log in for a shop.
	ErrNobody = errors.New("this shop is none that may be connected here")
	errWhich  = errors.New("no shop is named")
)

// mostExchanges is how many grants are obtained at a time. Each is Shopify's word, so strangers take none of the turns.
const mostExchanges = 32

// Shops is the logins of many shops. It keeps nothing of a shop: what is remembered is which states were used, and that is
// bounded for all of them together. Its methods are safe for concurrent use.
type Shops struct {
	turns
	of     func(token.Shop) (Options, error)
	only   func() (token.Shop, bool)
	app    string
	ledger *ledger
}

// ShopsOptions configures NewShops. All but AppName are required.
type ShopsOptions struct {
	// Of returns what holds for a shop, now; ErrNobody: it may not be logged in. It is asked by strangers too, so it keeps
	// nothing and waits for nothing.
	Of func(token.Shop) (Options, error)
	// Only returns the shop that is meant where none is named; false: there may be more than one.
	Only    func() (token.Shop, bool)
	AppName string
}

// NewShops returns the logins of many shops.
func NewShops(o ShopsOptions) *Shops {
	return &Shops{turns: newTurns(mostExchanges), of: o.Of, only: o.Only, app: o.AppName, ledger: newLedger()}
}

// flow makes the logins of one shop, which know all that others of the same shop have used.
func (s *Shops) flow(shop token.Shop) (*Flow, error) {
	o, err := s.of(shop)
	if err != nil {
		return nil, err
	}
	return &Flow{o, s.turns, &states{s.ledger, shop.Domain()}}, nil
}

// Hosted is as Flow.Hosted. The shop is the one that the address names, at the start as in Shopify's callback.
func (s *Shops) Hosted(public *url.URL, log *slog.Logger) http.Handler {
	h := hosted{public, log, reader{where: hostedHint, app: s.app}}
	return h.handler(func(r *http.Request) (*Flow, reader, error) {
		shop, err := s.named(r.URL.Query()["shop"])
		if err != nil {
			return nil, reader{}, err
		}
		f, err := s.flow(shop)
		return f, reader{hostedHint, s.app, shop}, err
	})
}

func (s *Shops) named(names []string) (token.Shop, error) {
	switch len(names) {
	case 0:
		if shop, ok := s.only(); ok {
			return shop, nil
		}
		return token.Shop{}, errWhich
	case 1:
		if shop, ok := token.FindShop(names[0]); ok {
			return shop, nil
		}
		return token.Shop{}, ErrNobody
	}
	return token.Shop{}, errWhich
}

// ExchangeHandler is as Flow.ExchangeHandler, for the shop that a session token is of.
func (s *Shops) ExchangeHandler(log *slog.Logger) http.Handler {
	return exchangeHandler(log, func(sessionToken token.Secret) (*Flow, error) {
		shop, err := grant.ClaimedShop(sessionToken)
		if err != nil {
			return nil, err
		}
		return s.flow(shop)
	})
}

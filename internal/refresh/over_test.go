package refresh

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/grant"
	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// Shopify may say of a token that it just handed out that it is over. Nothing else tells an Evergate that nobody calls.
func TestTokenThatIsOverIsReplacedSoonAndNotAgainAndAgain(t *testing.T) {
	for _, c := range []struct {
		name        string
		answers     int // that say so; 0: all
		least, most int // refreshes in an hour and a half
	}{
		{"once", 1, 3, 4}, // that one, the one that mends it, and that of the good token's three quarters
		{"always", 0, 90, 130},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim, shelf := shopsim.New(shopsim.Options{}), newShelf()
				_, refresh := sim.IssuePair("", "")
				shelf.put(token.Record{Current: token.Pair{Refresh: token.NewSecret(refresh)}})
				sim.Inject(shopsim.Fault{Kind: shopsim.FaultExpiresIn, ExpiresIn: "0", Endpoint: shopsim.TokenEndpoint, Count: c.answers})
				shop, err := token.ParseShop(shopsim.DefaultShop)
				if err != nil {
					t.Fatal(err)
				}
				endpoint := &grant.Endpoint{
					API: &shopify.Client{Shop: shop, Base: &url.URL{Scheme: "https", Host: shop.Domain()}, Transport: sim.RoundTripper(), UserAgent: "test"},
					Client: func() (grant.Client, error) {
						return grant.Client{ID: shopsim.DefaultClientID, Secret: token.NewSecret(shopsim.DefaultClientSecret)}, nil
					},
				}
				s := New(Options{Shop: shop, Obtainer: Rotating(grant.Offline{Endpoint: endpoint}, shelf, shopsim.DefaultClientID), Log: slog.New(slog.DiscardHandler)})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { defer close(ended); s.Run(ctx) }()
				defer func() { cancel(); <-ended }()

				time.Sleep(time.Minute)
				if got := sim.Stats().Refreshes; got != 2 {
					t.Errorf("%d refreshes in the first minute, want the one and another", got)
				}
				for range 89 {
					time.Sleep(time.Minute)
					_ = access(t, s) // there is one at any time
				}
				st := sim.Stats()
				if st.Refreshes < c.least || st.Refreshes > c.most || st.ChainsLost > 0 {
					t.Errorf("%d refreshes in an hour and a half, want %d to %d; %d chains are lost", st.Refreshes, c.least, c.most, st.ChainsLost)
				}
			})
		})
	}
}

//go:build linux

package libraries

import (
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/clients/machine"
	"evergate/test/process"
)

const (
	shop = machine.Shop
	// life is how long a token lives.
	life = 2 * time.Second
	// products are so many that listing them takes three pages of 50.
	products = 120
)

// site is a machine on which a program is tried.
type site struct {
	*machine.Machine
	minted chan string
}

// newSite moves the goroutine of the test there. Leads are names that the file of hosts leads to it.
func newSite(t *testing.T, leads ...string) *site {
	t.Helper()
	// The rates are those of Shopify Plus; others have tests of the pace.
	rates := shopsim.Settings{TokenLife: life, RESTSize: 400, RESTLeak: 40, GraphQLSize: 20000, GraphQLRestore: 1000}
	s := &site{Machine: machine.New(t, rates, products, leads...), minted: make(chan string, 1000)}
	s.SetScopes("", shopsim.DefaultScopes+",read_themes")
	s.OnToken(func(e shopsim.TokenEvent) { s.minted <- e.Token })
	return s
}

// awaitExpiry waits until every token that has been handed out before has expired: a token is renewed before its end, so that
// a second one after this moment comes later than the end of those before it.
func (s *site) awaitExpiry(t *testing.T) {
	t.Helper()
	for len(s.minted) > 0 {
		<-s.minted
	}
	for range 2 {
		process.Await(t, "a new token", s.minted)
	}
}

// tokens counts those with which Shopify was called.
func (s *site) tokens() int {
	used := map[string]bool{}
	for _, e := range s.Journal() {
		if e.Token != "" {
			used[e.Token] = true
		}
	}
	return len(used)
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// asFleet has the shop named by a file in place of the settings.
func (s *grantShop) asFleet(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shops.yaml")
	defaults := fmt.Sprintf("defaults: {client_id: %s, client_secret: %s}\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret)
	if err := os.WriteFile(file, []byte(defaults+text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.environ = append(slices.DeleteFunc(s.environ, func(e string) bool { return strings.HasPrefix(e, "SHOPIFY_") }), "EVERGATE_SHOPS_FILE="+file)
}

func TestCheckOfManyShops(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.put(t, token.Record{Current: s.pair()})
	s.asFleet(t, "shops: {blue-finch: {}, acme: {grant: offline}}\nstored: true\n")
	// The first in the alphabet is acme, which the simulator does not have; blue-finch is looked at all the same.
	byName, names := s.results(t, exitFailure)
	if want := []string{"configuration", "secret-files", "access", "local-ca", "limits", "store", "listeners", "dns", "connection", "shop", "clock"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	for name, part := range map[string]string{"configuration": "shops.yaml: 2, and those that", "store": "grants in it: 1", "shop": "there is no shop acme"} {
		if !strings.Contains(byName[name].Message, part) {
			t.Errorf("nothing of %q in %s", part, byName[name])
		}
	}
	s.must(t, exitFailure, "", []string{"check"}, "1 of 2 that are listed exist", "there is no shop acme.myshopify.com: check its name in EVERGATE_SHOPS_FILE")
	s = newGrantShop(t)
	s.asFleet(t, "shops: {blue-finch: {}}\n")
	s.must(t, exitOK, "", []string{"check"}, "shops.yaml: 1", "connection")
	if err := os.WriteFile(s.file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, exitOK, "", []string{"check"}, "cannot be read", "evergate store check")
}

func TestCheckNamesTheLinesOfMistakesInAShopsFile(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.asFleet(t, "shops:\n  acme: {grant: x}\n  ACME: {}\n  beta: {polcy: full}\n")
	s.must(t, exitConfig, "", []string{"check"}, "shops.yaml, line 3: acme.myshopify.com: grant", "line 4: acme.myshopify.com is there twice", "line 5: beta.myshopify.com has a key that is not known: polcy: did you mean policy?")
	one := newGrantShop(t)
	one.environ = append(one.environ, "EVERGATE_SHOPS_FILE="+filepath.Join(t.TempDir(), "none.yaml"))
	one.must(t, exitConfig, "", []string{"check"}, "EVERGATE_SHOPS_FILE", "none.yaml")
}

func TestManyShopsAreLookedAtWithinABound(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.asFleet(t, "shops: {blue-finch: {}"+furtherShops(2*mostAsked)+"}\n")
	o := s.must(t, exitFailure, "", []string{"check"}, fmt.Sprintf("1 of %d that are listed exist; the first %d were looked at", 2*mostAsked+1, mostAsked))
	if n := strings.Count(o.out, "there is no shop"); n != mostAsked-1 {
		t.Errorf("%d shops are said to be none", n)
	}
}

// furtherShops are shops behind blue-finch in the alphabet that the simulator does not have.
func furtherShops(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ", shop-%d: {}", i)
	}
	return b.String()
}

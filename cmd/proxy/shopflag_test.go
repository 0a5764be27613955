package main

import (
	"strings"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/internal/token"
)

func TestACommandMeansTheShopThatIsNamed(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.put(t, token.Record{Current: s.pair()})
	s.asFleet(t, "shops: {blue-finch: {}, acme: {grant: offline}}\n")
	for _, args := range []string{"token show", "token print", "token import", "token migrate", "token revoke --yes", "login --no-browser"} {
		s.must(t, exitConfig, "", strings.Fields(args), "name it with --shop: acme, blue-finch")
	}
	s.must(t, exitOK, "", []string{"token", "show", "--shop", "BLUE-FINCH.myshopify.com"}, s.file, "expires and is renewed")
	if o := execute(s.environ, "token", "print", "--shop=blue-finch"); o.code != exitOK || !strings.HasPrefix(o.out, "shpat_") {
		t.Errorf("exit code %d: %s", o.code, o.err)
	}
	s.must(t, exitFailure, "", []string{"token", "show", "--shop", "acme"}, "nothing is stored for acme")
	s.must(t, exitConfig, "", []string{"token", "show", "--shop", "gamma"}, "gamma.myshopify.com is not in the shops file", "acme, blue-finch")
	s.must(t, exitConfig, "", []string{"token", "show", "--shop", "gamma.example.com"}, "--shop", "myshopify.com")
	s.must(t, exitOK, "", []string{"check", "--shop", "blue-finch"}, "blue-finch.myshopify.com, with a stored grant", "nothing was renewed", "ok    scopes")
	s.must(t, exitFailure, "", []string{"check", "--shop", "acme"}, "acme.myshopify.com, with")
	s.must(t, exitConfig, "", []string{"check", "--shop", "gamma"}, "not in the shops file")
}

// TestWhatIsToBeRunNamesTheShop has what a person copies from an error or a hint mean the shop that it was about.
func TestWhatIsToBeRunNamesTheShop(t *testing.T) {
	t.Parallel()
	const file = "shops: {blue-finch: {grant: offline}, acme: {grant: offline}}\n"
	of := []string{"--shop", "blue-finch"}
	s := newGrantShop(t)
	s.asFleet(t, file)
	for _, command := range []string{"token show", "token print", "check"} {
		s.must(t, exitFailure, "", append(strings.Fields(command), of...), "run `evergate login --shop blue-finch`, or `evergate token import --shop blue-finch`")
	}
	s.must(t, exitConfig, "", append([]string{"token", "migrate"}, of...), "import it with `evergate token import --shop blue-finch`")
	s.must(t, exitConfig, "shpua_0123456789abcdef0123456789abcdef", append([]string{"token", "import"}, of...), "run `evergate login --shop blue-finch` for one that lasts")
	s.must(t, exitOK, s.pair().Refresh.Reveal(), append([]string{"token", "import"}, of...), "curl -X POST 'http://", "/-/refresh?shop=blue-finch'")

	ended := newGrantShop(t)
	ended.put(t, token.Record{Current: token.Pair{
		Token:   token.Token{Access: token.NewSecret("shpat_0123456789abcdef0123456789abcdef"), Issued: time.Now().Add(-2 * time.Hour), Life: time.Hour},
		Refresh: token.NewSecret("shprt_0123456789abcdef0123456789abcdef"),
	}})
	ended.asFleet(t, file)
	ended.must(t, exitFailure, "", append([]string{"token", "print"}, of...), "anew with `evergate login --shop blue-finch`")
	ended.must(t, exitFailure, "", append([]string{"check"}, of...), "run `evergate login --shop blue-finch`")

	alone := newGrantShop(t)
	if o := alone.must(t, exitOK, alone.pair().Refresh.Reveal(), []string{"token", "import"}, "/-/refresh\n"); strings.Contains(o.out, "shop=") {
		t.Error(o.out)
	}
}

func TestAShopOfTheFileIsImportedAndUsedWithoutAName(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.asFleet(t, "shops: {blue-finch: {}}\n")
	access := s.permanent()
	s.must(t, exitOK, access.Reveal()+"\n", imports, "Stored in "+s.file)
	s.must(t, exitOK, "", []string{"token", "migrate", "--shop", "blue-finch", "--yes"}, "Migrated. The new grant of "+shopsim.DefaultShop)
	if r := s.stored(t); !r.Current.Token.Expires() || r.ClientID != shopsim.DefaultClientID {
		t.Errorf("%+v", r)
	}
}

func TestWithoutAShopsFileTheNameIsTheConfiguredOne(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.put(t, token.Record{Current: s.pair()})
	s.must(t, exitOK, "", []string{"token", "show", "--shop", "blue-finch"}, s.file)
	s.must(t, exitConfig, "", []string{"token", "show", "--shop", "acme"}, "the shop that is configured is blue-finch.myshopify.com, not acme")
	s.must(t, exitConfig, "", []string{"check", "--shop", "acme"}, "the shop that is configured is blue-finch")
}

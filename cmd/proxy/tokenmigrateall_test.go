package main

import (
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/internal/token"
)

func TestMigrationOfAllShops(t *testing.T) {
	t.Parallel()
	all := []string{"token", "migrate", "--all"}
	s := newGrantShop(t)
	s.must(t, exitConfig, "", all, "EVERGATE_SHOPS_FILE")
	s.must(t, exitConfig, "", []string{"token", "migrate", "--dry-run"}, "are for --all")
	s.must(t, exitConfig, "", append(all[:3:3], "--shop", "acme"), "exclude each other")
	s.must(t, exitConfig, "", append(all[:3:3], "--per-second", "0"), "above 0")
	permanent, own := s.putPermanent(t), s.withEnviron()
	// What is stored counts, whatever the file says; a token that Shopify does not know is no reason to stop.
	s.asFleet(t, "shops: {blue-finch: {grant: offline}, acme: {grant: static, access_token: shpat_00000000000000000000000000000000}}\n")
	s.must(t, exitOK, "", append(all[:3:3], "--dry-run"), "acme.myshopify.com  permanent", "blue-finch.myshopify.com  permanent", "2 permanent")
	s.must(t, exitFailure, "n\n", all, "of 2 shops", "nothing was changed")
	if n := s.Stats().TokenPosts; n != 0 {
		t.Errorf("%d exchanges before anybody agreed", n)
	}
	s.must(t, exitFailure, "y\n", append(all[:3:3], "--per-second", "100"), "acme.myshopify.com  failed: not migrated", "blue-finch.myshopify.com  migrated", "1 migrated", "1 failed")
	own.migrated(t, permanent)
	s.must(t, exitFailure, "", append(all[:3:3], "--yes", "--json"), `"shop": "acme.myshopify.com"`, `"outcome": "failed"`, "0 migrated")
}

func TestAMigrationThatWasBegunIsDoneAgainWithAllOthers(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	access := s.permanent()
	s.put(t, token.Record{Original: access, Current: token.Pair{Token: token.Token{Access: access, Issued: time.Now().Round(0)}}})
	s.asFleet(t, "shops: {blue-finch: {grant: offline}}\n")
	s.must(t, exitOK, "", []string{"token", "migrate", "--all", "--yes"}, "blue-finch.myshopify.com  migrated")
	s.must(t, exitOK, "", []string{"token", "migrate", "--all"}, "0 migrated")
}

// TestTheShopBesideTheFileIsMigratedWithAllOthers has the token of SHOPIFY_SHOP in the settings.
func TestTheShopBesideTheFileIsMigratedWithAllOthers(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	access, own := s.permanent(), s.withEnviron()
	s.asFleet(t, "shops: {acme: {}}\n")
	s.environ = append(s.environ, "SHOPIFY_SHOP=blue-finch", "SHOPIFY_CLIENT_ID="+shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET="+shopsim.DefaultClientSecret,
		"SHOPIFY_ACCESS_TOKEN="+access.Reveal(), "EVERGATE_GRANT=static")
	s.must(t, exitOK, "", []string{"token", "migrate", "--all", "--dry-run"}, "blue-finch.myshopify.com  permanent", "1 permanent")
	s.must(t, exitOK, "", []string{"token", "migrate", "--all", "--yes"}, "blue-finch.myshopify.com  migrated", "1 migrated", "take SHOPIFY_ACCESS_TOKEN out")
	own.migrated(t, access)
	s.must(t, exitOK, "", []string{"token", "migrate", "--all"}, "0 migrated, 1 migrated before", "take SHOPIFY_ACCESS_TOKEN out")
}

// TestWhoseTokenIsInTheFileIsNamedAfterAMigration: the sidecar goes on calling with what the file says.
func TestWhoseTokenIsInTheFileIsNamedAfterAMigration(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.asFleet(t, "shops: {blue-finch: {grant: static, access_token: "+s.permanent().Reveal()+"}}\n")
	s.must(t, exitOK, "", []string{"token", "migrate", "--all", "--yes"}, "1 migrated", "say grant: offline in place of grant: static", "\n  blue-finch.myshopify.com\n")
	s.must(t, exitOK, "", []string{"token", "migrate", "--all"}, "1 migrated before", "\n  blue-finch.myshopify.com\n")
}

package redis

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/shopsim"
	"evergate/internal/token"
	"evergate/test/process"
)

var gets = regexp.MustCompile(`cmdstat_get:calls=(\d+)`)

// TestAColdShopsFirstCallReadsTheStoreOnce asks Redis how often it was read, once the process has gone through the store. A record that is kept in place of
// none makes no shop of a name.
func TestAColdShopsFirstCallReadsTheStoreOnce(t *testing.T) {
	t.Parallel()
	s := start(t, "--appendonly", "yes")
	b := open(t, "redis://"+s.address())
	app := shopsim.App{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes}
	sim := shopsim.New(shopsim.Options{Apps: []shopsim.App{app}, Shops: []shopsim.Shop{{Domain: "warm"}, {Domain: "cold"}}})
	server, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	put := func(name string, r token.Record) {
		t.Helper()
		r.Shop, r.ClientID = name+".myshopify.com", app.ClientID
		if _, err := storeOf(t, b, name).Swap(t.Context(), "", token.Begin(r)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"warm", "cold"} {
		access, refresh := sim.IssuePair(name, app.ClientID)
		put(name, token.Record{Grant: config.GrantOffline, Current: token.Pair{
			Token:   token.Token{Access: token.NewSecret(access), Issued: time.Now(), Life: time.Hour},
			Refresh: token.NewSecret(refresh), RefreshExpires: time.Now().Add(90 * 24 * time.Hour),
		}})
	}
	put("nothing", token.Record{Grant: config.GrantClientCredentials})
	dir := t.TempDir()
	file, ca := filepath.Join(dir, "shops.yaml"), filepath.Join(dir, "ca.pem")
	text := "defaults:\n  client_id: " + app.ClientID + "\n  client_secret: " + app.ClientSecret + "\nstored: true\n"
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(ca, server.CAPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	p := process.Start(t, process.Command(t, binary, []string{
		"EVERGATE_SHOPS_FILE=" + file, "EVERGATE_STORE=redis://" + s.address(), "EVERGATE_STORE_KEY=" + storeKey,
		"EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + ca,
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_FORMAT=json", "EVERGATE_CA_DIR=memory:",
	}, "serve"))
	admin := "http://" + p.AwaitLog(t, "listening for operators").Address
	process.Eventually(t, func() error {
		if n, found := process.Metric(process.Fetch(t, admin+"/metrics"), "evergate_stored_grants"); !found || n != 2 {
			return errors.New("the grants have not been counted, or a record of none as one")
		}
		return nil
	})
	call := func(shop string, want int) {
		t.Helper()
		status, err := get(t.Context(), &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+p.AwaitLog(t, "listening for tools").Address+"/"+shop+".myshopify.com/admin/api/2026-10/shop.json")
		if err != nil || status != want {
			t.Errorf("%s: %d %v, want %d", shop, status, err, want)
		}
	}
	call("warm", http.StatusOK)
	s.do(t, "CONFIG", "RESETSTAT")
	call("cold", http.StatusOK)
	if n := gets.FindStringSubmatch(s.do(t, "INFO", "commandstats")); n == nil || n[1] != "1" {
		t.Errorf("the store was read %v times", n)
	}
	call("nothing", http.StatusNotFound)
	if scrape := process.Fetch(t, admin+"/metrics"); strings.Contains(scrape, `shop="nothing.myshopify.com"`) {
		t.Error("a record of none is published as a shop")
	}
}

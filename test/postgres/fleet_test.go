package postgres

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/internal/pgstore"
	"evergate/internal/shopsim"
	"evergate/test/process"
)

// TestSessionsThatNobodyCallsAreRenewed has the sessions of two shops end soon, and nobody call either here: the app would exchange a token
// itself, and that would end the chain.
func TestSessionsThatNobodyCallsAreRenewed(t *testing.T) {
	t.Parallel()
	s := beginSessions(t, "acme", "beta")
	file := filepath.Join(t.TempDir(), "shops.yaml")
	text := fmt.Sprintf("defaults:\n  client_id: %s\n  client_secret: %s\nstored: true\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	process.Start(t, process.Command(t, binary(t), append(s.environ, "EVERGATE_SHOPS_FILE="+file), "serve"))
	s.awaitRenewal(t)
}

// TestTheOnlyShopsSessionIsTheApps has a process with one shop beside an app: it finds the grant in the app's table without being told of it, renews it
// although nobody calls, and makes no table of grants.
func TestTheOnlyShopsSessionIsTheApps(t *testing.T) {
	t.Parallel()
	s := beginSessions(t, "acme")
	p := process.Start(t, process.Command(t, binary(t), append(s.environ,
		"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID="+shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET="+shopsim.DefaultClientSecret), "serve"))
	s.awaitRenewal(t)
	resp, err := http.Get("http://" + p.AwaitLog(t, "listening for tools").Address + "/admin/api/2026-10/shop.json")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if _ = resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s %v %s", resp.Status, err, body)
	}
	if tables := fmt.Sprint(sql(t, s.url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")); strings.Contains(tables, "evergate_grants") {
		t.Errorf("the tables are %s", tables)
	}
}

// sessions are those of an app whose tokens end soon.
type sessions struct {
	url     string            // of the database
	before  map[string]string // by shop
	environ []string          // for a process that uses them
}

func beginSessions(t *testing.T, shops ...string) *sessions {
	t.Helper()
	s := &sessions{url: appDatabase(t, pgstore.LayoutPrisma), before: map[string]string{}}
	o := shopsim.Options{Apps: []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes}}}
	for _, name := range shops {
		o.Shops = append(o.Shops, shopsim.Shop{Domain: name})
	}
	sim := shopsim.New(o)
	server, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	for _, name := range shops {
		access, refresh := sim.IssuePair(name, shopsim.DefaultClientID)
		s.before[name] = access
		ends := time.Now().Add(8 * time.Minute)
		sql(t, s.url, fmt.Sprintf(appSQL[pgstore.LayoutPrisma].put, name+".myshopify.com", access, "'"+refresh+"'", fmt.Sprint(ends.Unix()), fmt.Sprint(ends.AddDate(0, 0, 90).Unix())))
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, server.CAPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	s.environ = []string{
		"EVERGATE_STORE=" + s.url, "EVERGATE_STORE_LAYOUT=" + pgstore.LayoutPrisma,
		"EVERGATE_STORE_KEY=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + ca,
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_CA_DIR=memory:", "EVERGATE_LOG_FORMAT=json",
	}
	return s
}

// awaitRenewal waits until each session has another token.
func (s *sessions) awaitRenewal(t *testing.T) {
	t.Helper()
	for name, before := range s.before {
		process.EventuallyWithin(t, time.Minute, 200*time.Millisecond, func() error {
			rows := sql(t, s.url, fmt.Sprintf(appSQL[pgstore.LayoutPrisma].get, name+".myshopify.com"))
			if len(rows) != 1 || rows[0][0] == before {
				return fmt.Errorf("%s has the token that ends soon", name)
			}
			return nil
		})
	}
}

package postgres

import (
	"fmt"
	"os"
	"path/filepath"
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
	url := appDatabase(t, pgstore.LayoutPrisma)
	shops := []string{"acme", "beta"}
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
	before := map[string]string{}
	for _, name := range shops {
		access, refresh := sim.IssuePair(name, shopsim.DefaultClientID)
		before[name] = access
		ends := time.Now().Add(8 * time.Minute)
		sql(t, url, fmt.Sprintf(appSQL[pgstore.LayoutPrisma].put, name+".myshopify.com", access, "'"+refresh+"'", fmt.Sprint(ends.Unix()), fmt.Sprint(ends.AddDate(0, 0, 90).Unix())))
	}
	dir := t.TempDir()
	file, ca := filepath.Join(dir, "shops.yaml"), filepath.Join(dir, "ca.pem")
	text := fmt.Sprintf("defaults:\n  client_id: %s\n  client_secret: %s\nstored: true\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret)
	for path, content := range map[string]string{file: text, ca: string(server.CAPEM)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	process.Start(t, process.Command(t, binary(t), []string{
		"EVERGATE_SHOPS_FILE=" + file, "EVERGATE_STORE=" + url, "EVERGATE_STORE_LAYOUT=" + pgstore.LayoutPrisma,
		"EVERGATE_STORE_KEY=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + ca,
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_CA_DIR=memory:",
	}, "serve"))
	for _, name := range shops {
		process.EventuallyWithin(t, time.Minute, 200*time.Millisecond, func() error {
			rows := sql(t, url, fmt.Sprintf(appSQL[pgstore.LayoutPrisma].get, name+".myshopify.com"))
			if len(rows) != 1 || rows[0][0] == before[name] {
				return fmt.Errorf("%s has the token that ends soon", name)
			}
			return nil
		})
	}
}

package kubernetes

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
	"evergate/test/process"
)

// tokenLife leaves time for an API server that is started anew.
const tokenLife = 15 * time.Second

// replicasShareAChain runs the real program twice on one namespace, with tokens that live for seconds. One replica is killed, and
// the API server is started anew.
func (g *grantPlaces) replicasShareAChain(t *testing.T) {
	namespace := g.make(t)
	dir := t.TempDir()
	binary := filepath.Join(dir, "evergate")
	if err := process.Build(binary); err != nil {
		t.Fatal(err)
	}
	sim := shopsim.New(shopsim.Options{
		Apps:     []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes}},
		Shops:    []shopsim.Shop{{Domain: "acme", Products: 1}},
		Settings: shopsim.Settings{OfflineLife: tokenLife},
	})
	shopify, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shopify.Close() })
	for file, text := range map[string]string{
		"ca.pem": string(shopify.CAPEM), "key": base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))),
		"shops.yaml": "defaults:\n  client_id: " + shopsim.DefaultClientID + "\n  client_secret: " + shopsim.DefaultClientSecret + "\nstored: true\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(g.cluster.server, "https://"), ":")
	environ := []string{
		"KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port, "EVERGATE_STORE=kubernetes:" + namespace + "?account=" + url.QueryEscape(g.account),
		"EVERGATE_STORE_KEY_FILE=" + filepath.Join(dir, "key"), "EVERGATE_UPSTREAM_URL=" + shopify.URL, "EVERGATE_UPSTREAM_CA_FILE=" + filepath.Join(dir, "ca.pem"),
	}
	access, refresh := sim.IssuePair("acme", shopsim.DefaultClientID)
	store, err := g.open(t, namespace, g.account).Shop(storetest.Shop())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if _, err := store.Swap(t.Context(), "", token.Record{
		Shop: acme, ClientID: shopsim.DefaultClientID, Grant: "offline",
		Current: token.Pair{
			Token:   token.Token{Access: token.NewSecret(access), Scopes: []string{"read_products"}, Issued: now, Life: tokenLife},
			Refresh: token.NewSecret(refresh), RefreshExpires: now.AddDate(0, 0, 90),
		},
	}); err != nil {
		t.Fatal(err)
	}
	var replicas []*process.Process
	var urls []string
	for range 2 {
		p := process.Start(t, process.Command(t, binary, append([]string{
			"EVERGATE_SHOPS_FILE=" + filepath.Join(dir, "shops.yaml"), "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_FORMAT=json", "EVERGATE_CA_DIR=memory:",
		}, environ...), "serve"))
		replicas = append(replicas, p)
		urls = append(urls, "http://"+p.AwaitLog(t, "listening for tools").Address+"/acme.myshopify.com/admin/api/2026-10/shop.json")
	}
	// Each replica that lives is called for a few lives of the token, and never fails.
	began := time.Now()
	callAll := func(until time.Duration) {
		t.Helper()
		process.EventuallyWithin(t, patience, 200*time.Millisecond, func() error {
			for i, u := range urls {
				if err := callShop(u); err != nil {
					t.Fatalf("replica %d, after %s: %v", i, time.Since(began), err)
				}
			}
			if time.Since(began) < until {
				return fmt.Errorf("it is not over")
			}
			return nil
		})
	}
	process.Eventually(t, func() error { return callShop(urls[0]) }) // the list of those that are stored has been read
	process.Eventually(t, func() error { return callShop(urls[1]) })
	callAll(5 * time.Second)
	replicas[0].Kill()
	urls = urls[1:]
	before := len(sim.Generations("acme", shopsim.DefaultClientID))
	g.cluster.restartAPI(g.owner)
	process.EventuallyWithin(t, patience, 200*time.Millisecond, func() error {
		if n := len(sim.Generations("acme", shopsim.DefaultClientID)); n == before {
			return fmt.Errorf("the token was not renewed since the API server was started anew")
		}
		return callShop(urls[0])
	})
	if !sim.ChainAlive("acme", shopsim.DefaultClientID) {
		t.Error("the grant is lost")
	}
	process.Eventually(t, func() error { // a renewal may be under way
		if left := g.cluster.mustKubectl(t, "", "get", "leases", "--namespace", namespace, "--output", "name"); left != "" {
			return fmt.Errorf("left over: %s", left)
		}
		return nil
	})
}

func callShop(u string) error {
	resp, err := (&http.Client{Timeout: patience}).Get(u)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.300s", resp.Status, b)
	}
	return err
}

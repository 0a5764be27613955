package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// shopify is a simulated Shopify with many shops.
type shopify struct {
	*shopsim.Sim
	url, caFile string
	life        time.Duration // of an offline token
	age         time.Duration // of those in a store that fillStore makes
}

// names are those of shops, n of them.
func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("shop-%04d", i))
	}
	return all
}

func newShopify(t testing.TB, settings shopsim.Settings, shops []string) *shopify {
	t.Helper()
	o := shopsim.Options{
		Apps:     []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes}},
		Settings: settings,
	}
	for _, name := range shops {
		o.Shops = append(o.Shops, shopsim.Shop{Domain: name, Name: "The shop " + name, Products: 1})
	}
	s := serveSim(t, shopsim.New(o))
	s.life = cmp.Or(settings.OfflineLife, time.Hour)
	return s
}

// serveSim has a simulated Shopify listen.
func serveSim(t testing.TB, sim *shopsim.Sim) *shopify {
	t.Helper()
	s := &shopify{Sim: sim, caFile: filepath.Join(t.TempDir(), "ca.pem"), life: time.Hour}
	server, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	s.url = server.URL
	write(t, s.caFile, string(server.CAPEM))
	return s
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace puts a text into the place of a file, as an editor does.
func replace(t testing.TB, path, text string) {
	t.Helper()
	write(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// shopsFile is the text of a file that names shops.
func shopsFile(shops []string, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "defaults:\n  client_id: %s\n  client_secret: %s\nshops:\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret)
	for _, name := range shops {
		fmt.Fprintf(&b, "  %s: {}\n", name)
	}
	if len(shops) == 0 {
		b.WriteString("  {}\n")
	}
	return b.String() + more
}

// sidecar is a running Evergate.
type sidecar struct {
	*process.Process
	url, admin string
	client     *http.Client
}

func start(t testing.TB, s *shopify, environ ...string) *sidecar {
	t.Helper()
	return startProgram(t, binary, s, environ...)
}

func startProgram(t testing.TB, program string, s *shopify, environ ...string) *sidecar {
	t.Helper()
	environ = append([]string{
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_FORMAT=json", "EVERGATE_CA_DIR=memory:",
		"EVERGATE_UPSTREAM_URL=" + s.url, "EVERGATE_UPSTREAM_CA_FILE=" + s.caFile, "HOME=" + t.TempDir(),
	}, environ...)
	p := process.Start(t, process.Command(t, program, environ, "serve"))
	c := &sidecar{Process: p, client: &http.Client{Timeout: process.Patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	t.Cleanup(c.client.CloseIdleConnections)
	c.admin = "http://" + p.AwaitLog(t, "listening for operators").Address
	c.url = "http://" + p.AwaitLog(t, "listening for tools").Address
	return c
}

// answer is what a call brought.
type answer struct {
	status int
	body   string
	code   string // X-Evergate-Error
}

func (a answer) String() string { return fmt.Sprintf("%d %s %.300s", a.status, a.code, a.body) }

func (c *sidecar) get(ctx context.Context, url, host string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	r.Host = host
	resp, err := c.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), resp.Header.Get("X-Evergate-Error")}, err
}

const shopJSON = "/admin/api/2026-10/shop.json"

// call asks for the shop's own record, by its name before the path.
func (c *sidecar) call(t testing.TB, name string) answer {
	t.Helper()
	a, err := c.get(t.Context(), c.url+"/"+name+".myshopify.com"+shopJSON, "")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// isOf reports whether an answer is the record of a shop.
func (a answer) isOf(name string) bool {
	var body struct {
		Shop struct {
			Domain string `json:"myshopify_domain"`
		} `json:"shop"`
	}
	return a.status == http.StatusOK && json.Unmarshal([]byte(a.body), &body) == nil && body.Shop.Domain == name+".myshopify.com"
}

func TestEveryShopIsCalledByItsName(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Settings{}, []string{"acme", "beta", "gamma"})
	file := filepath.Join(t.TempDir(), "shops.yaml")
	own := "127.0.0.1:" + process.FreePort(t)
	write(t, file, shopsFile([]string{"acme", "beta"}, "  gamma:\n    policy: read-only\n    listen: "+own+"\n"))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file)
	for _, tc := range []struct{ url, host, want, code string }{
		{c.url + "/acme.myshopify.com" + shopJSON, "", "acme", ""},
		{c.url + "/Beta.myshopify.com" + shopJSON, "localhost", "beta", ""},
		{c.url + shopJSON, "beta.localhost", "beta", ""},
		{c.url + shopJSON, "acme.myshopify.com", "acme", ""},
		{"http://" + own + shopJSON, "", "gamma", ""},
		{"http://" + own + shopJSON, "acme.localhost", "", "unknown_shop"},
		{c.url + shopJSON, "", "", "unknown_shop"},
		{c.url + shopJSON, "delta.localhost", "", "unknown_shop"},
		{c.url + "/delta.myshopify.com" + shopJSON, "", "", "unknown_shop"},
		{c.url + "/beta.myshopify.com" + shopJSON, "acme.localhost", "", "ambiguous_path"},
	} {
		a, err := c.get(t.Context(), tc.url, tc.host)
		if err != nil || a.code != tc.code || tc.want != "" && !a.isOf(tc.want) {
			t.Errorf("%s, host %q: %s, %v; want %q %s", tc.url, tc.host, a, err, tc.want, tc.code)
		}
	}
	resp, err := c.client.Post(c.url+"/gamma.myshopify.com/admin/api/2026-10/products.json", "application/json", strings.NewReader(`{"product":{"title":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if code := resp.Header.Get("X-Evergate-Error"); resp.StatusCode != http.StatusForbidden || code != "read_only" {
		t.Errorf("a change in the shop that may only be read: %s, %s", resp.Status, code)
	}
}

func TestAFileIsEditedUnderLoad(t *testing.T) {
	t.Parallel()
	all := names(40)
	s := newShopify(t, shopsim.Settings{TokenLife: 4 * time.Second}, all)
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, shopsFile(all[:20], ""))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file, "EVERGATE_PACE_MAX_WAIT=30s")
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, name := range all[:10] {
		load.Go(func() {
			for ctx.Err() == nil {
				a, err := c.get(ctx, c.url+"/"+name+".myshopify.com"+shopJSON, "")
				if ctx.Err() == nil && (err != nil || !a.isOf(name)) {
					t.Errorf("%s: %s, %v", name, a, err)
					return
				}
			}
		})
	}
	defer load.Wait()
	defer stop()
	replace(t, file, shopsFile(all, ""))
	process.Eventually(t, func() error {
		if a := c.call(t, all[39]); !a.isOf(all[39]) {
			return fmt.Errorf("the new shop: %s", a)
		}
		return nil
	})
	replace(t, file, "shops: [this is none\n")
	c.AwaitText(t, &c.Err, "a complaint", func(text string) bool { return strings.Contains(text, "EVERGATE_SHOPS_FILE") })
	if a := c.call(t, all[39]); !a.isOf(all[39]) {
		t.Errorf("a file with a mistake changes something: %s", a)
	}
	replace(t, file, shopsFile(all[:10], "  "+all[0]+"x: {policy: none}\n"))
	process.Eventually(t, func() error {
		if a := c.call(t, all[39]); a.code != "unknown_shop" {
			return fmt.Errorf("the shop that is gone: %s", a)
		}
		return nil
	})
}

// TestStoredShopsAreServed has a grant put into the store by somebody else.
func TestStoredShopsAreServed(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Settings{}, []string{"acme", "beta"})
	file, dir := filepath.Join(t.TempDir(), "shops.yaml"), filepath.Join(t.TempDir(), "store")
	write(t, file, shopsFile(nil, "stored: true\n"))
	environ := []string{"EVERGATE_SHOPS_FILE=" + file, "EVERGATE_STORE=file:" + dir}
	c := start(t, s, environ...)
	if a := c.call(t, "beta"); a.code != "unknown_shop" {
		t.Fatalf("before there is a grant: %s", a)
	}
	_, refresh := s.IssuePair("beta", shopsim.DefaultClientID)
	imported := process.Command(t, binary, []string{
		"SHOPIFY_SHOP=beta", "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret, "EVERGATE_GRANT=offline",
		"EVERGATE_STORE=file:" + dir, "EVERGATE_UPSTREAM_URL=" + s.url, "EVERGATE_UPSTREAM_CA_FILE=" + s.caFile, "SHOPIFY_REFRESH_TOKEN=" + refresh,
	}, "token", "import", "--yes")
	if code := process.Start(t, imported).Exit(t); code != 0 {
		t.Fatalf("token import: %d", code)
	}
	process.Eventually(t, func() error {
		if a := c.call(t, "beta"); !a.isOf("beta") {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	if a := c.call(t, "acme"); a.code != "unknown_shop" {
		t.Errorf("a shop without a grant: %s", a)
	}
}

// TestTokensOfShopsNeverMix calls three thousand shops at once, some with hostile names, and has Shopify say whose token each call had.
func TestTokensOfShopsNeverMix(t *testing.T) {
	t.Parallel()
	all := append(names(2990), "a", "aa", "a-", "a--a", "0", "00", "localhost", "evergate", "myshopify", "myshopify-com")
	s := newShopify(t, shopsim.Settings{}, all)
	var refused atomic.Int64
	s.OnAnswer(func(e shopsim.Entry) {
		if e.Status == http.StatusUnauthorized {
			refused.Add(1)
		}
	})
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, shopsFile(all, ""))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file, "EVERGATE_MAX_ACTIVE_SHOPS=500", "EVERGATE_MAX_RENEWALS=10000")
	work := make(chan string)
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for name := range work {
				a, err := c.get(t.Context(), c.url+"/"+name+".myshopify.com"+shopJSON, "")
				if err != nil || !a.isOf(name) {
					t.Errorf("%s: %s, %v", name, a, err)
				}
			}
		})
	}
	for round := range 2 {
		for i := range all {
			work <- all[(i*7+round)%len(all)]
		}
	}
	close(work)
	callers.Wait()
	// A call with the token of another shop would have got 401, and so been sent again.
	if n := refused.Load(); n > 0 {
		t.Errorf("%d calls were refused with 401", n)
	}
}

func TestADeadShopCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	dead := names(60)
	s := newShopify(t, shopsim.Settings{}, append(dead[:0:0], append(dead, "alive")...))
	file := filepath.Join(t.TempDir(), "shops.yaml")
	text := shopsFile([]string{"alive"}, "")
	for _, name := range dead {
		text += "  " + name + ": {client_secret: shpss_ffffffffffffffffffffffffffffffff}\n"
	}
	write(t, file, text)
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file)
	var callers sync.WaitGroup
	for _, name := range dead {
		callers.Go(func() {
			if a, err := c.get(t.Context(), c.url+"/"+name+".myshopify.com"+shopJSON, ""); err != nil || a.code != "no_token" {
				t.Errorf("%s: %s, %v", name, a, err)
			}
		})
	}
	for range 100 {
		if a := c.call(t, "alive"); !a.isOf("alive") {
			t.Errorf("%s", a)
		}
	}
	callers.Wait()
}

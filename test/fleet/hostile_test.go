package fleet

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
	"evergate/test/process"
)

const redisStoreKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// startRedis starts a Redis that keeps everything in its memory, and returns what EVERGATE_STORE is then.
func startRedis(t testing.TB) (spec string) {
	t.Helper()
	process.RequireProgram(t, "redis-server", "scripts/install-test-deps")
	port := process.FreePort(t)
	p := process.Start(t, process.Command(t, "redis-server", nil, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--daemonize", "no"))
	p.AwaitText(t, &p.Out, "a server that accepts connections", func(text string) bool {
		return strings.Contains(text, "Ready to accept connections")
	})
	return "redis://127.0.0.1:" + port
}

// owners are the shops of tokens.
type owners struct {
	mu    sync.Mutex
	all   map[string]string // the domain, by access token
	wrong []string
}

// sees notes a request that carried another shop's token, or one that nobody was given.
func (o *owners) sees(e shopsim.Entry) {
	if e.Token == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if owner := o.all[e.Token]; owner != e.Shop {
		o.wrong = append(o.wrong, fmt.Sprintf("%s %s was asked with the token of %q", e.Host, e.Path, owner))
	}
}

// fillShared stores a grant for each shop, as logins would.
func fillShared(t *testing.T, s *shopify, spec string, all []string) *owners {
	t.Helper()
	key, err := envelope.ParseKey(redisStoreKey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := store.OpenBackend(store.Options{Spec: spec, Keys: envelope.Keys{Current: key}, ClientID: shopsim.DefaultClientID, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	o := &owners{all: map[string]string{}}
	for _, name := range all {
		shop, err := token.ParseShop(name)
		if err != nil {
			t.Fatal(err)
		}
		place, err := b.Shop(shop)
		if err != nil {
			t.Fatal(err)
		}
		access, refresh := s.IssuePair(name, shopsim.DefaultClientID)
		o.all[access] = shop.Domain()
		now := time.Now()
		if _, err := place.Swap(t.Context(), "", token.Record{
			Shop: shop.Domain(), ClientID: shopsim.DefaultClientID, Grant: "offline", Epoch: "seed", Generation: 1, Writer: "the test",
			Current: token.Pair{Token: token.Token{Access: token.NewSecret(access), Issued: now, Life: s.life}, Refresh: token.NewSecret(refresh), RefreshExpires: now.AddDate(0, 0, 90)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// address is how a call names a shop.
type address struct{ host, target, want string } // want: the shop, or none

// waysTo are the ways to name a shop that the contract has.
func waysTo(name string) []address {
	full := name + ".myshopify.com"
	return []address{
		{"localhost", "/" + full + shopJSON, name},
		{name + ".localhost", shopJSON, name},
		{full, shopJSON, name},
		{"localhost", "/" + strings.ToUpper(full) + shopJSON, name},
		{strings.ToUpper(name) + ".LOCALHOST", shopJSON, name},
		{strings.ToUpper(full), shopJSON, name},
		{full + ".localhost", shopJSON, name},
		{"a.myshopify.com", "https://" + full + shopJSON, name}, // as RFC 9112 has it, Host says nothing then
	}
}

// disguises are names that look like that of one shop, or like those of two.
func disguises(name, other string) []string {
	full, others := name+".myshopify.com", other+".myshopify.com"
	return []string{
		full + "." + others, full + "-" + others, name + "." + others, "www." + full, full + ".", "." + full, name + "..myshopify.com",
		full + "x", "x" + full, full + ".example.com", full + "-x", name + ".myshopify.com.localhost." + others, name + ".myshopify.co",
		"_" + full, name + "_.myshopify.com", strings.Replace(full, "-", "_", 1), "-" + full, name + "-.myshopify.com",
		"ѕ" + full[1:], strings.Replace(full, "0", "О", 1), "xn--hop-0007-7ci.myshopify.com", strings.Replace(full, ".", "。", 1), strings.Replace(full, ".", "․", 1),
		"ſ" + full[1:], strings.Replace(full, "k", "\u212a", 1) + "\u200b", "%73" + full[1:], name + "%2emyshopify.com", full + "%2f" + others, full + "%00",
		full + "%20", full + "%2e", full + "%252e", full + "@" + others, full + ":443@" + others, full + ";" + others, full + "," + others, full + "\\" + others,
		full + "#" + others, "[" + full + "]", full + ":0x1bb", "*.myshopify.com", ".myshopify.com", "myshopify.com",
	}
}

// traps are calls that must get nothing, or nothing but what their want says.
func traps(name, other string) []address {
	full, others := name+".myshopify.com", other+".myshopify.com"
	all := []address{
		{others, "/" + full + shopJSON, ""}, {other + ".localhost", "/" + full + shopJSON, ""}, {"localhost", "/" + full + ".localhost" + shopJSON, ""},
		{"localhost", "/" + full + "/../" + others + shopJSON, ""}, {"localhost", "/" + full + "/%2e%2e/" + others + shopJSON, ""},
		{"localhost", "/" + full + "/" + others + shopJSON, ""}, {"localhost", "//" + full + shopJSON, ""}, {"localhost", "/%2f" + full + shopJSON, ""},
		{"localhost", "/./" + full + shopJSON, ""}, {"localhost", "\\" + full + shopJSON, ""}, {"localhost", "/admin/" + full + shopJSON, ""},
		{"localhost", shopJSON + "?shop=" + full, ""}, {"localhost", "/?shop=" + full, ""},
	}
	for _, disguise := range disguises(name, other) {
		all = append(all, address{"localhost", "/" + disguise + shopJSON, ""}, address{disguise, shopJSON, ""},
			address{strings.TrimSuffix(disguise, ".myshopify.com") + ".localhost", shopJSON, ""})
	}
	return all
}

// raw sends a request as it is: a client of net/http would mend it, or refuse to.
func (c *sidecar) raw(t *testing.T, a address) (answer, error) {
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(process.Patience))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", a.target, a.host); err != nil {
		return answer{}, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), resp.Header.Get("X-Evergate-Error")}, err
}

// isRefused reports whether Evergate itself says that no shop is meant, or none that it can tell. What is no HTTP has no code.
func (a answer) isRefused() bool {
	switch a.status {
	case http.StatusBadRequest:
		return true
	case http.StatusNotFound, http.StatusMisdirectedRequest:
		return a.code != ""
	}
	return a.code == "denied_path" // what follows the first shop is no path of the API
}

// TestStoredTokensOfShopsNeverMix has the grants of three thousand shops in a shared store, and calls them by their names and by
// names that look like theirs. Shopify says whose token each call had.
func TestStoredTokensOfShopsNeverMix(t *testing.T) {
	t.Parallel()
	all := append(names(2990), "a", "aa", "a-", "a--a", "0", "00", "localhost", "myshopify", "myshopify-com", "shop-0007-myshopify-com")
	s := newShopify(t, shopsim.Settings{}, all)
	spec := startRedis(t)
	tokens := fillShared(t, s, spec, all)
	s.OnAnswer(tokens.sees)
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, shopsFile(nil, "stored: true\n"))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file, "EVERGATE_STORE="+spec, "EVERGATE_STORE_KEY="+redisStoreKey, "EVERGATE_MAX_ACTIVE_SHOPS=500")
	var calls []address
	for i, name := range all {
		ways := waysTo(name)
		calls = append(calls, ways[i%len(ways)], ways[(i+1)%len(ways)])
		if i%100 == 7 {
			calls = append(calls, traps(name, all[(i*7+1)%len(all)])...)
		}
	}
	work := make(chan address)
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for call := range work {
				a, err := c.raw(t, call)
				if err != nil || call.want != "" && !a.isOf(call.want) || call.want == "" && !a.isRefused() {
					t.Errorf("host %q, target %q, of %q: %s, %v", call.host, call.target, call.want, a, err)
				}
			}
		})
	}
	for i := range calls {
		work <- calls[i*7919%len(calls)] // neighbours are not called one after the other
	}
	close(work)
	callers.Wait()
	for _, text := range tokens.wrong {
		t.Error(text)
	}
}

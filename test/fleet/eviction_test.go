package fleet

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/shopsim"
)

// posts counts the requests for a token by shop.
type posts struct {
	mu sync.Mutex
	of map[string]int
}

func countPosts(s *shopify) *posts {
	p := &posts{of: map[string]int{}}
	s.OnAnswer(func(e shopsim.Entry) {
		if e.Route == "token" {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.of[e.Shop]++
		}
	})
	return p
}

func (p *posts) count(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[name+".myshopify.com"]
}

// TestShopsThatFailCostNothingWhenTheyTakeEachOthersPlace has one place for three shops: one whose grant is dead, one whose token endpoint
// asks for a pause, and one that works.
func TestShopsThatFailCostNothingWhenTheyTakeEachOthersPlace(t *testing.T) {
	t.Parallel()
	all := []string{"dead", "away", "fine"}
	s := newShopify(t, shopsim.Settings{}, all)
	dir, file := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "shops.yaml")
	s.age = 2 * time.Hour
	fillStore(t, s, dir, all, len(all))
	write(t, file, shopsFile(nil, "stored: true\n"))
	s.EndChain("dead", shopsim.DefaultClientID)
	s.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: http.StatusServiceUnavailable, RetryAfter: "120", Endpoint: shopsim.TokenEndpoint, Shop: "away"})
	counted := countPosts(s)
	environ := []string{"EVERGATE_SHOPS_FILE=" + file, "EVERGATE_STORE=file:" + dir, "EVERGATE_MAX_ACTIVE_SHOPS=1"}
	c := start(t, s, environ...)
	rounds := func(c *sidecar) {
		t.Helper()
		for range 10 {
			for _, name := range []string{"dead", "away"} {
				if a := c.call(t, name); a.code != "no_token" {
					t.Fatalf("%s: %s", name, a)
				}
			}
			if a := c.call(t, "fine"); !a.isOf("fine") {
				t.Fatal(a)
			}
		}
	}
	rounds(c)
	for _, name := range all {
		if n := counted.count(name); n != 1 {
			t.Errorf("%s: %d requests for a token", name, n)
		}
	}
	rounds(start(t, s, environ...)) // another replica, which has the verdict from the store
	if n := counted.count("dead"); n != 1 {
		t.Errorf("another replica asked for a token of the dead shop: %d requests", n)
	}
}

// TestWhatOneShopCannotHaveCostsTheOthersNothing has a record that cannot be read, and names that are longer than a shop's.
func TestWhatOneShopCannotHaveCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	all := []string{"broken", "fine"}
	s := newShopify(t, shopsim.Settings{}, all)
	dir, file := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "shops.yaml")
	fillStore(t, s, dir, all, len(all))
	write(t, filepath.Join(dir, "broken.myshopify.com.json"), "{")
	write(t, file, shopsFile(nil, "stored: true\nlogin: ['*']\n"))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file, "EVERGATE_STORE=file:"+dir)
	ready := func(name string) {
		t.Helper()
		if a, err := c.get(t.Context(), c.admin+"/readyz", ""); err != nil || a.status != http.StatusOK {
			t.Errorf("after a call for %.20s: /readyz: %s, %v", name, a, err)
		}
	}
	for range 3 {
		if a := c.call(t, "broken"); a.code != "no_token" {
			t.Errorf("broken: %s", a)
		}
		ready("broken")
		for _, n := range []int{64, 200, 240, 5000, 60_000} { // longer than a name in the DNS, than one of a file, than any
			name := strings.Repeat("x", n)
			if a := c.call(t, name); a.status != http.StatusNotFound {
				t.Errorf("%d bytes: %s", n, a)
			}
			ready(name)
		}
		if a := c.call(t, strings.Repeat("x", 63)); a.code != "unknown_shop" {
			t.Errorf("63 bytes: %s", a)
		}
		if a := c.call(t, "fine"); !a.isOf("fine") {
			t.Error(a)
		}
	}
}

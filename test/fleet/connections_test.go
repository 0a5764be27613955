package fleet

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"evergate/internal/shopsim"
)

// wayOut is a forward proxy that leads every name to the simulator, and says for which names tunnels were asked.
type wayOut struct {
	*httptest.Server
	mu      sync.Mutex
	tunnels map[string]int
}

func newWayOut(t *testing.T, s *shopify) *wayOut {
	t.Helper()
	w := &wayOut{tunnels: map[string]int{}}
	target := strings.TrimPrefix(s.url, "https://")
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.tunnels[strings.TrimSuffix(r.Host, ":443")]++
		w.mu.Unlock()
		there, err := net.Dial("tcp", target)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		here, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			_ = there.Close()
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			defer there.Close()
			_, _ = io.Copy(there, here)
		}()
		go func() {
			defer here.Close()
			_, _ = io.Copy(here, there)
		}()
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *wayOut) asked() (names []string, tunnels int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.tunnels {
		tunnels += n
	}
	return slices.Sorted(maps.Keys(w.tunnels)), tunnels
}

func TestShopsShareConnectionsToShopify(t *testing.T) {
	t.Parallel()
	all := names(40)
	s := newShopify(t, shopsim.Settings{}, all)
	way := newWayOut(t, s)
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, shopsFile(all, ""))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file, "EVERGATE_UPSTREAM_URL=https://{shop}", "EVERGATE_UPSTREAM_PROXY="+way.URL)
	for _, name := range all {
		if a := c.call(t, name); !a.isOf(name) {
			t.Fatalf("%s: %v", name, a)
		}
	}
	// One shop's token is asked for before it is known that a connection may be shared.
	if asked, n := way.asked(); n > 8 || len(asked) > 2 || asked[0] != all[0]+".myshopify.com" {
		t.Errorf("%d tunnels for %d shops, to %v", n, len(all), asked)
	}
}

func TestAnEdgeThatTakesNoSharedConnectionCostsNoRequest(t *testing.T) {
	t.Parallel()
	all := names(12)
	s := newShopify(t, shopsim.Settings{ExactTLS: true}, all)
	way := newWayOut(t, s)
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, shopsFile(all, ""))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file, "EVERGATE_UPSTREAM_URL=https://{shop}", "EVERGATE_UPSTREAM_PROXY="+way.URL)
	for range 2 {
		for _, name := range all {
			if a := c.call(t, name); !a.isOf(name) {
				t.Fatalf("%s: %v", name, a)
			}
		}
	}
	if asked, _ := way.asked(); len(asked) != len(all) {
		t.Errorf("tunnels to %v", asked)
	}
	misdirected := 0
	for _, e := range s.Journal() {
		if e.Status == http.StatusMisdirectedRequest {
			misdirected++
		}
	}
	if misdirected == 0 || misdirected > 3 {
		t.Errorf("%d requests were refused before connections were kept apart", misdirected)
	}
}

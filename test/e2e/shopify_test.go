package e2e

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// api is where the Admin API's paths begin.
const api = "/admin/api/2026-10"

// shopify is a simulated Shopify with one shop, served over TLS.
type shopify struct {
	*shopsim.Sim
	url, caFile string

	mu     sync.Mutex
	minted []string
}

// shopOptions says what the shop is like; the zero value is one with Shopify's own limits.
type shopOptions struct {
	shopsim.Settings
	products int
	// redirect, if set, is where the authorize page may send the browser.
	redirect string
	// around sees each request before the simulator does.
	around func(http.Handler) http.Handler
}

func newShopify(t *testing.T, o shopOptions) *shopify {
	t.Helper()
	app := shopsim.App{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret}
	if o.redirect != "" {
		app.RedirectURLs = []string{o.redirect}
	}
	s := &shopify{Sim: shopsim.New(shopsim.Options{
		Apps:     []shopsim.App{app},
		Shops:    []shopsim.Shop{{Domain: shopsim.DefaultShop, Products: o.products}},
		Settings: o.Settings,
	})}
	s.OnToken(func(e shopsim.TokenEvent) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.minted = append(s.minted, e.Token)
	})
	handler := s.Handler()
	if o.around != nil {
		handler = o.around(handler)
	}
	s.serve(t, handler)
	return s
}

func (s *shopify) serve(t *testing.T, handler http.Handler) {
	t.Helper()
	ca, err := shopsim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.ServerConfig()
	if err != nil {
		t.Fatal(err)
	}
	s.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.caFile, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // broken connections are the point of many tests
	// Whatever is being held up ends with the test.
	server.Config.BaseContext = func(net.Listener) context.Context { return t.Context() }
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.url = server.URL
}

// environ is what a sidecar in front of this shop is configured with.
func (s *shopify) environ(more ...string) []string {
	return append([]string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop,
		"SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID,
		"SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + s.url,
		"EVERGATE_UPSTREAM_CA_FILE=" + s.caFile,
		"EVERGATE_LISTEN=127.0.0.1:0",
		"EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
		"EVERGATE_LOG_FORMAT=json",
		"EVERGATE_TOKEN_WAIT=20s", // a loaded machine is no reason for a request to fail
	}, more...)
}

// tokens are all that the token endpoint ever handed out.
func (s *shopify) tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.minted...)
}

// answered counts the API's answers with a status, over all routes but the token endpoint.
func (s *shopify) answered(status int) (n int) {
	for route, byStatus := range s.Stats().Routes {
		if route != "token" {
			n += byStatus[status]
		}
	}
	return n
}

// lastCall is the latest request to the API.
func (s *shopify) lastCall(t *testing.T) shopsim.Entry {
	t.Helper()
	journal := s.Journal()
	for i := len(journal) - 1; i >= 0; i-- {
		if journal[i].Route != "token" {
			return journal[i]
		}
	}
	t.Fatal("no request reached the API")
	return shopsim.Entry{}
}

// wide are limits that no test reaches.
func wide(life time.Duration) shopsim.Settings {
	return shopsim.Settings{TokenLife: life, RESTSize: 1e6, RESTLeak: 1e6, GraphQLSize: 1e8, GraphQLRestore: 1e8}
}

// gate holds some of the requests to Shopify until it is opened.
type gate struct {
	holds   func(*http.Request) bool
	entered chan struct{} // receives one element for each request that is being held
	opened  chan struct{}
	open    func()
}

func newGate(holds func(*http.Request) bool) *gate {
	g := &gate{holds: holds, entered: make(chan struct{}, 1000), opened: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.opened) })
	return g
}

func (g *gate) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.holds(r) {
			g.entered <- struct{}{}
			select {
			case <-g.opened:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// awaitOne waits until a request is being held.
func (g *gate) awaitOne(t *testing.T) {
	t.Helper()
	process.Await(t, "a request at the gate", g.entered)
}

func isTokenPost(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/oauth/access_token") }

func isAPICall(r *http.Request) bool { return !isTokenPost(r) }

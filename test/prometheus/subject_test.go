package prometheus

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
	"evergate/test/process"
)

// shop is a simulated Shopify with one shop, which can go away altogether.
type shop struct {
	*shopsim.Sim
	url, caFile string
	away        atomic.Bool
}

func newShop(t *testing.T, sc scenario) *shop {
	t.Helper()
	settings := sc.settings
	if !sc.narrow {
		settings = wide(settings)
	}
	s := &shop{Sim: shopsim.New(shopsim.Options{Settings: settings, Versions: served, AnyShop: sc.fleet != ""}), caFile: filepath.Join(t.TempDir(), "ca.pem")}
	ca, err := shopsim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.caFile, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.away.Load() {
			panic(http.ErrAbortHandler)
		}
		s.Handler().ServeHTTP(w, r)
	}))
	if front.TLS, err = ca.ServerConfig(); err != nil {
		t.Fatal(err)
	}
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // broken connections are the point
	front.Config.BaseContext = func(net.Listener) context.Context { return t.Context() }
	front.StartTLS()
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
	s.url = front.URL
	return s
}

// subject is one Evergate with its shop and its tools.
type subject struct {
	scenario
	t       *testing.T
	shop    *shop
	dir     string // of the store
	process *process.Process
	admin   string // address
	at      atomic.Pointer[string]
	version atomic.Pointer[string]
}

func newSubject(t *testing.T, sc scenario) *subject {
	t.Helper()
	s := &subject{scenario: sc, t: t, shop: newShop(t, sc), dir: filepath.Join(t.TempDir(), "store")}
	if sc.offline {
		s.store(sc.aged)
	}
	if sc.permanent {
		s.environ = []string{"SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_ACCESS_TOKEN=" + s.shop.IssueToken("", "", 0)}
	}
	if sc.fleet != "" {
		s.dir = filepath.Join(t.TempDir(), sc.fleet)
		s.serveMany(s.dir)
	}
	s.version.Store(&current)
	if sc.late {
		sc.fail(s)
	}
	s.start()
	return s
}

// lostStore is the name of a file where a directory of grants should be.
const lostStore = "lost"

// serveMany has it serve the shops of a file and of a store, beside its own.
func (s *subject) serveMany(place string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "shops.yaml")
	text := "defaults:\n  client_id: " + shopsim.DefaultClientID + "\n  client_secret: " + shopsim.DefaultClientSecret + "\n  grant: offline\nstored: true\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if filepath.Base(place) == lostStore {
		if err := os.WriteFile(place, nil, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, name := range s.others() {
		s.storeOf(name, 0)
	}
	s.environ = append(s.environ, "EVERGATE_SHOPS_FILE="+file, "EVERGATE_STORE=file:"+place)
}

// others are the shops of a fleet that have a grant in its store.
func (s *subject) others() (names []string) {
	for i := range s.stored {
		names = append(names, fmt.Sprintf("shop-%02d.myshopify.com", i))
	}
	return names
}

// rollBack has the store hold again what it held before the last renewal.
func (s *subject) rollBack() {
	s.t.Helper()
	path := filepath.Join(s.dir, shopsim.DefaultShop+".json")
	before, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.renew()
	if err := os.WriteFile(path+".backup", before, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".backup", path); err != nil {
		s.t.Fatal(err)
	}
	s.renew() // for which it reads the store
}

// store puts a new grant into the store, as a login would. Its access token is as old as
// said; zero: there is only a refresh token.
func (s *subject) store(age time.Duration) {
	s.t.Helper()
	s.storeOf(shopsim.DefaultShop, age)
}

func (s *subject) storeOf(domain string, age time.Duration) {
	s.t.Helper()
	name, err := token.ParseShop(domain)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	dir, err := store.OpenDir(s.dir, name, envelope.Keys{})
	if err != nil {
		s.t.Fatal(err)
	}
	access, refresh := s.shop.IssuePair(domain, "")
	pair := token.Pair{Refresh: token.NewSecret(refresh)}
	if age > 0 {
		pair.Token = token.Token{Access: token.NewSecret(access), Issued: time.Now().Add(-age), Life: time.Hour}
	}
	err = store.Replace(s.t.Context(), dir, func(token.Record) (token.Record, error) {
		return token.Record{Shop: domain, ClientID: shopsim.DefaultClientID, Grant: "offline", Current: pair}, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *subject) start() {
	s.t.Helper()
	environ := []string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + s.shop.url, "EVERGATE_UPSTREAM_CA_FILE=" + s.shop.caFile,
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_FORMAT=json", "EVERGATE_TOKEN_WAIT=1s",
		"EVERGATE_CA_DIR=memory:",
	}
	if s.offline {
		environ = append(environ, "EVERGATE_GRANT=offline", "EVERGATE_STORE=file:"+s.dir)
	}
	s.process = process.Start(s.t, process.Command(s.t, binary, append(environ, s.environ...), "serve"))
	at := s.process.AwaitLog(s.t, "listening for tools").Address
	s.admin = s.process.AwaitLog(s.t, "listening for operators").Address
	s.at.Store(&at)
	process.Fetch(s.t, "http://"+s.admin+"/ca.pem") // it is made when it is needed
}

// restart ends it as an operator would and starts it again. It then has other ports.
func (s *subject) restart() {
	s.t.Helper()
	_ = s.process.Cmd.Process.Signal(os.Interrupt) // it may have ended already
	s.process.Exit(s.t)
	s.start()
}

// renew asks for a token now, of the shop that a query names. That it may not get one is part of many scenarios.
func (s *subject) renew(query ...string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.admin+"/-/refresh"+strings.Join(query, ""), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// work lets its tools call until ctx ends.
func (s *subject) work(ctx context.Context, group *sync.WaitGroup) {
	if s.tools == 0 {
		group.Go(func() { s.call(ctx, 100*time.Millisecond) })
	}
	for range s.tools {
		group.Go(func() { s.call(ctx, time.Millisecond) })
	}
}

// call makes one call after the other, of every kind in turn. What becomes of them is not
// of interest here.
func (s *subject) call(ctx context.Context, pause time.Duration) {
	tool := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	defer tool.CloseIdleConnections()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		method, body, base := http.MethodGet, "", "http://"+*s.at.Load()
		path := "/admin/api/" + *s.version.Load() + "/shop.json"
		switch i % 8 {
		case 1, 3, 5:
			method, body, path = http.MethodPost, `{"query":"{shop{name}}"}`, strings.Replace(path, "shop.json", "graphql.json", 1)
		case 4:
			path = strings.Replace(path, "shop.json", "products.json", 1) // which Shopify calls deprecated
		case 6:
			path = "/admin/oauth/access_token" // not admitted
		}
		req, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		if s.fleet != "" {
			req.Host = shopsim.DefaultShop
		}
		if resp, err := tool.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
}

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
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

// TestAPendingLoginOutlivesAThousandOfStrangers begins a login, has others begin theirs, and ends it.
func TestAPendingLoginOutlivesAThousandOfStrangers(t *testing.T) {
	t.Parallel()
	const public = "login.example.com"
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour), redirect: "https://" + public + "/oauth/callback"})
	p := start(t, shop.environ("EVERGATE_GRANT=offline", "EVERGATE_STORE=file:"+filepath.Join(t.TempDir(), "store"),
		"EVERGATE_PUBLIC_URL=https://"+public, "EVERGATE_LOGIN_LISTEN=127.0.0.1:0"), "serve")
	s := &sidecar{Process: p, admin: "http://" + p.AwaitLog(t, "listening for operators").Address, client: newClient(t, "", "")}
	s.client.Transport.(*http.Transport).TLSClientConfig = shop.trusted(t)
	merchants := "http://" + p.AwaitLog(t, "listening for merchants").Address
	visit := func(method, url, host, body string, header ...string) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		a, err := read(resp)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	begun := visit(http.MethodGet, merchants+"/oauth/start", public, "")
	cookie, _, _ := strings.Cut(begun.header.Get("Set-Cookie"), ";")
	authorize, err := url.Parse(begun.header.Get("Location"))
	if err != nil || cookie == "" || authorize.Host != shopsim.DefaultShop {
		t.Fatalf("%s, cookie %q, to %v, %v", begun, cookie, authorize, err)
	}
	for range 1000 {
		if a := visit(http.MethodGet, merchants+"/oauth/start", public, ""); a.status/100 != 3 {
			t.Fatalf("a stranger: %s", a)
		}
	}
	sent := visit(http.MethodPost, shop.url+authorize.RequestURI(), authorize.Host, "decision=install", "Content-Type", "application/x-www-form-urlencoded")
	back, err := url.Parse(sent.header.Get("Location"))
	if err != nil || back.Host != public {
		t.Fatalf("%s, to %v, %v", sent, back, err)
	}
	mustStatus(t, visit(http.MethodGet, merchants+back.RequestURI(), public, "", "Cookie", cookie), http.StatusOK)
	s.awaitReady(t)
}

// trusted is for a client that calls the shop itself.
func (s *shopify) trusted(t *testing.T) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(s.caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, ServerName: shopsim.DefaultShop, MinVersion: tls.VersionTLS12}
}

// TestACallerWithANameGetsItsShareBesideAFlood has one connection beside 300 of somebody without a name.
func TestACallerWithANameGetsItsShareBesideAFlood(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: shopsim.Settings{TokenLife: time.Hour, RESTSize: 400, RESTLeak: 20, GraphQLSize: 1e8, GraphQLRestore: 1e8}})
	file := filepath.Join(t.TempDir(), "keys")
	key := makeKey(t, file, "erp")
	s := shop.readySidecar(t, "EVERGATE_CLIENT_KEYS_FILE="+file)
	s.client.Timeout = time.Minute
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	shop.DrainBuckets("", "")
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK) // so Evergate knows that the bucket is full, and who comes now waits
	var stop atomic.Bool
	var flood sync.WaitGroup
	defer flood.Wait()
	defer stop.Store(true)
	for range 300 {
		flood.Go(func() {
			for !stop.Load() {
				_, _ = exchange(t.Context(), s.client, http.MethodGet, s.url+api+"/shop.json", "")
			}
		})
	}
	process.Eventually(t, func() error { // all of it waits
		return atLeast(int(s.metric(t, "evergate_requests_in_flight")), 300, "requests")
	})
	// With several at a time one of its calls waits in the queue however busy the machine is.
	const each, atATime = 20, 4
	var named sync.WaitGroup
	before := shop.answered(http.StatusOK)
	for range atATime {
		named.Go(func() {
			for range each {
				a, err := sendTo(t, s.client, s.url, http.MethodGet, api+"/shop.json", "", "X-Shopify-Access-Token", key)
				if err != nil || a.status != http.StatusOK {
					t.Errorf("%s %v", a, err)
				}
			}
		})
	}
	named.Wait()
	const calls = each * atATime
	if all := shop.answered(http.StatusOK) - before; calls*100 < 40*all {
		t.Errorf("of %d calls that Shopify answered %d were the caller's with a name, want half", all, calls)
	}
}

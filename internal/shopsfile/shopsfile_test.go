package shopsfile

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/listen"
	"evergate/internal/token"
)

const (
	clientID = "0123456789abcdef0123456789abcdef"
	secret   = "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"
)

func shopOf(t testing.TB, name string) token.Shop {
	t.Helper()
	s, err := token.ParseShop(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// place is a directory with the files that the examples name.
func place(t testing.TB, files map[string]string) Options {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Options{Path: filepath.Join(dir, "shops.yaml")}
}

const contract = `defaults:                        # what a shop does not say itself
  client_id: 0123456789abcdef0123456789abcdef
  client_secret_file: app
shops:
  acme: {}                       # client credentials, by the defaults
  beta:
    grant: offline               # as EVERGATE_GRANT
    scopes: [read_products]
  gamma.myshopify.com:
    grant: static
    access_token_file: gamma
    policy: read-only            # as EVERGATE_POLICY
    listen: 127.0.0.1:8081       # a listener of its own
stored: true                     # and every shop that has a grant in EVERGATE_STORE
`

func TestTheContract(t *testing.T) {
	t.Parallel()
	o := place(t, map[string]string{"app": secret + "\n", "gamma": "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"})
	for name, text := range map[string]string{"as it is": contract, "with a mark": "\uFEFF" + contract, "with CRLF": strings.ReplaceAll(contract, "\n", "\r\n"), "marked as a document": "---\n" + contract + "...\n"} {
		f, err := Parse([]byte(text), o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		acme, ok := f.Shop(shopOf(t, "acme"))
		if id, s, err := acme.Client(); !ok || err != nil || id != clientID || s.Reveal() != secret {
			t.Errorf("%s: acme: %v %v %v", name, ok, id, err)
		}
		if acme.Grant != config.GrantClientCredentials || !acme.Inferred || acme.Scopes != nil || acme.Policy != "" {
			t.Errorf("%s: acme: %+v", name, acme)
		}
		beta, ok := f.Shop(shopOf(t, "beta"))
		if !ok || beta.Grant != config.GrantOffline || beta.Inferred || !slices.Equal(beta.Scopes, []string{"read_products"}) {
			t.Errorf("%s: beta: %+v", name, beta)
		}
		gamma, ok := f.Shop(shopOf(t, "gamma"))
		if s, err := gamma.StaticToken(); !ok || err != nil || !s.HasPrefix("shpat_00") || gamma.Grant != config.GrantStatic || gamma.Policy != "read-only" {
			t.Errorf("%s: gamma: %+v %v", name, gamma, err)
		}
		if want := (listen.Address{Network: "tcp", Address: "127.0.0.1:8081", Shop: shopOf(t, "gamma")}); !slices.Equal(gamma.Listen, []listen.Address{want}) {
			t.Errorf("%s: gamma listens on %v", name, gamma.Listen)
		}
		if delta, ok := f.StoredShop(shopOf(t, "delta")); !ok || delta.Grant != config.GrantOffline || delta.Name != shopOf(t, "delta") {
			t.Errorf("%s: a stored shop: %+v %v", name, delta, ok)
		}
		if _, ok := f.Shop(shopOf(t, "delta")); ok || len(f.Shops) != 3 {
			t.Errorf("%s: %d shops, delta among them: %v", name, len(f.Shops), ok)
		}
	}
}

func TestARotatedSecretNeedsNoRestart(t *testing.T) {
	t.Parallel()
	o := place(t, map[string]string{"app": secret, "gamma": "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"})
	f, err := Parse([]byte(contract), o)
	if err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(filepath.Dir(o.Path), "app")
	if err := os.WriteFile(app, []byte("shpss_00000000000000000000000000000001"), 0o600); err != nil {
		t.Fatal(err)
	}
	acme, _ := f.Shop(shopOf(t, "acme"))
	if _, s, err := acme.Client(); err != nil || !strings.HasSuffix(s.Reveal(), "01") {
		t.Errorf("after a rotation: %v", err)
	}
	if err := os.Remove(app); err != nil {
		t.Fatal(err)
	}
	if _, _, err := acme.Client(); err == nil || !strings.Contains(err.Error(), "client_secret_file") {
		t.Errorf("without the file: %v", err)
	}
}

// head is defaults that are right, on three lines.
const head = "defaults:\n  client_id: " + clientID + "\n  client_secret: " + secret + "\n"

func TestScalarsStayWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"0123", "1e5", "0x1f", "1_000", "1.10", "true", "yes", "2026-11-28", "12:30:45", "0o17", ".5", "+12", `"0123"`, "'1e5'", "!!str 017", "|\n      0123", ">-\n      1e5", "&a 007"} {
		f, err := Parse([]byte("shops:\n  acme:\n    client_secret: "+secret+"\n    client_id: "+value+"\n"), Options{Path: "x"})
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		id, _, _ := f.Shops[0].Client()
		fields := strings.Fields(value)
		if want := strings.Trim(fields[len(fields)-1], `"'`); id != want {
			t.Errorf("%s became %s", value, id)
		}
	}
	for name, want := range map[string]string{"0123": "0123", "1e5": "1e5", "true": "true", "'7'": "7", "0x10": "0x10", "2026-11-28": "2026-11-28"} {
		f, err := Parse([]byte(head+"shops: {"+name+": {}}"), Options{Path: "x"})
		if err != nil || f.Shops[0].Name.Handle() != want {
			t.Errorf("the shop %s: %v", name, err)
		}
	}
}

func TestNothingIsAnEmptyMapping(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"shops:\n  acme:\n", "shops: {acme: }", "shops: {acme: ~}", "shops: {acme: null}", "shops: {acme}", "shops:\n  acme: {}\n", "shops:\n  ACME.MyShopify.com:\n"} {
		f, err := Parse([]byte(head+text), Options{Path: "x"})
		if err != nil || len(f.Shops) != 1 || f.Shops[0].Grant != config.GrantClientCredentials {
			t.Errorf("%q: %v", text, err)
		}
	}
	if f, err := Parse([]byte(head+"shops:\nstored: true\n"), Options{Path: "x"}); err != nil || len(f.Shops) != 0 || !f.Stored {
		t.Errorf("stored alone: %v", err)
	}
}

func TestOwnSettingsComeBeforeDefaults(t *testing.T) {
	t.Parallel()
	o := place(t, map[string]string{"other": "shpss_1"})
	f, err := Parse([]byte(`defaults: {client_id: a1, client_secret: shpss_0, grant: offline, scopes: "read_a, read_b", policy: none}
shops:
  one: {client_secret_file: other, policy: full, scopes: []}
  two: {client_id: b2, grant: client_credentials, client_secret_previous: shpss_2}
  three: &three {refresh_token: shprt_1, grant: auto}
  four: *three
`), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ shop, id, secret, grant, policy, scopes, seed, other string }{
		{"one", "a1", "shpss_1", "offline", "full", "", "", ""},
		{"two", "b2", "shpss_0", "client_credentials", "none", "read_a,read_b", "", "shpss_2"},
		{"three", "a1", "shpss_0", "offline", "none", "read_a,read_b", "shprt_1", ""},
		{"four", "a1", "shpss_0", "offline", "none", "read_a,read_b", "shprt_1", ""},
	} {
		s, _ := f.Shop(shopOf(t, c.shop))
		id, secret, _ := s.Client()
		seed, _ := s.RefreshSeed()
		other, _ := s.OtherSecret()
		if got := strings.Join([]string{id, secret.Reveal(), s.Grant, s.Policy, strings.Join(s.Scopes, ","), seed.Reveal(), other.Reveal()}, " "); got != strings.Join([]string{c.id, c.secret, c.grant, c.policy, c.scopes, c.seed, c.other}, " ") {
			t.Errorf("%s: %s", c.shop, got)
		}
	}
}

func TestMayLogin(t *testing.T) {
	t.Parallel()
	text := head + "stored: true\nlogin: [acme-*, '*-test-*', Exact.myshopify.com]\nshops: {listed: {}, fixed: {grant: static, access_token: shpat_1}}\n"
	f, err := Parse([]byte(text), Options{Path: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"acme-1": true, "acme-": true, "acme": false, "x-acme-1": false, "a-test-b": true, "-test-": false, "a-test": false, "exact": true, "exactly": false, "listed": true, "fixed": false, "other": false} {
		shop, err := token.ParseShop(name)
		if got := f.MayLogin(shop); got != want && err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	any, err := Parse([]byte(head+"stored: true\nlogin: '*'\n"), Options{Path: "x"})
	if err != nil || !any.MayLogin(shopOf(t, "whoever")) {
		t.Errorf("*: %v", err)
	}
	if none, err := Parse([]byte(head+"stored: true\n"), Options{Path: "x"}); err != nil || none.MayLogin(shopOf(t, "whoever")) {
		t.Errorf("no pattern lets anybody in: %v", err)
	}
}

// Parsed as a whole in seconds would be felt at each start and each change.
func TestFiftyThousandShops(t *testing.T) {
	t.Parallel()
	const shops = 50_000
	text := fleet(shops)
	began := time.Now()
	f, err := Parse(text, Options{Path: "x"})
	if err != nil || len(f.Shops) != shops {
		t.Fatal(err)
	}
	t.Logf("%d bytes in %v", len(text), time.Since(began))
	if f.Shops[0].Settings != f.Shops[2].Settings || f.Shops[1].Settings != f.Shops[3].Settings {
		t.Error("shops that say the same do not share their settings")
	}
	if s, ok := f.Shop(shopOf(t, "shop-049999")); !ok || s.Scopes == nil {
		t.Errorf("the last one: %+v %v", s, ok)
	}
	runtime.KeepAlive(f)
}

func TestMemoryPerShop(t *testing.T) {
	const shops, most = 20_000, 96
	text := fleet(shops)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := Parse(text, Options{Path: "x"})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / shops; each > most {
		t.Errorf("%d bytes for each shop, at most %d are wanted", each, most)
	} else {
		t.Logf("%d bytes for each shop", each)
	}
	runtime.KeepAlive(f)
	runtime.KeepAlive(text)
}

// fleet is a file of which every other shop has settings that it shares with its like.
func fleet(shops int) []byte {
	var b strings.Builder
	b.WriteString(head + "shops:\n")
	for i := range shops {
		if i%2 == 0 {
			fmt.Fprintf(&b, "  shop-%06d.myshopify.com: {}\n", i)
		} else {
			fmt.Fprintf(&b, "  shop-%06d:\n    grant: offline\n    scopes: [read_products, write_orders]\n", i)
		}
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	text := fleet(50_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text, Options{Path: "x"}); err != nil {
			b.Fatal(err)
		}
	}
}

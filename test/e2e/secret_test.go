package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// wrongSecret is what the app's secret is taken for at first.
const wrongSecret = "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"

// record keeps every answer, header and body, that comes through it.
type record struct {
	process.Tape
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (r *record) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	dump, err := httputil.DumpResponse(resp, true)
	if err != nil {
		return nil, err
	}
	_, _ = r.Write(dump)
	return resp, nil
}

func (r *record) note(parts ...string) { _, _ = r.Write([]byte(strings.Join(parts, "\n"))) }

// mustHide fails for each secret of which a part is found.
func (r *record) mustHide(t *testing.T, secrets ...string) {
	t.Helper()
	all := r.String()
	for _, secret := range secrets {
		_, essence, _ := strings.Cut(secret, "_") // without the kind's prefix
		for _, part := range []string{essence[:len(essence)/2], essence[len(essence)/2:]} {
			if at := strings.Index(all, part); at >= 0 {
				t.Errorf("a part of the secret %s was told: %s", secret, all[max(0, at-200):min(len(all), at+100)])
				break
			}
		}
	}
}

// stranger is a server that is not the shop's and must not be called.
func stranger(t *testing.T) (url string, calls *atomic.Int64) {
	t.Helper()
	calls = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(server.Close)
	return server.URL, calls
}

func TestNoSecretIsEverToldInAWholeLife(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(2 * time.Second)})
	secretFile := filepath.Join(t.TempDir(), "secret")
	mustWrite(t, secretFile, wrongSecret)
	spans := newCollector(t)
	environ := []string{"SHOPIFY_CLIENT_SECRET=", "SHOPIFY_CLIENT_SECRET_FILE=" + secretFile}
	environ = append(environ, spans.environ()...)
	s := shop.sidecar(t, append(environ, "EVERGATE_LOG_LEVEL=debug", "EVERGATE_ACCESS_LOG=all", "EVERGATE_SHUTDOWN_DELAY=100ms")...)
	told := &record{next: s.client.Transport}
	s.client.Transport = told

	process.Eventually(t, func() error {
		return atLeast(int(s.metric(t, "evergate_refreshes_total", `result="config"`)), 1, "refused attempts")
	})
	s.tellAll(t, told)
	mustBeOwn(t, s.get(t, "/shop.json"), http.StatusServiceUnavailable, "no_token")
	mustWrite(t, secretFile, shopsim.DefaultClientSecret)
	mustStatus(t, s.call(t, http.MethodPost, s.admin+"/-/refresh", ""), http.StatusOK)
	s.tellAll(t, told)
	s.awaitRenewal(t)
	s.awaitRenewal(t)
	shop.RevokeTokens("")
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	s.meetFaults(t, shop)
	s.tellAll(t, told)
	s.Signal(t, syscall.SIGTERM)
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	told.note(s.Out.String(), s.Err.String(), spans.raw())
	told.mustHide(t, append(shop.tokens(), shopsim.DefaultClientSecret, wrongSecret)...)
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tellAll asks for everything that the sidecar tells without a token.
func (s *sidecar) tellAll(t *testing.T, told *record) {
	t.Helper()
	for _, path := range []string{"/", "/status", "/metrics", "/livez", "/readyz", "/startupz", "/nothing", "/-/quit"} {
		s.ask(t, path)
	}
	for _, path := range []string{"/", "/admin/oauth/access_token", "/admin/oauth/authorize", api + "/a/../b.json", "/other.myshopify.com" + api + "/shop.json"} {
		if a := s.call(t, http.MethodPost, s.url+path, `{"x":1}`); a.status < 400 {
			t.Errorf("%s: %s", path, a)
		}
	}
	for _, request := range []string{
		"GET " + api + "/shop.json HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"GET http://example.com" + api + "/shop.json HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"GET " + api + "/shop.json HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n",
		"TRACE " + api + "/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
		"nonsense\r\n\r\n",
	} {
		a := s.raw(t, request)
		if a.status < 400 {
			t.Errorf("%q: %s", request, a)
		}
		var header strings.Builder
		_ = a.header.Write(&header)
		told.note(header.String(), a.body)
	}
}

// meetFaults has the API and the token endpoint break in the ways that make the sidecar
// speak, and waits until all is well again.
func (s *sidecar) meetFaults(t *testing.T, shop *shopify) {
	t.Helper()
	for _, kind := range []shopsim.Kind{shopsim.FaultDrop, shopsim.FaultCut, shopsim.FaultHTML, shopsim.FaultEmpty} {
		shop.Inject(shopsim.Fault{Kind: kind, Endpoint: shopsim.API, Count: 1})
		_, _ = exchange(t.Context(), s.client, http.MethodGet, s.url+api+"/products.json", "") // some must fail
	}
	for _, kind := range []shopsim.Kind{shopsim.FaultCut, shopsim.FaultTruncate, shopsim.FaultHTML} {
		want := s.metric(t, "evergate_refreshes_total", `result="transient"`) + 1
		shop.Inject(shopsim.Fault{Kind: kind, Endpoint: shopsim.TokenEndpoint, Count: 1})
		process.Eventually(t, func() error {
			return atLeast(int(s.metric(t, "evergate_refreshes_total", `result="transient"`)), int(want), "temporary failures")
		})
		s.ask(t, "/status")
		s.ask(t, "/")
	}
	s.awaitReady(t)
}

func TestOtherCommandsTellNoSecret(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	static := shop.IssueToken("", "", 0)
	told := &record{}
	for _, c := range []struct {
		environ, args []string
	}{
		{shop.environ(), []string{"config"}},
		{shop.environ(), []string{"config", "--markdown"}},
		{shop.environ(), []string{"version"}},
		{shop.environ("SHOPIFY_ACCESS_TOKEN=" + static), []string{"config"}}, // a mistake: two kinds of credentials
		{shop.runEnviron("EVERGATE_LOG_LEVEL=debug"), append([]string{"run", "--"}, commandLine("environ")...)},
		{shop.runEnviron("SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_ACCESS_TOKEN="+static), []string{"config"}},
		{shop.runEnviron("SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_ACCESS_TOKEN="+static), append([]string{"run", "--"}, commandLine("call")...)},
		{shop.environ("EVERGATE_TOKEN_WAIT=never"), []string{"serve"}},
	} {
		p := start(t, c.environ, c.args...)
		p.Exit(t)
		told.note(p.Out.String(), p.Err.String())
	}
	told.mustHide(t, append(shop.tokens(), shopsim.DefaultClientSecret, static)...)
}

func TestMisplacedSecretIsNotRepeated(t *testing.T) {
	t.Parallel()
	const secret = "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"
	for _, name := range []string{"SHOPIFY_SHOP", "SHOPIFY_CLIENT_ID", "SHOPIFY_ACCESS_TOKEN", "SHOPIFY_CLIENT_SECRET_FILE"} {
		for _, args := range []string{"serve", "config"} {
			t.Run(name+"/"+args, func(t *testing.T) {
				t.Parallel()
				code, stdout, stderr := finish(t, []string{"SHOPIFY_SHOP=acme", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", name + "=" + secret}, args)
				if code != 2 {
					t.Errorf("exit code %d", code)
				}
				told := &record{}
				told.note(stdout, stderr)
				told.mustHide(t, secret)
			})
		}
	}
}

func TestTokenGoesToNoOtherHost(t *testing.T) {
	t.Parallel()
	elsewhere, calls := stranger(t)
	shop := newShopify(t, shopOptions{Settings: wide(2 * time.Second)})
	s := shop.readySidecar(t)

	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect} {
		shop.Inject(shopsim.Fault{Kind: shopsim.FaultRedirect, Endpoint: shopsim.API, Status: status, Location: elsewhere + "/products.json", Count: 1})
		a := s.get(t, "/products.json")
		mustStatus(t, a, status)
		if to := a.header.Get("Location"); to != elsewhere+"/products.json" {
			t.Errorf("Location: %s", to)
		}
	}
	host := strings.TrimPrefix(elsewhere, "http://")
	for _, request := range []string{
		"GET " + elsewhere + api + "/shop.json HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
		"GET " + elsewhere + api + "/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET " + api + "/shop.json HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: " + host + "\r\nForwarded: host=" + host + "\r\n\r\n",
		"GET //" + host + api + "/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET @" + host + api + "/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
	} {
		s.raw(t, request) // whatever the answer is
	}

	// A renewal that is redirected: neither the secret nor a token may follow.
	want := s.metric(t, "evergate_refreshes_total", `result="config"`) + 1
	shop.Inject(shopsim.Fault{Kind: shopsim.FaultRedirect, Endpoint: shopsim.TokenEndpoint, Status: http.StatusTemporaryRedirect, Location: elsewhere, Count: 1})
	process.Eventually(t, func() error {
		return atLeast(int(s.metric(t, "evergate_refreshes_total", `result="config"`)), int(want), "redirected renewals")
	})
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	if n := calls.Load(); n != 0 {
		t.Errorf("another host than the shop's was called %d times", n)
	}
}

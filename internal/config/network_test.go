package config

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestShopMistakesAreExplained(t *testing.T) {
	t.Parallel()
	for shop, say := range map[string]string{
		"":                                  "SHOPIFY_SHOP is not set",
		"https://acme.myshopify.com":        "the shop is acme.myshopify.com",
		"admin.shopify.com/store/acme":      "the shop is acme.myshopify.com",
		"www.acme.example":                  "Settings > Domains",
		`"acme"`:                            "has quotation marks around it",
		`ac"me`:                             "is not a shop name",
		"acme.myshopify.com/admin/api.json": "has a path",
	} {
		mustSay(t, mistakes(t, minimal("SHOPIFY_SHOP="+shop)...), "SHOPIFY_SHOP", say)
	}
}

func TestListenersThatOthersReachNeedAWord(t *testing.T) {
	t.Parallel()
	for listen, loopback := range map[string]bool{
		"127.0.0.1:8080":         true,
		"127.1.2.3:0":            true,
		"[::1]:8080":             true,
		"localhost:8080":         true,
		"unix:/run/e.sock":       true,
		"acme@127.0.0.1:1":       true,
		"127.0.0.1:1,[::1]:2":    true,
		":8080":                  false,
		"0.0.0.0:8080":           false,
		"[::]:8080":              false,
		"192.0.2.1:8080":         false,
		"sidecar.internal:8080":  false,
		"[::ffff:192.0.2.1]:1":   false,
		"127.0.0.1:1,0.0.0.0:2":  false,
		"acme@0.0.0.0:8080":      false,
		"localhost.evil.test:80": false,
	} {
		c, err := Load(minimal("EVERGATE_LISTEN=" + listen))
		switch {
		case loopback && err != nil:
			t.Errorf("%s: %v", listen, err)
		case !loopback && err == nil:
			t.Errorf("%s is accepted without EVERGATE_UNSAFE_LISTEN: %v", listen, c.Listeners)
		case !loopback && !strings.Contains(err.Error(), "set EVERGATE_UNSAFE_LISTEN=true"):
			t.Errorf("%s: %v", listen, err)
		}
		mustLoad(t, minimal("EVERGATE_LISTEN="+listen, "EVERGATE_UNSAFE_LISTEN=true"))
	}
}

// Prometheus scrapes the pod's address; what is sensitive there is guarded per request.
func TestAdminListenerMayBeReachedByOthers(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:9090", ":9090", "[::]:0", "unix:/run/admin.sock"} {
		mustLoad(t, minimal("EVERGATE_ADMIN_LISTEN="+listen))
	}
}

func TestListenMistakesAreExplained(t *testing.T) {
	t.Parallel()
	for set, parts := range map[string][]string{
		"EVERGATE_LISTEN=8080":                        {"EVERGATE_LISTEN: ", "127.0.0.1:8080"},
		"EVERGATE_LISTEN=http://localhost:8080":       {"EVERGATE_LISTEN: ", "is a URL"},
		"EVERGATE_LISTEN=127.0.0.1:1,127.0.0.1:1":     {"EVERGATE_LISTEN: ", "listed twice"},
		"EVERGATE_LISTEN=127.0.0.1:1,":                {"EVERGATE_LISTEN: ", "no comma too many"},
		"EVERGATE_LISTEN=unix:relative":               {"EVERGATE_LISTEN: ", "absolute path"},
		"EVERGATE_LISTEN=other@127.0.0.1:8080":        {"EVERGATE_LISTEN: ", "other.myshopify.com", "acme@127.0.0.1:8080"},
		"EVERGATE_ADMIN_LISTEN=127.0.0.1":             {"EVERGATE_ADMIN_LISTEN: ", "has no port"},
		"EVERGATE_ADMIN_LISTEN=127.0.0.1:1,[::1]:1":   {"EVERGATE_ADMIN_LISTEN=", "give one address"},
		"EVERGATE_ADMIN_LISTEN=acme@127.0.0.1:1":      {"EVERGATE_ADMIN_LISTEN=", "give one address"},
		"EVERGATE_ADMIN_LISTEN=https://localhost:1/x": {"EVERGATE_ADMIN_LISTEN: ", "is a URL"},
	} {
		mustSay(t, mistakes(t, minimal(set)...), parts...)
	}
}

func TestAllowedHostMistakesAreReportedWithTheRest(t *testing.T) {
	t.Parallel()
	mustSay(t, mistakes(t, minimal("EVERGATE_ALLOWED_HOSTS=*.internal", "EVERGATE_TOKEN_WAIT=x")...), "EVERGATE_ALLOWED_HOSTS", "list each name")
}

func TestUpstreamURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://{shop}":              "https://acme.myshopify.com",
		"https://{shop}/":             "https://acme.myshopify.com",
		"https://{shop}:8443":         "https://acme.myshopify.com:8443",
		"https://gateway.internal":    "https://gateway.internal",
		"https://{shop}.gateway.test": "https://acme.myshopify.com.gateway.test",
		"HTTPS://Gateway":             "https://Gateway",
		"http://127.0.0.1:4443":       "http://127.0.0.1:4443",
		"http://[::1]:4443":           "http://[::1]:4443",
		"http://localhost":            "http://localhost",
		"https://{shop}?":             "https://acme.myshopify.com",
		"https://{shop}#":             "https://acme.myshopify.com",
	} {
		c, err := Load(minimal("EVERGATE_UPSTREAM_URL=" + in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if c.Base.String() != want || len(c.Warnings) > 0 {
			t.Errorf("%s: %s, want %s; warnings %q", in, c.Base, want, c.Warnings)
		}
	}
	for in, say := range map[string]string{
		"gateway.internal":         "is not an http or https URL",
		"gateway.internal:8443":    "is not an http or https URL",
		"//gateway":                "is not an http or https URL",
		"ftp://gateway":            "is not an http or https URL",
		"https://":                 "is not an http or https URL",
		"https:///x":               "is not an http or https URL",
		"https://:8443":            "is not an http or https URL",
		"https://a b":              "is not an http or https URL",
		"https://a\nb":             "holds more than one line",
		"https:gateway":            "is not an http or https URL",
		"https://gateway/path":     "give scheme, host and port only",
		"https://gateway//":        "give scheme, host and port only",
		"https://gateway/?q=1":     "give scheme, host and port only",
		"https://gateway#f":        "give scheme, host and port only",
		"https://user@gateway":     "give scheme, host and port only",
		"https://user:pw@gateway/": "give scheme, host and port only",
	} {
		mustSay(t, mistakes(t, minimal("EVERGATE_UPSTREAM_URL="+in)...), "EVERGATE_UPSTREAM_URL", say)
	}
}

func TestUnencryptedUpstreamIsWarnedOf(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal("EVERGATE_UPSTREAM_URL=http://gateway.internal:80"))
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Error(), "EVERGATE_UPSTREAM_URL is http and not loopback") || !strings.Contains(c.Warnings[0].Error(), "unencrypted") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestUpstreamCAFile(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	cert := server.Certificate()
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	c := mustLoad(t, minimal("EVERGATE_UPSTREAM_CA_FILE="+writeFile(t, "# a comment\n"+text)))
	if c.Roots == nil {
		t.Fatal("no roots")
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: c.Roots.All(), DNSName: "example.com"}); err != nil {
		t.Errorf("what the file vouches for is not trusted: %v", err)
	}
	want, err := x509.SystemCertPool()
	if err != nil {
		want = x509.NewCertPool()
	}
	if want.AddCert(cert); !c.Roots.All().Equal(want) {
		t.Error("the roots are not the system's and the file's")
	}
	for path, say := range map[string]string{
		writeFile(t, "no certificate"):                   "holds no certificate in PEM form",
		writeFile(t, ""):                                 "holds no certificate in PEM form",
		filepath.Join(t.TempDir(), "missing"):            "no such file",
		writeFile(t, strings.ReplaceAll(text, "\n", "")): "holds no certificate in PEM form",
	} {
		mustSay(t, mistakes(t, minimal("EVERGATE_UPSTREAM_CA_FILE="+path)...), "EVERGATE_UPSTREAM_CA_FILE", say)
	}
}

func TestDurationsHaveBounds(t *testing.T) {
	t.Parallel()
	for set, ok := range map[string]bool{
		"EVERGATE_TOKEN_WAIT=1ns": true, "EVERGATE_TOKEN_WAIT=0s": false, "EVERGATE_TOKEN_WAIT=-5s": false, "EVERGATE_TOKEN_WAIT=1.5h": true,
		"EVERGATE_UPSTREAM_TIMEOUT=1ms": true, "EVERGATE_UPSTREAM_TIMEOUT=0": false, "EVERGATE_UPSTREAM_TIMEOUT=-1m": false,
		"EVERGATE_SHUTDOWN_TIMEOUT=1s": true, "EVERGATE_SHUTDOWN_TIMEOUT=0s": false,
		"EVERGATE_SHUTDOWN_DELAY=0s": true, "EVERGATE_SHUTDOWN_DELAY=1m": true, "EVERGATE_SHUTDOWN_DELAY=-1ns": false,
	} {
		_, err := Load(minimal(set))
		name, _, _ := strings.Cut(set, "=")
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", set, err)
		}
	}
}

func TestMerchantsHaveAListenerOfTheirOwn(t *testing.T) {
	t.Parallel()
	const public, login = "EVERGATE_PUBLIC_URL=https://login.example.com", "EVERGATE_LOGIN_LISTEN="
	for _, tc := range []struct {
		set  []string
		want string // in the error; empty: it is right
	}{
		{nil, ""},
		{[]string{public, login + "127.0.0.1:8090"}, ""},
		{[]string{public, login + "0.0.0.0:8090"}, ""}, // an ingress comes from elsewhere, and nothing else is there
		{[]string{public, login + "unix:/run/evergate/login.sock"}, ""},
		{[]string{public}, "EVERGATE_LOGIN_LISTEN is not"},
		{[]string{login + "127.0.0.1:8090"}, "EVERGATE_PUBLIC_URL is not"},
		{[]string{public, login + "127.0.0.1:8090,127.0.0.1:8091"}, "give one address"},
		{[]string{public, login + "tls:127.0.0.1:8090"}, "give one address"},
		{[]string{public, login + "acme@127.0.0.1:8090"}, "give one address"},
		{[]string{public, login + "8090"}, "EVERGATE_LOGIN_LISTEN"},
	} {
		_, err := Load(append([]string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=x", "SHOPIFY_CLIENT_SECRET=y"}, tc.set...))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.set, err, tc.want)
		}
	}
}

func TestTrustedProxiesAreAddressesAndRanges(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal("EVERGATE_TRUSTED_PROXIES=10.0.0.7, 127.0.0.1/8,[::1],2001:db8::/32,::ffff:10.0.0.8, "))
	if got, want := fmt.Sprint(c.Proxies), "[10.0.0.7/32 127.0.0.0/8 ::1/128 2001:db8::/32 10.0.0.8/32]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, bad := range []string{"proxy.internal", "10.0.0.7:443", "10.0.0", "10.0.0.0/33", "fe80::1%eth0", "*", "::ffff:10.0.0.0/104", "unix:/run/s"} {
		mustSay(t, mistakes(t, minimal("EVERGATE_TRUSTED_PROXIES=10.0.0.1,"+bad)...), "EVERGATE_TRUSTED_PROXIES", bad)
	}
	if c := mustLoad(t, minimal("EVERGATE_TRUSTED_PROXIES=0.0.0.0/0")); len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Error(), "everybody") {
		t.Errorf("%v", c.Warnings)
	}
}

func TestTheAppsNameIsAName(t *testing.T) {
	t.Parallel()
	const name = "EVERGATE_APP_NAME="
	if c := mustLoad(t, minimal(name+" Stöck & Sync ")); c.AppName != "Stöck & Sync" {
		t.Errorf("%q", c.AppName)
	}
	mustSay(t, mistakes(t, minimal(name+strings.Repeat("x", longestAppName+1))...), "EVERGATE_APP_NAME has 101 bytes", "100 bytes at most")
}

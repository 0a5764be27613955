package admin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/guard"
	"evergate/internal/refresh"
	"evergate/internal/token"
)

// sidecar is what the listener asks and orders, with everything it was told.
type sidecar struct {
	noCA      error // why there are no roots
	status    refresh.Status
	err       error // of Refresh
	stopping  bool
	refreshes int
	quits     int
}

func (s *sidecar) Status() refresh.Status { return s.status }

func (s *sidecar) Refresh(ctx context.Context) error {
	s.refreshes++
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.err
}

func (s *sidecar) Want(context.Context) error { return s.err }

func newAdmission(t *testing.T) *guard.Admission {
	t.Helper()
	shop, err := token.ParseShop("acme")
	if err != nil {
		t.Fatal(err)
	}
	admission, err := guard.New(guard.Options{Shops: guard.One(shop), AllowedHosts: []string{"evergate.internal"}})
	if err != nil {
		t.Fatal(err)
	}
	return admission
}

func (s *sidecar) handler(t *testing.T) http.Handler {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "evergate_something", Help: "Something."}, func() float64 { return 42 }))
	return denialtest.Watched(t, New(Options{
		Tokens: s, Admission: newAdmission(t), Gatherer: reg, Quit: func() { s.quits++ },
		Stopping: func() bool { return s.stopping }, Version: "1.2.3",
		Roots: func() ([]byte, error) { return []byte("-----BEGIN CERTIFICATE-----\n"), s.noCA },
	}))
}

// call is a call from this machine, by name; edit makes it another one.
func call(h http.Handler, method, path string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host, r.RemoteAddr = "localhost:9090", "127.0.0.1:50000"
	for _, f := range edit {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func host(name string) func(*http.Request)   { return func(r *http.Request) { r.Host = name } }
func from(remote string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = remote } }
func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

var (
	issued  = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	failure = errors.New("token endpoint answered 400 app_not_installed: install it & try <again>")

	waiting = refresh.Status{Shop: "acme.myshopify.com", Grant: "client_credentials", State: "none"}
	failing = refresh.Status{Shop: "acme.myshopify.com", Grant: "client_credentials", State: "none", Err: failure, Failures: 3, FailedAt: issued, NextAttempt: issued.Add(time.Minute)}
	fresh   = refresh.Status{
		Shop: "acme.myshopify.com", Grant: "client_credentials", State: "fresh", Obtained: true, Usable: true, Age: 90*time.Second + 1, Left: 24*time.Hour - 90*time.Second - 1,
		Issued: issued, Expires: issued.Add(24 * time.Hour), Renews: issued.Add(18 * time.Hour), Scopes: []string{"read_products", "write_orders"}, MissingScopes: []string{"read_themes"},
	}
	stale = refresh.Status{
		Shop: "acme.myshopify.com", Grant: "client_credentials", State: "stale", Obtained: true, Usable: true, Age: 20 * time.Hour, Left: 4 * time.Hour, Assumed: true,
		Issued: issued, Expires: issued.Add(24 * time.Hour), Renews: issued.Add(18 * time.Hour), Err: failure, Failures: 2, FailedAt: issued.Add(19 * time.Hour), NextAttempt: issued.Add(20 * time.Hour),
	}
	expired = refresh.Status{
		Shop: "acme.myshopify.com", Grant: "client_credentials", State: "expired", Obtained: true, Age: 25 * time.Hour,
		Issued: issued, Expires: issued.Add(24 * time.Hour), Err: failure, Failures: 9, FailedAt: issued, NextAttempt: issued,
	}
	refused   = refresh.Status{Shop: "acme.myshopify.com", Grant: "static", State: "refused", Obtained: true, Refused: true, Age: time.Hour, Issued: issued}
	permanent = refresh.Status{Shop: "acme.myshopify.com", Grant: "static", State: "fresh", Obtained: true, Usable: true, Age: time.Hour, Issued: issued}
)

func TestProbesSayHowThingsAre(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name             string
		status           refresh.Status
		stopping         bool
		readyz, startupz int
		ready, startup   string
	}{
		{"waiting", waiting, false, 503, 503, "no usable token: it is being obtained", "no token yet: it is being obtained"},
		{"failing", failing, false, 503, 503, "no usable token: " + failure.Error(), "no token yet: " + failure.Error()},
		{"fresh", fresh, false, 200, 200, "ok", "ok"},
		{"stale_with_error", stale, false, 200, 200, "ok", "ok"},
		{"expired", expired, false, 503, 200, "no usable token: " + failure.Error(), "ok"},
		{"refused", refused, false, 503, 200, "no usable token: Shopify refuses it, and there is no other. Create or copy a valid token for SHOPIFY_ACCESS_TOKEN. " +
			"Settings are read at the start: end Evergate and start it anew with the right ones.", "ok"},
		{"dead_grant", refresh.Status{Grant: "offline", State: "none", Reauthorize: true}, false, 503, 503,
			"no usable token: a person must authorise the app anew. Run `evergate login` with this sidecar's settings. It is noticed without a restart.",
			"no token yet: a person must authorise the app anew. Run `evergate login` with this sidecar's settings. It is noticed without a restart."},
		{"permanent", permanent, false, 200, 200, "ok", "ok"},
		{"stopping", fresh, true, 503, 200, "shutting down", "ok"},
		{"stopping_before_the_start", waiting, true, 503, 503, "shutting down", "no token yet: it is being obtained"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := (&sidecar{status: tc.status, stopping: tc.stopping}).handler(t)
			for path, want := range map[string]struct {
				status int
				text   string
			}{"/livez": {200, "ok"}, "/readyz": {tc.readyz, tc.ready}, "/startupz": {tc.startupz, tc.startup}} {
				w := call(h, "GET", path)
				if w.Code != want.status || w.Body.String() != want.text+"\n" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
					t.Errorf("%s: %d %q %v, want %d %q", path, w.Code, w.Body, w.Header(), want.status, want.text)
				}
			}
		})
	}
}

func TestStatusIsReportedAsJSON(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		sidecar
		want map[string]any // nil: absent
	}{
		{"waiting", sidecar{status: waiting}, map[string]any{"version": "1.2.3", "ready": false, "shop": "acme.myshopify.com", "grant": "client_credentials", "state": "none",
			"token_age_seconds": nil, "token_left_seconds": nil, "token_issued": nil, "token_expires": nil, "next_renewal": nil, "life_assumed": nil, "scopes": nil, "last_error": nil, "failures_in_a_row": nil}},
		{"failing", sidecar{status: failing}, map[string]any{"ready": false, "last_error": failure.Error(), "last_error_at": "2026-11-30T12:00:00Z", "next_attempt": "2026-11-30T12:01:00Z", "failures_in_a_row": 3.0}},
		{"fresh", sidecar{status: fresh}, map[string]any{"ready": true, "state": "fresh", "token_age_seconds": 90.0, "token_left_seconds": 86309.0, "token_issued": "2026-11-30T12:00:00Z",
			"token_expires": "2026-12-01T12:00:00Z", "next_renewal": "2026-12-01T06:00:00Z", "scopes": []any{"read_products", "write_orders"}, "missing_scopes": []any{"read_themes"}, "last_error": nil, "life_assumed": nil}},
		{"stale", sidecar{status: stale}, map[string]any{"ready": true, "state": "stale", "life_assumed": true, "last_error": failure.Error(), "failures_in_a_row": 2.0}},
		{"expired", sidecar{status: expired}, map[string]any{"ready": false, "state": "expired", "token_left_seconds": 0.0, "token_age_seconds": 90000.0}},
		{"permanent", sidecar{status: permanent}, map[string]any{"ready": true, "grant": "static", "token_age_seconds": 3600.0, "token_left_seconds": nil, "token_expires": nil, "next_renewal": nil}},
		{"stopping", sidecar{status: fresh, stopping: true}, map[string]any{"ready": false, "state": "fresh"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := call(tc.handler(t), "GET", "/status")
			mustBeJSON(t, w, 200)
			got := map[string]any{}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			for name, want := range tc.want {
				if v, there := got[name]; fmt.Sprint(v) != fmt.Sprint(want) || there != (want != nil) {
					t.Errorf("%s: %v (there: %t), want %v", name, v, there, want)
				}
			}
			if started, err := time.Parse(time.RFC3339, fmt.Sprint(got["started"])); err != nil || time.Since(started) > time.Hour {
				t.Errorf("started %v", got["started"])
			}
		})
	}
}

func mustBeJSON(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status || w.Header().Get("Content-Type") != "application/json; charset=utf-8" || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%d %v %q, want %d and JSON", w.Code, w.Header(), w.Body, status)
	}
}

func TestPageSaysHowThingsAre(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		status refresh.Status
		has    []string
		hasNot []string
	}{
		{"waiting", waiting, []string{"The first token is being obtained.", "acme.myshopify.com"}, []string{"<dt>Age", "left</label>", "Last error", "Scopes</dt>"}},
		{"failing", failing, []string{"There is no usable token", "503", "Last error", "Next attempt", "2026-11-30 12:01:00 UTC"}, []string{"left</label>"}},
		{"fresh", fresh, []string{"The token works, but lacks scopes", "What to do", "1 min 30 s", "23 h 58 min of 24 h left", "2026-12-01 06:00:00 UTC", "read_products, write_orders", "Missing scopes", "read_themes", "1.2.3"}, []string{"Last error", "assumed"}},
		{"stale", stale, []string{"The token works; its renewal fails at the moment.", "Last error", "life assumed"}, []string{"All is well"}},
		{"stale_without_error", refresh.Status{State: "stale", Usable: true, Obtained: true}, []string{"about to be renewed"}, nil},
		{"expired", expired, []string{"There is no usable token", "expired", "25 h", "0 s of 24 h left"}, []string{"All is well"}},
		{"permanent", permanent, []string{"All is well.", "static", "1 h"}, []string{" left</label>", "Next renewal"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := call((&sidecar{status: tc.status}).handler(t), "GET", "/")
			if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%d %v", w.Code, w.Header())
			}
			for _, part := range tc.has {
				if !strings.Contains(w.Body.String(), part) {
					t.Errorf("the page does not say %q:\n%s", part, w.Body)
				}
			}
			for _, part := range tc.hasNot {
				if strings.Contains(w.Body.String(), part) {
					t.Errorf("the page says %q", part)
				}
			}
		})
	}
}

func TestPageCanLoadAndRunNothing(t *testing.T) {
	t.Parallel()
	hostile := `</dd><script>alert(1)</script><img src=x onerror="alert(2)">'`
	w := call((&sidecar{status: refresh.Status{
		Shop: hostile, Grant: hostile, State: hostile, Scopes: []string{hostile}, MissingScopes: []string{hostile}, Err: errors.New(hostile), Age: time.Hour, Issued: issued,
	}}).handler(t), "GET", "/")
	csp := w.Header().Get("Content-Security-Policy")
	for _, rule := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(csp, rule) {
			t.Errorf("the policy %q lacks %s", csp, rule)
		}
	}
	page := w.Body.String()
	for _, kind := range []string{"script", "style"} {
		_, rest, _ := strings.Cut(page, "<"+kind+">")
		text, rest, _ := strings.Cut(rest, "</"+kind+">")
		sum := sha256.Sum256([]byte(text))
		if allowed := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(csp, kind+"-src "+allowed+";") {
			t.Errorf("the policy %q does not allow the page's own %s, or more than that", csp, kind)
		}
		if strings.Contains(rest, "<"+kind) {
			t.Errorf("there is a second %s", kind)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") || strings.Contains(csp, "*") {
		t.Errorf("the policy %q allows too much", csp)
	}
	for _, part := range []string{"<img", "onerror=\"", "http://", "https://", " style=", "src="} {
		if strings.Contains(strings.ReplaceAll(page, "src=x", ""), part) {
			t.Errorf("the page holds %s", part)
		}
	}
	if n := strings.Count(page, "&lt;script&gt;alert(1)&lt;/script&gt;"); n != 8 {
		t.Errorf("%d of 8 places hold a value, escaped:\n%s", n, page)
	}
}

// open: probes and metrics answer, which monitoring calls by address or by a cluster's names.
func TestForeignHostsGetNothing(t *testing.T) {
	t.Parallel()
	type names struct{ open, local bool }
	for name, allowed := range map[string]names{
		"localhost": {true, true}, "LOCALHOST:9090": {true, true}, "127.0.0.1:9090": {true, true}, "[::1]:9090": {true, true}, "acme.localhost:1": {true, true}, "evergate.internal": {true, true}, "Evergate.Internal:9090": {true, true},
		"10.1.2.3:9090": {true, false}, "10.1.2.3": {true, false}, "[fd00::7]:9090": {true, false}, "169.254.1.1": {true, false}, "acme.myshopify.com": {true, false}, "evergate": {true, false}, "evergate:9090": {true, false}, "evergate.": {true, false},
		"evergate.shop.svc": {true, false}, "evergate.shop.svc:9090": {true, false}, "evergate.shop.SVC.cluster.local.": {true, false}, "10-1-2-3.shop.pod.cluster.local": {true, false},
		"": {}, "evil.example": {}, "localhost.evil.example": {}, "localhost:9090:1": {}, "user@localhost": {}, "localhost ": {}, "evergate.shop": {}, "10.1.2.3.evil.example": {}, "10.1.2.3.nip.io": {}, "svc.evil.example": {},
		"x.svc.evil.example": {}, "evil.svc.": {true, false}, ".svc": {}, "cluster.local.evil.example": {}, "xcluster.local": {}, "evilsvc.example": {}, "[fe80::1%25eth0]": {}, "fd00::7": {}, "[10.1.2.3]": {}, "1.2.3": {}, "other.myshopify.com": {},
		"evil.example:9090": {}, "my_evergate": {true, false}, "a..svc": {},
	} {
		s := &sidecar{status: fresh}
		h := s.handler(t)
		for _, c := range []struct {
			method, path string
			open         bool
			status       int
		}{
			{"GET", "/metrics", true, 200}, {"GET", "/livez", true, 200}, {"GET", "/readyz", true, 200}, {"GET", "/startupz", true, 200}, {"GET", "/ca.pem", true, 200},
			{"GET", "/", false, 200}, {"GET", "/status", false, 200}, {"POST", "/-/refresh", false, 200}, {"POST", "/-/quit", false, 202},
		} {
			w := call(h, c.method, c.path, host(name))
			switch {
			case c.open && allowed.open || allowed.local:
				if w.Code != c.status {
					t.Errorf("%s as %q: %d, want %d", c.path, name, w.Code, c.status)
				}
			case w.Code != 421 || w.Header().Get(denial.Header) != denial.CodeMisdirectedHost:
				t.Errorf("%s as %q: %d %v", c.path, name, w.Code, w.Header())
			default:
				mustBeJSON(t, w, 421)
			}
		}
		if !allowed.local && s.refreshes+s.quits != 0 {
			t.Errorf("%q had its order carried out", name)
		}
	}
}

func TestRootsOfTheLocalCAAreHandedOut(t *testing.T) {
	t.Parallel()
	s := &sidecar{status: fresh}
	if w := call(s.handler(t), "GET", "/ca.pem"); w.Code != 200 || !strings.HasPrefix(w.Body.String(), "-----BEGIN CERTIFICATE") || w.Header().Get("Content-Type") != "application/x-pem-file" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := call(s.handler(t), "GET", "/ca.pem"); w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", w.Header())
	}
	if w := call(s.handler(t), "HEAD", "/ca.pem"); w.Code != 200 {
		t.Errorf("HEAD: %d", w.Code)
	}
	if w := call(s.handler(t), "POST", "/ca.pem"); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
	s.noCA = errors.New("no place: set one")
	if w := call(s.handler(t), "GET", "/ca.pem"); w.Code != 503 || !strings.Contains(w.Body.String(), "no place: set one") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestWebPagesOfOtherSitesGetNothing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		header, value string
		allowed       bool
	}{
		{"Sec-Fetch-Site", "same-origin", true}, {"Sec-Fetch-Site", "none", true}, {"Sec-Fetch-Mode", "cors", true},
		{"Sec-Fetch-Site", "same-site", false}, {"Sec-Fetch-Site", "cross-site", false}, {"Sec-Fetch-Site", "", false},
		{"Origin", "http://localhost:9090", true}, {"Origin", "http://localhost:8080", false}, {"Origin", "https://localhost:9090", false},
		{"Origin", "http://evil.example", false}, {"Origin", "null", false}, {"Origin", "", false},
	} {
		s := &sidecar{status: fresh}
		h := s.handler(t)
		for path, status := range map[string]int{"/": 200, "/status": 200, "/-/refresh": 200, "/-/quit": 202} {
			method := "GET"
			if strings.HasPrefix(path, "/-/") {
				method = "POST"
			}
			w := call(h, method, path, with(tc.header, tc.value))
			if tc.allowed && w.Code != status || !tc.allowed && (w.Code != 403 || w.Header().Get(denial.Header) != denial.CodeCrossSite) {
				t.Errorf("%s with %s: %q: %d %v", path, tc.header, tc.value, w.Code, w.Header())
			}
			for name := range w.Header() {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s answers with %s", path, name)
				}
			}
		}
		if !tc.allowed && s.refreshes+s.quits != 0 {
			t.Errorf("%s: %q had its order carried out", tc.header, tc.value)
		}
	}
}

func TestOrdersAreTakenFromThisMachineOnly(t *testing.T) {
	t.Parallel()
	for remote, local := range map[string]bool{
		"127.0.0.1:1": true, "127.8.8.8:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true,
		"192.0.2.1:1": false, "10.0.0.7:1": false, "[2001:db8::1]:1": false, "[fe80::1%eth0]:1": false, "0.0.0.0:1": false, "": false, "@": false, "localhost:1": false, "127.0.0.1": false,
	} {
		s := &sidecar{status: fresh}
		h := s.handler(t)
		for path, status := range map[string]int{"/-/refresh": 200, "/-/quit": 202} {
			w := call(h, "POST", path, from(remote))
			if local && w.Code != status || !local && (w.Code != 403 || w.Header().Get(denial.Header) != "not_local") {
				t.Errorf("%s from %q: %d %v", path, remote, w.Code, w.Header())
			}
			if !local {
				mustBeJSON(t, w, 403)
			}
		}
		if orders := s.refreshes + s.quits; local && orders != 2 || !local && orders != 0 {
			t.Errorf("%q had %d orders carried out", remote, orders)
		}
		for _, path := range []string{"/", "/status", "/metrics", "/livez"} {
			if w := call(h, "GET", path, from(remote)); w.Code != 200 {
				t.Errorf("%s from %q: %d", path, remote, w.Code)
			}
		}
	}
}

func TestOrdersAreTakenThroughAUnixSocket(t *testing.T) {
	t.Parallel()
	s := &sidecar{status: fresh}
	w := call(s.handler(t), "POST", "/-/quit", from("@"), func(r *http.Request) {
		*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/admin.sock", Net: "unix"}))
	})
	if w.Code != 202 || s.quits != 1 {
		t.Errorf("%d, %d quits", w.Code, s.quits)
	}
}

func TestRefreshSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	s := &sidecar{status: fresh}
	w := call(s.handler(t), "POST", "/-/refresh")
	mustBeJSON(t, w, 200)
	if s.refreshes != 1 || !strings.Contains(w.Body.String(), `"state": "fresh"`) || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d refreshes: %s", s.refreshes, w.Body)
	}
	s.err = failure
	w = call(s.handler(t), "POST", "/-/refresh")
	mustBeJSON(t, w, 503)
	var answer map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer) != 1 || answer["errors"] != failure.Error() {
		t.Errorf("%s", w.Body)
	}
}

func TestRefreshEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := call((&sidecar{status: fresh}).handler(t), "POST", "/-/refresh", func(r *http.Request) { *r = *r.WithContext(ctx) })
	if w.Code != 503 {
		t.Errorf("%d: the caller's context is not passed on", w.Code)
	}
}

func TestQuitBeginsAShutdown(t *testing.T) {
	t.Parallel()
	s := &sidecar{status: fresh}
	w := call(s.handler(t), "POST", "/-/quit")
	mustBeJSON(t, w, 202)
	if s.quits != 1 || !strings.Contains(w.Body.String(), "shutting down") {
		t.Errorf("%d quits: %s", s.quits, w.Body)
	}
}

func TestMethodsThatMeanNothingHere(t *testing.T) {
	t.Parallel()
	s := &sidecar{status: fresh}
	h := s.handler(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/-/quit", 405, "POST"}, {"HEAD", "/-/quit", 405, "POST"}, {"PUT", "/-/quit", 405, "POST"}, {"GET", "/-/refresh", 405, "POST"}, {"OPTIONS", "/-/refresh", 405, "POST"},
		{"POST", "/status", 405, "GET, HEAD"}, {"POST", "/metrics", 405, "GET, HEAD"}, {"POST", "/livez", 405, "GET, HEAD"}, {"DELETE", "/readyz", 405, "GET, HEAD"}, {"POST", "/", 405, "GET, HEAD"},
		{"GET", "/nothing", 404, ""}, {"GET", "/status/", 404, ""}, {"GET", "/-/", 404, ""}, {"GET", "/debug/pprof/", 404, ""}, {"GET", "/admin/api/2026-10/shop.json", 404, ""},
	} {
		if w := call(h, c.method, c.path); w.Code != c.status || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.method, c.path, w.Code, w.Header().Get("Allow"), c.status, c.allow)
		}
	}
	if s.refreshes+s.quits != 0 {
		t.Errorf("%d refreshes and %d quits", s.refreshes, s.quits)
	}
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	w := call((&sidecar{}).handler(t), "GET", "/metrics", host("10.1.2.3:9090"), from("10.9.9.9:1"))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "evergate_something 42") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%d %v\n%s", w.Code, w.Header(), w.Body)
	}
}

// The test server, because only net/http itself cuts off the body of an answer to HEAD.
func TestHEADIsAnsweredWithoutABody(t *testing.T) {
	t.Parallel()
	for status, st := range map[int]refresh.Status{200: fresh, 503: failing} {
		server := httptest.NewServer((&sidecar{status: st}).handler(t))
		client := server.Client()
		for _, path := range []string{"/livez", "/readyz", "/startupz", "/status", "/", "/metrics"} {
			want := status
			if path != "/readyz" && path != "/startupz" {
				want = 200
			}
			resp, err := client.Head(server.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || len(body) != 0 || resp.StatusCode != want {
				t.Errorf("HEAD %s: %d, %d bytes, %v", path, resp.StatusCode, len(body), err)
			}
			_ = resp.Body.Close()
		}
		server.Close()
	}
}

// grants hands out a token, then fails with an error that has a secret in it.
type grants struct{ calls int }

func (*grants) Name() string { return "client_credentials" }

func (g *grants) Grant(context.Context) (token.Token, error) {
	g.calls++
	secret := token.NewSecret("s3cret-MARKER")
	if g.calls > 1 {
		return token.Token{}, fmt.Errorf("%w: %v %+v", token.ErrConfig, secret, token.Token{Access: secret})
	}
	return token.Token{Access: secret, Issued: time.Now(), Life: time.Hour, Scopes: []string{"read_products"}}, nil
}

func TestNoAnswerHoldsASecret(t *testing.T) {
	t.Parallel()
	shop, err := token.ParseShop("acme")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		source := refresh.New(refresh.Options{Shop: shop, Obtainer: refresh.Direct(&grants{}), Log: slog.New(slog.DiscardHandler)})
		h := New(Options{Tokens: source, Admission: newAdmission(t), Gatherer: prometheus.NewRegistry(), Quit: func() {}, Stopping: func() bool { return false }, Version: "1"})
		for _, status := range []int{200, 503} {
			time.Sleep(time.Minute) // or the second would be taken for the first, repeated
			for _, path := range []string{"/-/refresh", "/", "/status", "/metrics", "/livez", "/readyz", "/startupz", "/-/quit"} {
				method := "GET"
				if strings.HasPrefix(path, "/-/") {
					method = "POST"
				}
				w := call(h, method, path)
				if path == "/-/refresh" && w.Code != status {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				if strings.Contains(w.Body.String()+fmt.Sprint(w.Header()), "MARKER") {
					t.Errorf("%s shows the token:\n%s", path, w.Body)
				}
			}
		}
	})
}

package admin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/denial"
)

// What passes requests on says so in a header; there are many names for it.
func TestWhatHasComeThroughAProxyIsNotLocal(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded", "X_Forwarded_For", "x-forwarded-whatever",
		"Via", "X-Real-Ip", "X_real_ip", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "Client-IP", "Fly-Client-IP", "X-Cluster-Client-IP", "X-Original-Host", "CDN-Loop", "X-Original-Forwarded-For",
		"forwarded", "X-Forward-For", "X-FORWARD-PROTO", "HTTP_X_FORWARDED_FOR", "Z-Forwarded-For", "X-Originally-Forwarded-For", "Ali-CDN-Real-IP", "X-Originating-IP", "X-Real-Port", "Cf-Ray", "CF-Visitor",
		"X-Varnish", "X-Nginx-Proxy", "X-Scheme", "Front-End-Https", "Remote-Addr", "X-Arr-Log-Id", "X-Envoy-Internal", "Tailscale-User-Login", "X-AppEngine-User-IP", "X-BlueCoat-Via", "Incap-Client-IP",
		"X-Sucuri-ClientIP", "CloudFront-Viewer-Address", "X-Vercel-Id", "X-Nf-Request-Id", "Fastly-SSL", "X-Host", "Proxy-Client-IP", "WL-Proxy-Client-IP", "X-Azure-SocketIP",
	} {
		s := &sidecar{status: fresh}
		h := s.handler(t)
		for _, value := range []string{"203.0.113.9", "127.0.0.1", ""} {
			for _, target := range []string{"GET /", "GET /status", "GET /events", "POST /-/refresh", "POST /-/quit", "POST /-/log-level?level=debug"} {
				method, path, _ := strings.Cut(target, " ")
				w := call(h, method, path, func(r *http.Request) { r.Header[header] = []string{value} })
				if w.Code != http.StatusForbidden || w.Header().Get(denial.Header) != denial.CodeNotLocal {
					t.Errorf("%s with %s: %q: %d %v", target, header, value, w.Code, w.Header())
				}
			}
			for _, path := range []string{"/metrics", "/livez", "/readyz", "/startupz"} {
				if w := call(h, http.MethodGet, path, func(r *http.Request) { r.Header[header] = []string{value} }); w.Code != http.StatusOK {
					t.Errorf("%s with %s: %d", path, header, w.Code)
				}
			}
		}
		if s.quits+s.refreshes > 0 {
			t.Errorf("%s: an order was obeyed", header)
		}
	}
}

func TestNoLoginIsOnThisListener(t *testing.T) {
	t.Parallel()
	h := (&sidecar{status: fresh}).handler(t)
	for _, path := range []string{"/oauth/start", "/oauth/callback?code=x", "/oauth/", "/oauth"} {
		for _, name := range []string{"localhost:9090", "login.example.com"} {
			if w := call(h, http.MethodGet, path, host(name)); w.Code != http.StatusNotFound {
				t.Errorf("%s as %s: %d %s", path, name, w.Code, w.Body)
			}
		}
	}
}

func TestSessionTokensAreTakenFromProgramsOfThisMachine(t *testing.T) {
	t.Parallel()
	h := New(Options{
		Tokens: &sidecar{}, Admission: newAdmission(t), Gatherer: prometheus.NewRegistry(), Quit: func() {}, Stopping: func() bool { return false },
		Exchange: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "exchange") }),
	})
	const path = "/-/token-exchange"
	for _, tc := range []struct {
		name   string
		method string
		edit   []func(*http.Request)
		want   int
	}{
		{"local", http.MethodPost, nil, 200},
		{"own_name", http.MethodPost, []func(*http.Request){host("evergate.internal")}, 200},
		{"get", http.MethodGet, nil, 405},
		{"other_machine", http.MethodPost, []func(*http.Request){from("10.0.0.7:5")}, 403},
		{"other_host", http.MethodPost, []func(*http.Request){host("evil.example")}, 421},
		{"web_page", http.MethodPost, []func(*http.Request){with("Sec-Fetch-Site", "cross-site")}, 403},
		{"older_browser", http.MethodPost, []func(*http.Request){with("Origin", "https://evil.example")}, 403},
		{"page_of_another_port", http.MethodPost, []func(*http.Request){with("Origin", "http://localhost:3000")}, 403},
	} {
		if w := call(h, tc.method, path, tc.edit...); w.Code != tc.want || (tc.want == 200) != (w.Body.String() == "exchange") {
			t.Errorf("%s: %d %s", tc.name, w.Code, w.Body)
		}
	}
	if w := call((&sidecar{}).handler(t), http.MethodPost, path); w.Code != http.StatusNotFound {
		t.Errorf("without an exchange: %d", w.Code)
	}
}

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
		"X-Amzn-Trace-Id", "Ngrok-Auth-User-Email", "ngrok-skip-browser-warning", "X-Tailscale-Something", "X-Request-Start", "X-Cloud-Trace-Context", "X-Proxy-User", "Proxy-Connection", "Remote-User", "X-Auth-Request-Email",
		"X-Goog-IAP-JWT-Assertion", "X-Amz-Cf-Id", "Max-Forwards", "Ssl-Client-Verify", "X-SSL-Client-Cert", "X-WAWS-Unencoded-URL", "Client-Cert", "X-Kong-Request-Id", "X-Fly-Region", "X-Railway-Edge", "X-Queue-Start", "X-Edge-IP",
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

// Whose marks nobody has written down obeys no order either: only what clients send by themselves may stand there.
func TestOrdersHaveNoHeaderThatClientsDoNotSend(t *testing.T) {
	t.Parallel()
	s := &sidecar{status: fresh}
	h := s.handler(t)
	orders := []string{"/-/refresh", "/-/quit", "/-/log-level?level=debug"}
	for _, header := range []string{
		"X-Request-Id", "X-Correlation-Id", "X-New-Proxy-Of-Next-Year", "Zz-Hop", "X-Country", "X-User", "User_Agent", "Content_Length", "X-HTTP-Method-Override", "Geoip-City", "X-Geo-Country", "Client-Geo", "X-Trace", "X-Cache-Key", "Tunnel-Id",
	} {
		for _, order := range orders {
			w := call(h, http.MethodPost, order, func(r *http.Request) { r.Header[header] = []string{"x"} })
			if w.Code != http.StatusForbidden || w.Header().Get(denial.Header) != denial.CodeNotLocal || !strings.Contains(w.Body.String(), header) {
				t.Errorf("%s with %s: %d %s", order, header, w.Code, w.Body)
			}
		}
		if w := call(h, http.MethodGet, "/status", func(r *http.Request) { r.Header[header] = []string{"x"} }); w.Code != http.StatusOK {
			t.Errorf("/status with %s: %d", header, w.Code)
		}
	}
	byNginx := func(r *http.Request) {
		r.Proto, r.ProtoMinor = "HTTP/1.0", 0
		r.Header.Set("Connection", "close")
	}
	for _, order := range orders {
		if w := call(h, http.MethodPost, order, byNginx); w.Code != http.StatusForbidden {
			t.Errorf("%s by nginx: %d", order, w.Code)
		}
	}
	if s.quits+s.refreshes > 0 {
		t.Error("an order was obeyed")
	}
	curl := http.Header{"Accept": {"*/*"}, "User-Agent": {"curl/8.14.1"}, "Authorization": {"Bearer x"}, "Content-Length": {"0"}, "Content-Type": {"application/x-www-form-urlencoded"}, "Expect": {"100-continue"}}
	browser := http.Header{
		"Accept": {"*/*"}, "Accept-Encoding": {"gzip, deflate, br, zstd"}, "Accept-Language": {"de"}, "Cache-Control": {"no-cache"}, "Connection": {"keep-alive"}, "Content-Length": {"0"}, "Dnt": {"1"}, "Origin": {"http://localhost:9090"},
		"Pragma": {"no-cache"}, "Priority": {"u=0"}, "Referer": {"http://localhost:9090/"}, "Sec-Ch-Ua": {"x"}, "Sec-Ch-Ua-Mobile": {"?0"}, "Sec-Ch-Prefers-Color-Scheme": {"dark"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Mode": {"cors"},
		"Sec-Fetch-Site": {"same-origin"}, "Sec-Gpc": {"1"}, "User-Agent": {"Mozilla/5.0"}, "X-Requested-With": {"XMLHttpRequest"}, "Cookie": {"a=b"}, "Te": {"trailers"}, "Upgrade-Insecure-Requests": {"1"},
	}
	java := http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Http2-Settings": {"AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"}, "Upgrade": {"h2c"}, "User-Agent": {"Java-http-client/25"}}
	traced := http.Header{"Traceparent": {"x"}, "Tracestate": {"x"}, "Baggage": {"x"}, "Sentry-Trace": {"x"}, "X-Datadog-Trace-Id": {"1"}, "B3": {"0"}}
	for i, header := range []http.Header{curl, browser, java, traced, {}} {
		for _, order := range []string{"/-/refresh"} {
			if w := call(h, http.MethodPost, order, func(r *http.Request) { r.Header = header }); w.Code != http.StatusOK && w.Code != http.StatusAccepted && w.Code != http.StatusNoContent {
				t.Errorf("client %d, %s: %d %s", i, order, w.Code, w.Body)
			}
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

package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// publicHandler is a listener with a login behind public, which says "login".
func publicHandler(t *testing.T, s *sidecar, public string) http.Handler {
	t.Helper()
	u, err := url.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{
		Tokens: s, Door: newDoor(t), Gatherer: prometheus.NewRegistry(), Quit: func() { s.quits++ }, Stopping: func() bool { return false },
		Public: u, Login: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "login") }),
		Exchange: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "exchange") }),
	})
}

// A browser that Shopify sends back.
var fromShopify = []func(*http.Request){with("Sec-Fetch-Site", "cross-site"), with("Sec-Fetch-Mode", "navigate"), from("203.0.113.9:443")}

func TestLoginIsAnsweredUnderThePublicHostOnly(t *testing.T) {
	t.Parallel()
	h := publicHandler(t, &sidecar{status: fresh}, "https://login.example.com")
	for name, want := range map[string]int{
		"login.example.com": 200, "LOGIN.example.com": 200, "login.example.com:443": 200,
		"login.example.com:8443": 421, "login.example.com.": 421, "example.com": 421, "x.login.example.com": 421, "localhost:9090": 421, "127.0.0.1:9090": 421, "acme.myshopify.com": 421, "": 421,
	} {
		for _, path := range []string{"/oauth/start", "/oauth/callback?code=x"} {
			w := call(h, http.MethodGet, path, append(fromShopify, host(name))...)
			if w.Code != want || want == 200 != (w.Body.String() == "login") {
				t.Errorf("%s%s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
}

func TestNothingElseIsReachableThroughThePublicHost(t *testing.T) {
	t.Parallel()
	s := &sidecar{status: fresh}
	h := publicHandler(t, s, "https://login.example.com")
	for _, name := range []string{"login.example.com", "login.example.com:443", "login.example.com:9090", "Login.Example.Com.", "login.example.com.:443"} {
		for _, target := range []string{"GET /", "GET /status", "GET /metrics", "GET /livez", "GET /readyz", "GET /startupz", "POST /-/refresh", "POST /-/quit",
			"POST /-/token-exchange", "GET //oauth/start", "GET /oauth", "GET /x/../status", "GET /%6fauthx/start"} {
			method, path, _ := strings.Cut(target, " ")
			w := call(h, method, path, host(name)) // from this machine, as a tunnel's end is
			if w.Code != http.StatusMisdirectedRequest || w.Header().Get("X-Evergate-Error") != "misdirected_host" {
				t.Errorf("%s at %s: %d %s", target, name, w.Code, w.Body)
			}
		}
	}
	if s.quits+s.refreshes > 0 {
		t.Error("an order was obeyed")
	}
}

func TestOperatorsReachEverythingBesideThePublicHost(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"https://login.example.com", "http://localhost:9090", "http://127.0.0.1:9090", "https://[::1]:9090"} {
		s := &sidecar{status: fresh}
		h := publicHandler(t, s, public)
		for _, target := range []string{"GET /", "GET /status", "GET /metrics", "GET /livez", "GET /readyz", "POST /-/refresh"} {
			method, path, _ := strings.Cut(target, " ")
			for _, name := range []string{"localhost:9090", "127.0.0.1:9090", "[::1]:9090"} {
				if w := call(h, method, path, host(name)); w.Code != http.StatusOK {
					t.Errorf("%s at %s: %d %s", target, name, w.Code, w.Body)
				}
			}
		}
		for _, path := range []string{"/metrics", "/livez"} { // a scrape of the pod's address
			if w := call(h, http.MethodGet, path, host("10.1.2.3:9090"), from("10.9.9.9:1")); w.Code != http.StatusOK {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	}
}

func TestSessionTokensAreTakenFromProgramsOfThisMachine(t *testing.T) {
	t.Parallel()
	h := publicHandler(t, &sidecar{}, "https://login.example.com")
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

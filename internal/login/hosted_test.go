package login

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/grant"
	"evergate/internal/shopsim"
)

// hostedRig is a rig behind a public address.
type hostedRig struct {
	*rig
	handler http.Handler
	log     bytes.Buffer
}

func newHosted(t *testing.T) *hostedRig {
	t.Helper()
	h := &hostedRig{rig: newRig(t, func(o *Options) { o.Scopes = []string{"read_orders"} })}
	log := slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.handler = denialtest.Watched(t, h.flow.Hosted(&url.URL{Scheme: "https", Host: "login.example.com"}, log))
	return h
}

// start opens the first page in a new browser.
func (h *hostedRig) start(t *testing.T) (authorize string, cookie *http.Cookie) {
	t.Helper()
	w := visit(h.handler, http.MethodGet, "https://login.example.com/oauth/start")
	cookies := w.Result().Cookies()
	if w.Code != http.StatusFound || len(cookies) != 1 {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	return w.Header().Get("Location"), cookies[0]
}

func (h *hostedRig) callback(query string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	return visit(h.handler, http.MethodGet, "https://login.example.com/oauth/callback?"+query, cookies...)
}

func TestHostedLoginFromStartToEnd(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	authorize, cookie := h.start(t)
	u, err := url.Parse(authorize)
	if err != nil || u.Host != shopsim.DefaultShop || u.Query().Get("redirect_uri") != "https://login.example.com/oauth/callback" {
		t.Fatalf("%s", authorize)
	}
	if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge != 600 || cookie.Path != "/" || cookie.Domain != "" ||
		!strings.HasPrefix(cookie.Name, "__Host-") || cookie.Value != u.Query().Get("state") {
		t.Errorf("%+v", cookie)
	}
	query := h.decide(t, authorize, "install")
	w := h.callback(query, cookie)
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "The app is connected") || !strings.Contains(body, "close this window") {
		t.Errorf("%d %s", w.Code, body)
	}
	if c := w.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 || c[0].Name != cookie.Name || !c[0].Secure {
		t.Errorf("the cookie stays: %v", c)
	}
	if h.record(t).Current.Refresh.Empty() {
		t.Error("nothing is stored")
	}
	if w := h.callback(query, cookie); w.Code != http.StatusBadRequest || h.posts() != 1 {
		t.Errorf("again: %d after %d exchanges", w.Code, h.posts())
	}
	if log := h.log.String(); !strings.Contains(log, "a merchant has authorised the app") || strings.Contains(log, "code=") || strings.Contains(log, cookie.Value) {
		t.Errorf("%s", log)
	}
}

// Somebody who lures a merchant to the callback of their own login must get nothing.
func TestHostedCallbackNeedsTheBrowserThatStarted(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	authorize, cookie := h.start(t)
	_, other := h.start(t)
	query := h.decide(t, authorize, "install")
	forged := *cookie
	forged.Value = ""
	for name, cookies := range map[string][]*http.Cookie{"none": nil, "of_another_login": {other}, "empty": {&forged}} {
		w := h.callback(query, cookies...)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "another login") || !strings.Contains(w.Body.String(), `href="/oauth/start"`) ||
			len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if h.posts() != 0 {
		t.Error("a code was exchanged")
	}
	if w := h.callback(query, other, cookie); w.Code != http.StatusBadRequest {
		t.Errorf("two cookies: %d", w.Code) // the first is not the login's
	}
	if w := h.callback(query, cookie); w.Code != http.StatusOK {
		t.Errorf("the login does not go on: %d %s", w.Code, w.Body)
	}
}

func TestHostedDeclinedLogin(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	authorize, cookie := h.start(t)
	w := h.callback(h.decide(t, authorize, "cancel"), cookie)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "was not connected") || !strings.Contains(w.Body.String(), "Start again") || !h.isEmpty(t) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestHostedFailureKeepsItsReasonForTheLog(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	h.sim.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 500, Endpoint: shopsim.TokenEndpoint})
	authorize, cookie := h.start(t)
	w := h.callback(h.decide(t, authorize, "install"), cookie)
	if w.Code != http.StatusBadGateway || strings.Contains(w.Body.String(), "500") || !strings.Contains(h.log.String(), "500") {
		t.Errorf("%d %s\n%s", w.Code, w.Body, &h.log)
	}
}

func TestHostedStartWithoutAnApp(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	h.flow.Grant.Endpoint.Client = func() (grant.Client, error) { return grant.Client{}, http.ErrNoCookie }
	w := visit(h.handler, http.MethodGet, "https://login.example.com/oauth/start")
	if w.Code != http.StatusServiceUnavailable || len(w.Result().Cookies()) != 0 || strings.Contains(w.Body.String(), http.ErrNoCookie.Error()) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestOnlyGETOfTheTwoPathsIsAnswered(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	authorize, cookie := h.start(t)
	query := h.decide(t, authorize, "install")
	for _, path := range []string{"/", "/oauth", "/oauth/", "/oauth/start/", "/oauth/%73tart", "/oauth/callback/", "/status"} {
		if w := visit(h.handler, http.MethodGet, "https://login.example.com"+path+"?"+query, cookie); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodOptions} {
		for _, path := range []string{StartPath, CallbackPath} {
			w := visit(h.handler, method, "https://login.example.com"+path+"?"+query, cookie)
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET" || len(w.Result().Cookies()) != 0 {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
	if w := h.callback(query, cookie); w.Code != http.StatusOK {
		t.Errorf("the code was used up: %d", w.Code)
	}
}

func TestHostedLoginIsAnsweredUnderThePublicHostOnly(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	for name, want := range map[string]int{
		"login.example.com": 302, "LOGIN.example.com": 302, "login.example.com:443": 302,
		"login.example.com:8443": 421, "login.example.com.": 421, "example.com": 421, "x.login.example.com": 421, "localhost:9090": 421, "127.0.0.1:9090": 421, "acme.myshopify.com": 421, "": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, StartPath, nil)
		r.Host = name
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code != want || want == 421 && (w.Header().Get(denial.Header) != denial.CodeMisdirectedHost || len(w.Result().Cookies()) != 0) {
			t.Errorf("%q: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
	for _, target := range []string{"GET /", "GET /status", "GET /metrics", "GET /livez", "GET /readyz", "GET /startupz", "GET /events", "POST /-/refresh", "POST /-/quit", "POST /-/token-exchange",
		"GET //oauth/start", "GET /oauth", "GET /oauth/x", "GET /x/../status", "GET /admin/api/2026-10/shop.json"} {
		method, path, _ := strings.Cut(target, " ")
		r := httptest.NewRequest(method, "https://login.example.com"+path, nil)
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestLoopbackAnswersOnePathOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	authorize, state := r.begin(t)
	query := r.decide(t, authorize, "install")
	var heard []Outcome
	h := denialtest.Watched(t, r.flow.Loopback("/callback", state, func(o Outcome) { heard = append(heard, o) }))
	for _, path := range []string{"/", "/favicon.ico", "/callback/", "/%63allback", "/status"} {
		if w := visit(h, http.MethodGet, path+"?"+query); w.Code != http.StatusNotFound || w.Header().Get("Connection") != "close" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if w := visit(h, http.MethodHead, "/callback?"+query); w.Code != http.StatusMethodNotAllowed || heard != nil {
		t.Errorf("HEAD: %d", w.Code)
	}
	if w := visit(h, http.MethodGet, "/callback?"+signed(state, "x", time.Now())); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "still waiting") {
		t.Errorf("forged: %d %s", w.Code, w.Body)
	}
	if w := visit(h, http.MethodGet, "/callback?"+query); w.Code != http.StatusOK || w.Header().Get("Connection") != "close" || !strings.Contains(w.Body.String(), "terminal") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if len(heard) != 2 || IsOver(heard[0].Err) || heard[1].Err != nil || heard[1].Granted.Shop != r.shop {
		t.Errorf("%+v", heard)
	}
}

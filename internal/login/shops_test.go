package login

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/grant"
	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
)

const otherShop = "other-shop.myshopify.com"

// manyRig is a rig whose shops may both log in, behind a public address.
type manyRig struct {
	*rig
	shops   *Shops
	handler http.Handler
	places  map[string]token.Store
	opened  int
	stored  []string
	log     bytes.Buffer
}

func newMany(t *testing.T) *manyRig {
	t.Helper()
	m := &manyRig{rig: newRig(t), places: map[string]token.Store{}}
	for _, name := range []string{shopsim.DefaultShop, otherShop} {
		shop, _ := token.ParseShop(name)
		m.places[name] = store.Memory(shop)
	}
	m.shops = NewShops(ShopsOptions{Of: m.of, Only: func() (token.Shop, bool) { return token.Shop{}, false }})
	log := slog.New(slog.NewTextHandler(&m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m.handler = denialtest.Watched(t, m.shops.Hosted(&url.URL{Scheme: "https", Host: "login.example.com"}, log))
	return m
}

func (m *manyRig) of(shop token.Shop) (Options, error) {
	place, ok := m.places[shop.Domain()]
	if !ok {
		return Options{}, ErrNobody
	}
	e := &grant.Endpoint{Client: m.flow.Grant.Endpoint.Client,
		API: &shopify.Client{Shop: shop, Base: &url.URL{Scheme: "https", Host: shop.Domain()}, Transport: m.sim.RoundTripper()}}
	return Options{
		Grant: grant.Offline{Endpoint: e}, Open: func() (token.Store, error) { m.opened++; return place, nil },
		Stored: func() { m.stored = append(m.stored, shop.Domain()) },
	}, nil
}

func (m *manyRig) visit(target string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	return visit(m.handler, http.MethodGet, "https://login.example.com"+target, cookies...)
}

func (m *manyRig) start(t *testing.T, name string) (authorize string, cookie *http.Cookie) {
	t.Helper()
	w := m.visit(StartPath + "?shop=" + name)
	if w.Code != http.StatusFound {
		t.Fatalf("%s: %d %s", name, w.Code, w.Body)
	}
	return w.Header().Get("Location"), w.Result().Cookies()[0]
}

func TestEachShopLogsInForItself(t *testing.T) {
	t.Parallel()
	m := newMany(t)
	for i, name := range []string{"other-shop", strings.ToUpper(shopsim.DefaultShop)} {
		authorize, cookie := m.start(t, name)
		if m.opened != i {
			t.Error("the store is opened for a login that only begins")
		}
		query := m.decide(t, authorize, "install")
		if w := m.visit(CallbackPath+"?"+query, cookie); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		if w := m.visit(CallbackPath+"?"+query, cookie); w.Code != http.StatusBadRequest {
			t.Errorf("%s: a callback is good twice: %d", name, w.Code)
		}
	}
	if strings.Join(m.stored, " ") != otherShop+" "+shopsim.DefaultShop || m.posts() != 2 {
		t.Errorf("%v after %d exchanges", m.stored, m.posts())
	}
	for name, place := range m.places {
		if r, _, err := place.Load(t.Context()); err != nil || r.Shop != name || r.Current.Refresh.Empty() {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestALoginOfOneShopEndsNoneOfAnother(t *testing.T) {
	t.Parallel()
	m := newMany(t)
	_, cookie := m.start(t, "other-shop")
	authorize, own := m.start(t, shopsim.DefaultShop)
	query := m.decide(t, authorize, "install")
	moved := strings.Replace(query, "shop="+shopsim.DefaultShop, "shop="+otherShop, 1)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"the cookie of another shop's login": m.visit(CallbackPath+"?"+query, cookie),
		"a callback moved to another shop":   m.visit(CallbackPath+"?"+moved, own),
		"and with that one's cookie":         m.visit(CallbackPath+"?"+moved, cookie),
	} {
		if w.Code != http.StatusBadRequest || w.Header().Get(denial.Header) != denial.CodeLoginRefused || !strings.Contains(w.Body.String(), `href="/oauth/start?shop=`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if m.posts() != 0 || m.opened != 0 {
		t.Errorf("%d exchanges, %d stores opened", m.posts(), m.opened)
	}
	if w := m.visit(CallbackPath+"?"+query, own); w.Code != http.StatusOK {
		t.Errorf("the login does not go on: %d %s", w.Code, w.Body)
	}
}

func TestStrangersShopsAreRefusedAndNotKept(t *testing.T) {
	t.Parallel()
	m := newMany(t)
	for _, tc := range []struct {
		query string
		want  int
	}{
		{"", http.StatusBadRequest}, {"?shop=acme&shop=other-shop", http.StatusBadRequest},
		{"?shop=", http.StatusForbidden}, {"?shop=stranger", http.StatusForbidden}, {"?shop=stranger.myshopify.com", http.StatusForbidden},
		{"?shop=other-shop.example.com", http.StatusForbidden}, {"?shop=%22%3E%3Cscript%3E", http.StatusForbidden}, {"?shop=other-shop%00", http.StatusForbidden},
		{"?shop=https://other-shop.myshopify.com/", http.StatusForbidden},
	} {
		for _, path := range []string{StartPath, CallbackPath} {
			w := m.visit(path + tc.query)
			if w.Code != tc.want || w.Header().Get(denial.Header) != denial.CodeLoginRefused || len(w.Result().Cookies()) != 0 ||
				strings.Contains(w.Body.String(), "stranger") || strings.Contains(w.Body.String(), "script") {
				t.Errorf("%s%s: %d %s", path, tc.query, w.Code, w.Body)
			}
		}
	}
	for range 100 {
		m.start(t, "other-shop")
	}
	if len(m.shops.ledger.used) != 0 || m.opened != 0 {
		t.Errorf("%d logins are remembered, %d stores opened", len(m.shops.ledger.used), m.opened)
	}
}

func TestASessionTokenSaysWhichShopItIsOf(t *testing.T) {
	t.Parallel()
	m := newMany(t)
	handler := m.shops.ExchangeHandler(slog.New(slog.NewTextHandler(&m.log, nil)))
	post := func(session string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/-/token-exchange", strings.NewReader(url.Values{"session_token": {session}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	good := m.sim.SessionToken(otherShop, "")
	if w := post(good); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), otherShop) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if len(m.stored) != 1 || m.stored[0] != otherShop {
		t.Errorf("%v", m.stored)
	}
	parts := strings.Split(good, ".")
	mine := strings.Split(m.sim.SessionToken(shopsim.DefaultShop, ""), ".")
	delete(m.places, otherShop)
	for name, tc := range map[string]struct {
		session, code string
		status        int
	}{
		"a shop that may not":    {good, denial.CodeDeniedShop, http.StatusForbidden},
		"claims of another's":    {parts[0] + "." + mine[1] + "." + parts[2], denial.CodeInvalidSessionToken, http.StatusBadRequest},
		"no JWT":                 {"abc", denial.CodeInvalidSessionToken, http.StatusBadRequest},
		"claims that are none":   {"a.b.c", denial.CodeInvalidSessionToken, http.StatusBadRequest},
		"claims without a shop":  {"e30.e30.e30", denial.CodeInvalidSessionToken, http.StatusBadRequest},
		"more than is looked at": {"e30." + strings.Repeat("A", 9000) + ".e30", denial.CodeInvalidSessionToken, http.StatusBadRequest},
	} {
		if w := post(tc.session); w.Code != tc.status || w.Header().Get(denial.Header) != tc.code {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if m.posts() != 1 || strings.Contains(m.log.String(), parts[2]) {
		t.Errorf("%d exchanges\n%s", m.posts(), &m.log)
	}
}

func TestCloseLetsNoShopsExchangeBegin(t *testing.T) {
	t.Parallel()
	m := newMany(t)
	authorize, cookie := m.start(t, "other-shop")
	query := m.decide(t, authorize, "install")
	m.shops.Close()
	if w := m.visit(CallbackPath+"?"+query, cookie); w.Code != http.StatusBadGateway || m.posts() != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

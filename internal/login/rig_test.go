package login

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"evergate/internal/grant"
	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
)

const (
	redirectURI = "http://127.0.0.1:3456/callback"
	oldSecret   = "shpss_ffffffffffffffffffffffffffffffff"
)

// rig is a flow in front of a simulated Shopify that runs in process.
type rig struct {
	sim   *shopsim.Sim
	store token.Store
	flow  *Flow
	shop  token.Shop
}

func newRig(t testing.TB, edit ...func(*Options)) *rig {
	t.Helper()
	sim := shopsim.New(shopsim.Options{
		Shops: []shopsim.Shop{{Domain: shopsim.DefaultShop}, {Domain: "other-shop"}},
		Apps:  []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, RedirectURLs: []string{"https://login.example.com/oauth/callback"}}},
	})
	shop, err := token.ParseShop(shopsim.DefaultShop)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{sim: sim, store: store.Memory(shop), shop: shop}
	o := Options{Store: r.store, Scopes: []string{"read_products"}, Grant: grant.Offline{Endpoint: &grant.Endpoint{
		API: &shopify.Client{Shop: shop, Base: &url.URL{Scheme: "https", Host: shop.Domain()}, Transport: sim.RoundTripper()},
		Client: func() (grant.Client, error) {
			return grant.Client{ID: shopsim.DefaultClientID, Secret: token.NewSecret(shopsim.DefaultClientSecret)}, nil
		},
		Previous: func() (token.Secret, error) { return token.NewSecret(oldSecret), nil },
	}}}
	for _, f := range edit {
		f(&o)
	}
	r.store = o.Store
	r.flow = New(o)
	return r
}

func (r *rig) begin(t testing.TB) (authorize, state string) {
	t.Helper()
	authorize, state, err := r.flow.Begin(redirectURI)
	if err != nil {
		t.Fatal(err)
	}
	return authorize, state
}

// decide is what the merchant does on Shopify's page; it returns the query of the callback.
func (r *rig) decide(t testing.TB, authorize, decision string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, authorize, strings.NewReader("decision="+decision))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := r.sim.RoundTripper().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return to.RawQuery
}

func (r *rig) record(t testing.TB) token.Record {
	t.Helper()
	record, _, err := r.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func (r *rig) isEmpty(t testing.TB) bool {
	t.Helper()
	_, handle, _ := r.store.Load(t.Context())
	return handle == ""
}

// posts counts the requests at the token endpoint.
func (r *rig) posts() (n int) {
	for _, e := range r.sim.Journal() {
		if strings.HasSuffix(e.Path, "/access_token") {
			n++
		}
	}
	return n
}

// signed is a callback with the parameters of a good one except for edits; "-" takes one away.
func signed(state, secret string, now time.Time, edits ...string) string {
	q := url.Values{"code": {"c0de"}, "shop": {shopsim.DefaultShop}, "state": {state}, "timestamp": {strconv.FormatInt(now.Unix(), 10)}}
	for i := 0; i < len(edits); i += 2 {
		if q.Set(edits[i], edits[i+1]); edits[i+1] == "-" {
			q.Del(edits[i])
		}
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(q.Encode())) // its values need no escaping, and it is sorted
	return q.Encode() + "&hmac=" + hex.EncodeToString(mac.Sum(nil))
}

func visit(h http.Handler, method, target string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

package shopsim

import (
	"encoding/base64"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const loopback = "http://127.0.0.1:3999/callback"

// ask is the query of an authorize request of the default app, with changes.
func ask(change ...string) string {
	v := url.Values{"client_id": {DefaultClientID}, "redirect_uri": {loopback}, "state": {"b7d2a1c4e9"}}
	for i := 0; i+1 < len(change); i += 2 {
		v.Set(change[i], change[i+1])
	}
	return "/admin/oauth/authorize?" + v.Encode()
}

// decide presses a button of the consent page.
func (c *client) decide(target, decision string) answer {
	c.t.Helper()
	a, err := c.try(http.MethodPost, target, "application/x-www-form-urlencoded", "decision="+decision)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// sentBack reads the redirect that ends the flow.
func sentBack(t *testing.T, a answer) url.Values {
	t.Helper()
	want(t, a, 302)
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// signedRight checks hmac as an app would, over the raw query.
func signedRight(location, secret string, form SignedForm) bool {
	_, query, _ := strings.Cut(location, "?")
	var message []string
	sum := ""
	for pair := range strings.SplitSeq(query, "&") { // they arrive sorted
		name, value, _ := strings.Cut(pair, "=")
		if name == "hmac" {
			sum = value
			continue
		}
		if form == SignedDecoded {
			value, _ = url.PathUnescape(value)
			value = strings.ReplaceAll(strings.ReplaceAll(value, "%", "%25"), "&", "%26")
		}
		message = append(message, name+"="+value)
	}
	return sum == strings.ToLower(strings.TrimSpace(hexOf(mac(secret, strings.Join(message, "&")))))
}

func hexOf(b []byte) string {
	var out strings.Builder
	for _, x := range b {
		out.WriteString(strconv.FormatUint(uint64(x)+256, 16)[1:])
	}
	return out.String()
}

func TestConsentBringsACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Shops: []Shop{{Domain: DefaultShop, NotInstalled: true}}})
		c := newClient(t, s)
		want(t, c.mint(), 400, "app_not_installed")
		target := ask("scope", "read_orders,write_customers", "extra", "ignored", "grant_options[]", "")
		page := c.get(target)
		want(t, page, 200, "<li>read_orders</li>", "<li>write_customers</li>", "Blue Finch", `lang="en"`, `<form method="post">`,
			`name="decision" value="install">Install</button>`, `name="decision" value="cancel">Cancel</button>`)
		if s.state.shops[DefaultShop].installed[DefaultClientID] {
			t.Error("looking at the page installs the app")
		}
		a := c.decide(target, "install")
		q := sentBack(t, a)
		if !strings.HasPrefix(a.Header.Get("Location"), loopback+"?code=") || q.Get("state") != "b7d2a1c4e9" || q.Get("shop") != DefaultShop ||
			q.Get("timestamp") != strconv.FormatInt(time.Now().Unix(), 10) || len(q.Get("code")) != 32 || len(q) != 6 {
			t.Errorf("sent back to %s", a.Header.Get("Location"))
		}
		host, err := base64.RawStdEncoding.DecodeString(q.Get("host"))
		if err != nil || string(host) != "admin.shopify.com/store/blue-finch" {
			t.Errorf("host %q: %v", host, err)
		}
		want(t, c.redeem(q.Get("code"), "expiring", "1"), 200, `"scope":"read_orders,write_customers"`, "shprt_")
		want(t, c.mint(), 200) // installed now
	})
}

func TestTheConsentPageEscapesWhatItShows(t *testing.T) {
	const hostile = `"><script>alert(1)</script>'`
	s := New(Options{Shops: []Shop{{Domain: DefaultShop, Name: hostile}}, Apps: []App{{ClientID: hostile, ClientSecret: "s"}}})
	a := newClient(t, s).get(ask("client_id", hostile, "grant_options[]", "per-user"))
	want(t, a, 200, "on behalf of you alone")
	if n := strings.Count(a.body, html.EscapeString(hostile)); n != 3 || strings.Contains(a.body, "<script") {
		t.Errorf("%d of 3 values are on the page, escaped:\n%s", n, a.body)
	}
}

func TestPerUserConsentBringsAnOnlineToken(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	target := ask("grant_options[]", "per-user")
	want(t, c.get(target), 200, "on behalf of you alone")
	a := c.redeem(sentBack(t, c.decide(target, "install")).Get("code"), "expiring", "1")
	want(t, a, 200, "shpua_", `"associated_user":{"id":70000001`)
}

func TestCancel(t *testing.T) {
	s := New(Options{Shops: []Shop{{Domain: DefaultShop, NotInstalled: true}}})
	c := newClient(t, s)
	a := c.decide(ask(), "cancel")
	q := sentBack(t, a)
	if q.Get("error") != "access_denied" || q.Get("error_description") == "" || q.Get("state") != "b7d2a1c4e9" || q.Has("code") ||
		!signedRight(a.Header.Get("Location"), DefaultClientSecret, SignedDecoded) {
		t.Errorf("sent back with %v", q)
	}
	s.Change(func(c *Settings) { c.CancelSilently = true })
	a = c.decide(ask(), "cancel")
	want(t, a, 200, "cancelled")
	if a.Header.Get("Location") != "" {
		t.Error("sent back")
	}
	want(t, c.mint(), 400, "app_not_installed")
	want(t, c.decide(ask(), "later"), 400, "The decision must be")
	want(t, c.decide(ask(), "%zz"), 400, "invalid_request")
}

func TestSignedQueries(t *testing.T) {
	params := func(host string) url.Values {
		return url.Values{"code": {"9f1c2ab34d5e6f708192a3b4c5d6e7f8"}, "host": {host}, "shop": {DefaultShop},
			"state": {"b7d2a1c4e9"}, "timestamp": {"1795305600"}}
	}
	const host = "YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvYmx1ZS1maW5jaA"
	for _, tc := range []struct {
		name   string
		params url.Values
		secret string
		form   SignedForm
		hex    string
	}{
		{"documented", url.Values{"code": {"0907a61c0c8d55e99db179b68161bc00"}, "shop": {"some-shop.myshopify.com"},
			"state": {"0.6784241404160823"}, "timestamp": {"1337178173"}}, "hush", SignedDecoded,
			"700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf"},
		{"decoded", params(host), DefaultClientSecret, SignedDecoded, "76b632f0d8a1335c2bb0a81853841825e1cc38dea4d73c8183b1a346fe45de40"},
		{"encoded", params(host), DefaultClientSecret, SignedEncoded, "76b632f0d8a1335c2bb0a81853841825e1cc38dea4d73c8183b1a346fe45de40"},
		{"decoded_padding", params(host + "=="), DefaultClientSecret, SignedDecoded, "e1c2bd5085ede87c16b9cd1ce8790fa5a6f57c93851419f817295e6c065da73f"},
		{"encoded_padding", params(host + "=="), DefaultClientSecret, SignedEncoded, "67ff8cdeb9aa16ff21a57fad57659617aff1d8719a37720da3dbf13ac2d28761"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := signQuery(tc.params, tc.secret, tc.form); got != tc.hex {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestRedirectsAreSigned(t *testing.T) {
	const odd = "a&b=c%d+e f/g?é"
	for _, form := range []SignedForm{SignedDecoded, SignedEncoded} {
		for _, padding := range []bool{false, true} {
			s := New(Options{Settings: Settings{SignedForm: form, HostPadding: padding}})
			second := s.RotateSecret("", "", false)
			c := newClient(t, s)
			a := c.decide(ask("state", odd, "redirect_uri", loopback+"?tenant=a%20b"), "install")
			q := sentBack(t, a)
			location := a.Header.Get("Location")
			if q.Get("state") != odd || q.Get("tenant") != "a b" || strings.HasSuffix(q.Get("host"), "==") != padding {
				t.Errorf("sent back to %s", location)
			}
			if !signedRight(location, DefaultClientSecret, form) || signedRight(location, second, form) {
				t.Errorf("%s, padding %v: want the signature of the oldest secret: %s", form, padding, location)
			}
			s.RotateSecret("", second, true)
			if a := c.decide(ask(), "install"); !signedRight(a.Header.Get("Location"), second, form) {
				t.Errorf("%s: want the signature of the only secret left: %s", form, a.Header.Get("Location"))
			}
		}
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	const listed, elsewhere = "https://app.example/callback?x=1", "https://other.example/callback"
	page := func(code, text string) []string {
		return []string{"<title>400 - Oauth error " + code + "</title>", "Oauth error " + code + ": " + text}
	}
	ok := []string{"<form"}
	notListed := page("invalid_request", "The redirect_uri is not whitelisted")
	for _, tc := range []struct {
		name   string
		exact  bool
		change []string
		status int
		parts  []string
	}{
		{"loopback", false, nil, 200, ok},
		{"localhost", false, []string{"redirect_uri", "http://localhost:1/"}, 200, ok},
		{"listed", false, []string{"redirect_uri", listed}, 200, ok},
		{"unknown_app", false, []string{"client_id", "<i>"}, 400, page("application_cannot_be_found", "Could not find Shopify API application with api_key &lt;i&gt;")},
		{"not_listed", false, []string{"redirect_uri", "https://app.example/callback"}, 400, notListed},
		{"not_quite_listed", false, []string{"redirect_uri", listed + "&y=2"}, 400, notListed},
		{"no_redirect", false, []string{"redirect_uri", ""}, 400, notListed},
		{"no_url", false, []string{"redirect_uri", "http://[::1"}, 400, notListed},
		{"fragment", false, []string{"redirect_uri", loopback + "#x"}, 400, notListed},
		{"user", false, []string{"redirect_uri", "http://localhost@evil.example/"}, 400, notListed},
		{"user_at_loopback", false, []string{"redirect_uri", "http://evil@localhost/"}, 400, notListed},
		{"https_loopback", false, []string{"redirect_uri", "https://localhost/"}, 400, notListed},
		{"other_host", false, []string{"redirect_uri", elsewhere}, 400,
			page("invalid_request", "The redirect_uri and application url must have matching hosts")},
		{"exact_loopback", true, nil, 400, notListed},
		{"exact_listed", true, []string{"redirect_uri", listed}, 200, ok},
		{"scope", false, []string{"scope", "read_products,drop_tables"}, 400, page("invalid_scope", "The scope &#34;drop_tables&#34; does not exist.")},
		{"scope_case", false, []string{"scope", "READ_products"}, 400, page("invalid_scope", "")},
		{"scopes", false, []string{"scope", "read_products, unauthenticated_read_product_listings,customer_read_orders"}, 200, ok},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := New(Options{
				Apps: []App{{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret, AppURL: "https://app.example/start",
					RedirectURLs: []string{listed, elsewhere}}},
				Settings: Settings{ExactRedirects: tc.exact},
			})
			c := newClient(t, s)
			want(t, c.get(ask(tc.change...)), tc.status, tc.parts...)
			if a := c.decide(ask(tc.change...), "install"); (a.StatusCode == 302) != (tc.status == 200) {
				t.Errorf("pressing Install: status %d", a.StatusCode)
			}
		})
	}
	c := newClient(t, New(Options{}))
	want(t, c.get("/admin/oauth/authorize"), 400, "application_cannot_be_found")
	want(t, c.get("/admin/oauth/authorize?a=%zz"), 400, "invalid_request")
	want(t, c.do(http.MethodDelete, ask(), ""), 405)
}

func TestExactRedirectsTakeAListedLoopback(t *testing.T) {
	app := App{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret, RedirectURLs: []string{loopback}}
	s := New(Options{Apps: []App{app}, Settings: Settings{ExactRedirects: true}})
	want(t, newClient(t, s).get(ask()), 200)
	app.AppURL = "https://example.com"
	s = New(Options{Apps: []App{app}, Settings: Settings{ExactRedirects: true}})
	want(t, newClient(t, s).get(ask()), 400, "must have matching hosts")
}

func TestBadAppURLsAreReported(t *testing.T) {
	for _, a := range []App{{AppURL: "app.example"}, {RedirectURLs: []string{"/callback"}}, {RedirectURLs: []string{"https://a.example/#x"}}} {
		a.ClientID, a.ClientSecret = "a", "b"
		if err := (Options{Apps: []App{a}}).Validate(); err == nil || !strings.Contains(err.Error(), "want one such as") {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

func FuzzAuthorize(f *testing.F) {
	for _, seed := range []string{ask(), ask("scope", "read_x,<b>"), ask("redirect_uri", "http://localhost:1/?a=%00&hmac=1"), ask("state", "\r\nSet-Cookie: a")} {
		_, query, _ := strings.Cut(seed, "?")
		f.Add(query)
	}
	f.Add("client_id=" + DefaultClientID + "&redirect_uri=http://localhost%2Fa;b&state=%ff&grant_options[]=per-user")
	header := regexp.MustCompile(`[^\x20-\x7e]`)
	f.Fuzz(func(t *testing.T, query string) {
		s := New(Options{Seed: 1})
		q := &request{Request: &http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: query}}, now: time.Now(), shop: s.state.shops[DefaultShop]}
		page := s.authorize(q)
		if page.status != 200 && page.status != 400 {
			t.Fatalf("status %d", page.status)
		}
		q.Method, q.body = http.MethodPost, []byte("decision=install")
		back := s.authorize(q)
		if (back.status == 302) != (page.status == 200) {
			t.Fatalf("asking: %d, pressing Install: %d", page.status, back.status)
		}
		if back.status != 302 {
			return
		}
		location := back.header.Get("Location")
		u, err := url.Parse(location)
		if err != nil || header.MatchString(location) || (u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1") {
			t.Fatalf("sent to %q: %v", location, err)
		}
		params := u.Query()
		sum := params.Get("hmac")
		params.Del("hmac")
		if sum != signQuery(params, DefaultClientSecret, SignedDecoded) {
			t.Fatalf("the signature does not match in %s", location)
		}
	})
}

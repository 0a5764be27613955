package shopsim

import (
	"encoding/json"
	"go/parser"
	gotoken "go/token"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const shopURL = "https://" + DefaultShop

// answer is a response that has been read to its end.
type answer struct {
	*http.Response
	body string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("answer is not a JSON object: %v\n%s", err, a.body)
	}
	return v
}

// client talks to a simulator without a network.
type client struct {
	t     *testing.T
	rt    http.RoundTripper
	token string
}

func newClient(t *testing.T, s *Sim) *client { return &client{t: t, rt: s.RoundTripper()} }

// mintingClient is a client that already has a token of the first app and shop.
func mintingClient(t *testing.T, s *Sim) *client {
	c := newClient(t, s)
	c.token = s.IssueToken("", "", time.Hour)
	return c
}

func (c *client) try(method, target, contentType, body string) (answer, error) {
	c.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = shopURL + target
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set("X-Shopify-Access-Token", c.token)
	}
	resp, err := c.rt.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return answer{resp, string(b)}, err
}

func (c *client) do(method, target, body string) answer {
	c.t.Helper()
	a, err := c.try(method, target, "application/json", body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

func (c *client) get(target string) answer { c.t.Helper(); return c.do(http.MethodGet, target, "") }

// credentials is the token request of the default app, with changes.
func credentials(change ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {DefaultClientID}, "client_secret": {DefaultClientSecret}}
	for i := 0; i+1 < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return form
}

func (c *client) mint(change ...string) answer {
	c.t.Helper()
	a, err := c.try(http.MethodPost, "/admin/oauth/access_token", "application/x-www-form-urlencoded", credentials(change...).Encode())
	if err != nil {
		c.t.Fatalf("token request: %v", err)
	}
	return a
}

func (c *client) mintToken() string {
	c.t.Helper()
	token, _ := c.mint().json(c.t)["access_token"].(string)
	if token == "" {
		c.t.Fatal("no token was minted")
	}
	return token
}

func want(t *testing.T, a answer, status int, parts ...string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d: %s", a.StatusCode, status, a.body)
	}
	for _, part := range parts {
		if !strings.Contains(a.body, part) {
			t.Errorf("body lacks %q: %s", part, a.body)
		}
	}
}

func TestImportsNothingOfTheProduct(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source files: %v", err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(gotoken.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			target := strings.Trim(imp.Path.Value, `"`)
			if target == "evergate/internal/shopsim" {
				continue // an example sees its package as others do
			}
			first, _, _ := strings.Cut(target, "/")
			if first == "evergate" || strings.Contains(first, ".") && !strings.HasPrefix(target, "github.com/vektah/gqlparser/v2/") {
				t.Errorf("%s imports %s", name, imp.Path.Value)
			}
		}
	}
}

func TestHostNamesTheShop(t *testing.T) {
	s := New(Options{
		Shops:         []Shop{{Domain: "Acme", CustomDomains: []string{"shop.acme.example"}}, {Domain: "blue-finch"}},
		LocalhostShop: "acme",
	})
	c := mintingClient(t, s)
	want(t, c.get("https://acme.myshopify.com/admin/api/2026-10/shop.json"), 200, `"name":"Acme"`)
	want(t, c.get("https://ACME.myshopify.com:443/admin/api/2026-10/shop.json"), 200)
	want(t, c.get("http://localhost:8080/admin/api/2026-10/shop.json"), 200, `"name":"Acme"`)
	want(t, c.get("http://[::1]:8080/admin/api/2026-10/shop.json"), 200)
	want(t, c.get("https://other.myshopify.com/admin/api/2026-10/shop.json"), 404, "Store unavailable")
	want(t, c.get("https://blue-finch.myshopify.com/admin/api/2026-10/shop.json"), 401) // the token is acme's
	moved := c.get("https://shop.acme.example/admin/api/2026-10/shop.json?a=%2f")
	want(t, moved, 301)
	if got := moved.Header.Get("Location"); got != "https://acme.myshopify.com/admin/api/2026-10/shop.json?a=%2f" {
		t.Errorf("Location %q", got)
	}
}

func TestPathSpellingsReachTheSameEndpoint(t *testing.T) {
	c := newClient(t, New(Options{}))
	for _, path := range []string{
		"/admin/oauth/access_token", "/admin/oauth/access_token.json", "/admin/oauth/access_token/",
		"//admin//oauth/access_token", "/admin/oauth/access%5Ftoken",
	} {
		a, err := c.try(http.MethodPost, path, "application/x-www-form-urlencoded", credentials().Encode())
		if err != nil {
			t.Fatal(err)
		}
		want(t, a, 200, "shpat_")
	}
	want(t, c.get("/"), 404, "<html")
	want(t, c.get("/admin/x.json"), 401)
}

func TestResponsesLookLikeShopifys(t *testing.T) {
	s := New(Options{Settings: Settings{SetCookie: true, ClockSkew: time.Hour}})
	a := mintingClient(t, s).get("/admin/api/2026-10/shop.json")
	for name, value := range map[string]string{
		"Content-Type":                  "application/json; charset=utf-8",
		"X-Shopify-Api-Version":         "2026-10",
		"X-Shopify-Shop-Api-Call-Limit": "1/40",
		"Strict-Transport-Security":     "max-age=7889238",
	} {
		if got := a.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	for _, name := range []string{"X-Request-Id", "Server-Timing", "Alt-Svc", "Set-Cookie", "X-Frame-Options", "Date"} {
		if a.Header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	if date, err := http.ParseTime(a.Header.Get("Date")); err != nil || time.Until(date) < 50*time.Minute {
		t.Errorf("Date %q is not an hour ahead (%v)", a.Header.Get("Date"), err)
	}
}

func TestSameSeedGivesTheSameTokens(t *testing.T) {
	first := newClient(t, New(Options{Seed: 7})).mintToken()
	second := newClient(t, New(Options{Seed: 7})).mintToken()
	other := newClient(t, New(Options{Seed: 8})).mintToken()
	if first != second || first == other {
		t.Errorf("seed 7: %s and %s, seed 8: %s", first, second, other)
	}
}

func TestJournalShowsWhatArrived(t *testing.T) {
	s := New(Options{JournalSize: 2, JournalBody: 4})
	c := newClient(t, s)
	c.token = "shpat_wrong"
	c.get("/admin/api/2026-10/shop.json")
	c.do(http.MethodPost, "/admin/api/2026-10/a%20b.json?x=%31&y", "123456")
	c.get("/admin/api/2026-10/shop.json")
	j := s.Journal()
	if len(j) != 2 || j[0].Seq != 2 || j[1].Seq != 3 {
		t.Fatalf("journal %+v", j)
	}
	e := j[0]
	if e.Method != "POST" || e.RequestURI != "/admin/api/2026-10/a%20b.json?x=%31&y" || e.RawQuery != "x=%31&y" ||
		string(e.Body) != "1234" || e.BodySize != 6 || e.Token != "shpat_wrong" || e.Status != 401 || e.Shop != DefaultShop ||
		e.BodySHA256 != "8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92" {
		t.Errorf("entry %+v", e)
	}
}

func TestStatsCountByRouteAndStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Settings: Settings{TokenLife: time.Minute}})
		c := newClient(t, s)
		c.mint("client_secret", "wrong")
		c.token = c.mintToken()
		c.get("/admin/api/2026-10/shop.json")
		st := s.Stats()
		if st.Requests != 3 || st.TokenPosts != 2 || st.TokensMinted != 1 || st.TokensAlive != 1 ||
			st.Routes["token"][400] != 1 || st.Routes["token"][200] != 1 || st.Routes["rest:shop"][200] != 1 {
			t.Errorf("stats %+v", st)
		}
		time.Sleep(time.Minute)
		if n := s.Stats().TokensAlive; n != 0 {
			t.Errorf("%d tokens alive after their expiry", n)
		}
		s.Reset()
		if st := s.Stats(); st.Requests != 0 || len(s.Journal()) != 0 {
			t.Errorf("stats after reset %+v", st)
		}
	})
}

func TestInvalidOptionsAreReportedTogether(t *testing.T) {
	err := Options{
		Shops:         []Shop{{Domain: "a b"}, {Domain: "x", Condition: "odd"}, {Domain: "x", Products: -1}},
		Apps:          []App{{ClientID: "id"}},
		Versions:      []string{"2026-02"},
		LocalhostShop: "nowhere",
		JournalSize:   -1,
		Settings:      Settings{Repeat: "often", WrongSecret: "xml", TokenLife: -1, RESTSize: -1, RESTRetryAfter: "1\n"},
	}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"a b", "odd", "twice", "products", "client secret", "2026-02", "nowhere", "Journal",
		"often", "xml", "token_life", "bucket", "rest_retry_after"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no word of %q in: %v", part, err)
		}
	}
	if err := (Options{}).Validate(); err != nil {
		t.Errorf("zero options: %v", err)
	}
}

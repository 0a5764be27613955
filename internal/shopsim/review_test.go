package shopsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// program is one that calls the simulator, for better or worse.
type program struct {
	t     *testing.T
	sim   *Sim
	token string // of an app, for all calls
}

func newProgram(t *testing.T, o Options) *program {
	t.Helper()
	o.Shops = []Shop{{Domain: "acme", Products: 3}, {Domain: "beta", CustomDomains: []string{"shop.example"}}}
	o.Apps = []App{{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret, Scopes: AllScopes}}
	return &program{t: t, sim: New(o)}
}

// send makes a call; 0 means that the connection broke.
func (c *program) send(method, address, body string, header ...string) (int, string) {
	c.t.Helper()
	if !strings.HasPrefix(address, "https:") {
		address = "https://acme.myshopify.com" + address
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("X-Shopify-Access-Token", c.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.sim.RoundTripper().RoundTrip(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	var text strings.Builder
	_, _ = fmt.Fprint(&text, readBody(resp))
	return resp.StatusCode, text.String()
}

func readBody(resp *http.Response) string {
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

func (c *program) get(path string) int {
	c.t.Helper()
	status, _ := c.send(http.MethodGet, "/admin/api/2026-10/"+path, "")
	return status
}

func (c *program) query(text string) string {
	c.t.Helper()
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		c.t.Fatal(err)
	}
	_, answer := c.send(http.MethodPost, "/admin/api/2026-10/graphql.json", string(body))
	return answer
}

// ask asks for a token, and returns that and the refresh token.
func (c *program) ask(parameters ...string) (access, refresh string) {
	c.t.Helper()
	form := url.Values{"client_id": {DefaultClientID}, "client_secret": {DefaultClientSecret}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	kept := c.token
	c.token = ""
	_, answer := c.send(http.MethodPost, "/admin/oauth/access_token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	c.token = kept
	var a struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	_ = json.Unmarshal([]byte(answer), &a)
	return a.Access, a.Refresh
}

func (c *program) mint() { c.token, _ = c.ask("grant_type", "client_credentials") }

func (c *program) refresh(with string) (access, next string) {
	return c.ask("grant_type", "refresh_token", "refresh_token", with)
}

func codes(r Report) []string {
	out := []string{}
	for _, f := range r.Findings {
		out = append(out, fmt.Sprintf("%s %d", f.Code, f.Count))
	}
	return out
}

const wait = 2 * inFlight // so long that an answer has arrived

// TestTheReport has a program for each conduct, and what may look like it and is right.
func TestTheReport(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings Settings
		does     func(c *program)
		want     []string
	}{
		"what is right": {Settings{TokenLife: time.Hour}, func(c *program) {
			for range 3 {
				c.mint()
				for range 3 {
					c.get("products.json?limit=2")
					c.query("{ shop { name } }")
				}
				time.Sleep(50 * time.Minute)
			}
		}, nil},
		"a token that was revoked is asked for again": {Settings{}, func(c *program) {
			c.mint()
			c.get("shop.json")
			c.sim.RevokeTokens("")
			time.Sleep(wait)
			c.get("shop.json")
			c.mint()
			c.get("shop.json")
		}, nil},
		"a token that is refused although it lives": {Settings{}, func(c *program) {
			c.mint()
			c.sim.SetCondition("", Unauthorized)
			c.get("shop.json")
			time.Sleep(wait)
			c.mint()
		}, nil},
		"a refresh whose answer was lost": {Settings{}, func(c *program) {
			access, refresh := c.sim.IssuePair("", "")
			c.sim.Inject(Fault{Kind: FaultDrop, AfterCommit: true, Count: 1})
			c.refresh(refresh)
			time.Sleep(wait)
			c.token, refresh = c.refresh(refresh)
			time.Sleep(50 * time.Minute)
			_, _ = c.refresh(refresh)
			_ = access
		}, nil},
		"a token whose answer was lost": {Settings{}, func(c *program) {
			c.sim.Inject(Fault{Kind: FaultStatus, Status: 502, AfterCommit: true, Count: 1})
			c.mint()
			time.Sleep(wait)
			c.mint()
		}, nil},

		"one refresh token, twice": {Settings{OfflineLife: time.Second}, func(c *program) {
			_, refresh := c.sim.IssuePair("", "")
			c.refresh(refresh)
			time.Sleep(time.Second)
			c.refresh(refresh)
		}, []string{"refresh_reused 1"}},
		"one refresh token, at once": {Settings{}, func(c *program) {
			_, refresh := c.sim.IssuePair("", "")
			for range 3 {
				c.refresh(refresh)
			}
		}, []string{"refresh_parallel 2", "token_parallel 2"}},
		"a refresh token whose replacement was used": {Settings{OfflineLife: time.Second}, func(c *program) {
			_, first := c.sim.IssuePair("", "")
			_, second := c.refresh(first)
			time.Sleep(time.Second)
			c.refresh(second)
			c.refresh(first)
			time.Sleep(time.Second)
			c.refresh(first)
		}, []string{"refresh_superseded 2", "refresh_after_refusal 1"}},
		"a token for each call": {Settings{}, func(c *program) {
			for range 4 {
				c.mint()
				c.get("shop.json")
				time.Sleep(wait)
			}
		}, []string{"token_per_call 3"}},
		"several tokens at once": {Settings{}, func(c *program) {
			c.mint()
			c.mint()
		}, []string{"token_parallel 1"}},
		"a token after a tenth of its life": {Settings{TokenLife: time.Hour}, func(c *program) {
			for range 2 {
				c.mint()
				c.get("shop.json")
				c.get("shop.json")
				time.Sleep(6 * time.Minute)
			}
		}, []string{"token_early 1"}},
		"a token that has expired": {Settings{TokenLife: time.Minute}, func(c *program) {
			c.mint()
			time.Sleep(time.Minute)
			c.get("shop.json")
		}, []string{"expired_token 1"}},
		"a token that was refused": {Settings{}, func(c *program) {
			c.token = "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"
			for range 3 {
				c.get("shop.json")
				time.Sleep(wait)
			}
		}, []string{"refused_token 2"}},
		"calls that were under way when the first was refused": {Settings{}, func(c *program) {
			c.token = "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"
			c.get("shop.json")
			c.get("shop.json")
		}, nil},
		"the token of another shop": {Settings{}, func(c *program) {
			c.mint()
			c.send(http.MethodGet, "https://beta.myshopify.com/admin/api/2026-10/shop.json", "")
		}, []string{"foreign_token 1"}},
		"credentials that are no token": {Settings{}, func(c *program) {
			_, refresh := c.sim.IssuePair("", "")
			for _, c.token = range []string{DefaultClientID, DefaultClientSecret, refresh, "shpss_0011"} {
				c.get("shop.json")
			}
		}, []string{"secret_as_token 4"}},
		"no token": {Settings{}, func(c *program) {
			c.get("shop.json")
			c.send(http.MethodGet, "/admin/api/2026-10/shop.json", "", "Authorization", "Bearer shpat_0011")
		}, []string{"no_token 1", "wrong_header 1"}},
		"a token where none belongs": {Settings{}, func(c *program) {
			c.mint()
			c.send(http.MethodGet, "https://shop.example/admin/api/2026-10/shop.json", "")
			c.send(http.MethodGet, "/somewhere", "")
			c.send(http.MethodPost, "/admin/oauth/access_token", "")
		}, []string{"misplaced_token 3"}},
		"credentials in the address": {Settings{}, func(c *program) {
			c.mint()
			c.get("shop.json?access_token=x")
			c.get("shop.json?x=" + c.token)
			c.get("shop.json?limit=3")
			c.send(http.MethodGet, "/"+c.token, "", "X-Shopify-Access-Token", "")
		}, []string{"credential_in_url 3"}},
		"versions": {Settings{}, func(c *program) {
			c.mint()
			for _, path := range []string{"/admin/shop.json", "/admin/api/2024-01/shop.json", "/admin/api/2024-02/shop.json", "/admin/api/unstable/shop.json", "/admin/oauth/access_scopes.json"} {
				c.send(http.MethodGet, path, "")
			}
		}, []string{"unversioned 1", "retired_version 1", "unknown_version 1"}},
		"too early after a 429": {Settings{RESTSize: 1}, func(c *program) {
			c.mint()
			c.get("shop.json")
			c.get("shop.json")
			c.get("shop.json") // under way
			time.Sleep(wait)
			c.get("shop.json")
			c.query("{ shop { name } }") // another limit
			time.Sleep(2 * time.Second)
			c.get("shop.json")
		}, []string{"retry_after_ignored 1"}},
		"one who never stops calling": {Settings{RESTSize: 1}, func(c *program) {
			c.mint()
			for range 30 { // a call each 10 ms for 300 ms
				c.get("shop.json")
				time.Sleep(inFlight / 10)
			}
		}, []string{"retry_after_ignored 18"}},
		"too early after a 503 of the token endpoint": {Settings{}, func(c *program) {
			c.sim.Inject(Fault{Kind: FaultStatus, Status: 503, RetryAfterDate: time.Minute, Count: 1})
			c.mint()
			time.Sleep(time.Second)
			c.mint()
		}, []string{"retry_after_ignored 1"}},
		"THROTTLED again": {Settings{GraphQLSize: 20, GraphQLRestore: 1}, func(c *program) {
			c.mint()
			dear := "{ products(first: 15) { nodes { title } } }"
			c.query(dear)
			c.query(dear)
			c.query(dear) // under way
			time.Sleep(time.Second)
			c.query("{ shop { name } }") // there is room for it
			c.query(dear)
			time.Sleep(time.Minute)
			c.query(dear)
		}, []string{"throttled_again 1"}},
		"pages": {Settings{}, func(c *program) {
			c.mint()
			for _, query := range []string{"limit=251", "page_info=x", "page_info=x&status=active", "limit=250"} {
				c.get("products.json?" + query)
			}
		}, []string{"page_info_misused 2", "page_too_large 1"}},
		"a dear query": {Settings{MaxQueryCost: 10}, func(c *program) {
			c.mint()
			c.query("{ products(first: 20) { nodes { title } } }")
			c.query("{ shop { name } }")
		}, []string{"query_too_expensive 1"}},
		"a write whose answer was lost": {Settings{}, func(c *program) {
			c.mint()
			lamp := `{"product":{"title":"Lamp"}}`
			create := `mutation { productCreate(product: {title: "Lamp"}) { product { id } } }`
			c.sim.Inject(Fault{Kind: FaultStatus, Status: 504, AfterCommit: true, Count: 2, Endpoint: API})
			c.send(http.MethodPost, "/admin/api/2026-10/products.json", lamp)
			c.query(create)
			time.Sleep(wait)
			c.send(http.MethodPost, "/admin/api/2026-10/products.json", lamp)
			c.query(create)
			c.send(http.MethodPost, "/admin/api/2026-10/products.json", lamp) // the last one was answered
		}, []string{"write_repeated 2"}},
		"a write that did not take effect": {Settings{}, func(c *program) {
			c.mint()
			c.sim.Inject(Fault{Kind: FaultStatus, Status: 502, Count: 1, Endpoint: API})
			for range 2 {
				c.send(http.MethodPost, "/admin/api/2026-10/products.json", `{"product":{"title":"Lamp"}}`)
			}
		}, nil},
		"asking on": {Settings{}, func(c *program) {
			c.mint()
			for _, condition := range []Condition{Frozen, Locked, Unavailable} {
				c.sim.SetCondition("", condition)
				c.get("shop.json")
			}
			c.sim.SetCondition("", Healthy)
			for range 3 {
				c.get("shop.json")
				c.get("products/1.json") // 404: it may come to be
			}
			c.get("shop.json")
		}, []string{"kept_asking 1"}},
	}
	tried := map[string]bool{}
	for name, test := range tests {
		for _, code := range test.want {
			tried[strings.Fields(code)[0]] = true
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newProgram(t, Options{Settings: test.settings})
				test.does(c)
				if got := codes(c.sim.Report()); !slices.Equal(got, append([]string{}, test.want...)) {
					t.Errorf("%q, want %q", got, test.want)
				}
			})
		})
	}
	for _, texts := range conductTexts {
		if !tried[texts[0]] {
			t.Errorf("no program here shows the conduct %q", texts[0])
		}
	}
}

func TestTheReportOutlivesAResetAndCanBeCleared(t *testing.T) {
	t.Parallel()
	c := newProgram(t, Options{})
	c.send(http.MethodGet, "/admin/api/2026-10/shop.json?access_token=shpat_0011", "")
	c.sim.Reset()
	c.mint()
	r := c.sim.Report()
	if r.Requests != 2 || !slices.Equal(codes(r), []string{"no_token 1", "credential_in_url 1"}) {
		t.Fatalf("%+v", r)
	}
	f := r.Findings[0]
	if f.First.Request != 1 || f.First.Method != http.MethodGet || strings.Contains(f.First.Address, "shpat") || f.First.Time.IsZero() || f.What == "" || f.Shopify == "" {
		t.Errorf("%+v", f)
	}
	c.sim.ClearReport()
	if r := c.sim.Report(); r.Requests != 0 || len(r.Findings) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	c := newProgram(t, Options{})
	for i := range maxMemos {
		c.token = fmt.Sprint("shpat_", i)
		c.get(fmt.Sprintf("products/%d.json", i))
	}
	if n := len(c.sim.state.memos); n > maxMemos {
		t.Errorf("%d", n)
	}
}

func TestTheManualNamesEveryFinding(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/using/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, texts := range conductTexts {
		if texts[0] == "" || texts[1] == "" || texts[2] == "" || named[texts[0]] {
			t.Errorf("%q", texts)
		}
		if named[texts[0]] = true; !strings.Contains(string(manual), "`"+texts[0]+"`") {
			t.Errorf("the manual does not name %s", texts[0])
		}
	}
	if len(slices.Collect(maps.Keys(named))) != int(conducts) {
		t.Error("a code is there twice")
	}
}

package grant

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

const (
	clientID     = "3f1c9b7a5d2e4f60819273a4b5c6d7e8"
	clientSecret = "shpss_0123456789abcdef0123456789abcdef"
)

// canned answers every request with the same, and keeps what it saw.
type canned struct {
	status int
	header http.Header
	body   string
	err    error // instead of an answer

	requests []*http.Request
	sent     []string // the bodies of requests
	read     int      // bytes that were read of the answer
	closed   bool
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.requests, c.sent = append(c.requests, r), append(c.sent, string(b))
	if c.err != nil {
		return nil, c.err
	}
	header := c.header
	if header == nil {
		header = http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	}
	return &http.Response{StatusCode: c.status, Header: header, Body: &countedBody{strings.NewReader(c.body), c}, Request: r}, nil
}

type countedBody struct {
	r *strings.Reader
	c *canned
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.c.read += n
	return n, err
}

func (b *countedBody) Close() error { b.c.closed = true; return nil }

func parseShop(t testing.TB, name string) token.Shop {
	t.Helper()
	shop, err := token.ParseShop(name)
	if err != nil {
		t.Fatal(err)
	}
	return shop
}

// endpoint is the shop acme's, reached through rt.
func endpoint(t testing.TB, rt http.RoundTripper) *Endpoint {
	t.Helper()
	shop := parseShop(t, "acme")
	return &Endpoint{
		API:    &shopify.Client{Shop: shop, Base: &url.URL{Scheme: "https", Host: shop.Domain()}, Transport: rt, UserAgent: "Evergate/test"},
		Client: func() (Client, error) { return Client{clientID, token.NewSecret(clientSecret)}, nil },
	}
}

// ask obtains a token by client credentials and checks what holds for every outcome.
func ask(t *testing.T, c *canned) (token.Token, error) {
	t.Helper()
	tok, err := ClientCredentials{endpoint(t, c)}.Grant(t.Context())
	if len(c.requests) != 1 {
		t.Errorf("%d POSTs", len(c.requests))
	}
	if c.err == nil && !c.closed {
		t.Error("the answer's body is left open")
	}
	if (err == nil) == tok.Access.Empty() {
		t.Errorf("error %v together with the token %+v", err, tok)
	}
	return tok, err
}

func TestRequestIsOnePlainFormPOST(t *testing.T) {
	t.Parallel()
	c := &canned{status: 200, body: `{"access_token":"x"}`}
	e := endpoint(t, c)
	e.API.Base = &url.URL{Scheme: "http", Host: "gateway.internal:8443"}
	e.Client = func() (Client, error) { return Client{"id&=+ é", token.NewSecret("s&e=c+r %et")}, nil }
	if _, err := (ClientCredentials{e}).Grant(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.requests) != 1 {
		t.Fatalf("%d POSTs", len(c.requests))
	}
	r, form := c.requests[0], c.sent[0]
	if r.Method != http.MethodPost || r.URL.String() != "http://gateway.internal:8443/admin/oauth/access_token" || r.Host != "acme.myshopify.com" {
		t.Errorf("%s %s, Host %s", r.Method, r.URL, r.Host)
	}
	if r.ContentLength != int64(len(form)) || r.GetBody != nil {
		t.Errorf("length %d of %d; a transport can send it again: %t", r.ContentLength, len(form), r.GetBody != nil)
	}
	want := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}, "User-Agent": {"Evergate/test"}}
	if len(r.Header) != len(want) {
		t.Errorf("header %v", r.Header)
	}
	for name := range want {
		if r.Header.Get(name) != want.Get(name) {
			t.Errorf("%s: %s", name, r.Header.Get(name))
		}
	}
	values, err := url.ParseQuery(form)
	if err != nil || len(values) != 3 || values.Get("grant_type") != "client_credentials" || values.Get("client_id") != "id&=+ é" || values.Get("client_secret") != "s&e=c+r %et" {
		t.Errorf("form %q: %v", form, err)
	}
	if e.API.Base.Path != "" || e.API.Base.String() != "http://gateway.internal:8443" {
		t.Errorf("the Endpoint's own URL has become %s", e.API.Base)
	}
}

func TestClientIsAskedForAtEachPOST(t *testing.T) {
	t.Parallel()
	c := &canned{status: 200, body: `{"access_token":"x"}`}
	e, calls := endpoint(t, c), 0
	e.Client = func() (Client, error) {
		calls++
		return Client{"id", token.NewSecret(strings.Repeat("s", calls))}, nil
	}
	for range 3 {
		if _, err := (ClientCredentials{e}).Grant(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.sent) != 3 || !strings.Contains(c.sent[0], "client_secret=s&") || !strings.Contains(c.sent[2], "client_secret=sss&") {
		t.Errorf("%q", c.sent)
	}
}

func TestUnreadableCredentialsSendNothing(t *testing.T) {
	t.Parallel()
	c, unreadable := &canned{}, errors.New("SHOPIFY_CLIENT_SECRET_FILE: gone")
	e := endpoint(t, c)
	e.Client = func() (Client, error) { return Client{}, unreadable }
	_, err := ClientCredentials{e}.Grant(t.Context())
	if !errors.Is(err, token.ErrConfig) || !errors.Is(err, unreadable) || len(c.requests) != 0 {
		t.Errorf("%v after %d POSTs", err, len(c.requests))
	}
}

func TestNetworkErrorsPass(t *testing.T) {
	t.Parallel()
	for _, broken := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, io.ErrUnexpectedEOF, io.EOF, context.DeadlineExceeded} {
		_, err := ask(t, &canned{err: broken})
		if !errors.Is(err, token.ErrTransient) || !errors.Is(err, broken) || errors.Is(err, token.ErrConfig) {
			t.Errorf("%v: %v", broken, err)
		}
		mustKeepSecret(t, err)
	}
}

// mustKeepSecret looks for what only this side's secret and the other side's body hold.
func mustKeepSecret(t testing.TB, err error) {
	t.Helper()
	for _, part := range []string{clientSecret, clientID, "0123456789abcdef", leaked} {
		if strings.Contains(err.Error(), part) {
			t.Errorf("%q is in the error %v", part, err)
		}
	}
	if strings.ContainsAny(err.Error(), "\r\n\x00\x1b<>") {
		t.Errorf("the error is not one plain line: %q", err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere, here atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		here.Store(0)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			here.Add(1)
			http.Redirect(w, r, other.URL+"/admin/oauth/access_token", status)
		}))
		_, err := overTheWire(t, server).Grant(t.Context())
		server.Close()
		if !errors.Is(err, token.ErrConfig) || !strings.Contains(err.Error(), "SHOPIFY_SHOP") || here.Load() != 1 || elsewhere.Load() != 0 {
			t.Errorf("%d: %v; %d requests here, %d elsewhere", status, err, here.Load(), elsewhere.Load())
		}
	}
}

func overTheWire(t *testing.T, server *httptest.Server) ClientCredentials {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	e := endpoint(t, transport)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	e.API.Base = base
	return ClientCredentials{e}
}

// net/http sends a request again by itself when a connection that it kept turns out to be
// closed, if it can. A grant may not: its answer may be a token that was lost.
func TestPOSTIsNotSentTwiceOnAClosedConnection(t *testing.T) {
	t.Parallel()
	var posts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if posts.Add(1) == 1 {
			_, _ = io.WriteString(w, `{"access_token":"first","expires_in":3600}`)
			return
		}
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	g := overTheWire(t, server)
	if _, err := g.Grant(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Grant(t.Context()); !errors.Is(err, token.ErrTransient) {
		t.Errorf("%v", err)
	}
	if posts.Load() != 2 {
		t.Errorf("%d POSTs for two grants", posts.Load())
	}
}

// simulated is the grant against the simulator, which shares no code with it.
func simulated(t testing.TB, sim *shopsim.Sim) ClientCredentials {
	t.Helper()
	e := endpoint(t, sim.RoundTripper())
	e.API.Shop = parseShop(t, shopsim.DefaultShop)
	e.API.Base = &url.URL{Scheme: "https", Host: e.API.Shop.Domain()}
	e.Client = func() (Client, error) {
		return Client{shopsim.DefaultClientID, token.NewSecret(shopsim.DefaultClientSecret)}, nil
	}
	return ClientCredentials{e}
}

func TestSimulatedShopifyGrants(t *testing.T) {
	t.Parallel()
	sim := shopsim.New(shopsim.Options{})
	var minted shopsim.TokenEvent
	sim.OnToken(func(e shopsim.TokenEvent) { minted = e })
	tok, err := simulated(t, sim).Grant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if tok.Access.Reveal() != minted.Token || tok.Life != minted.Life || tok.Life != 86399*time.Second || tok.Assumed || !tok.Expires() {
		t.Errorf("token %+v for %v", tok, minted.Life)
	}
	if strings.Join(tok.Scopes, ",") != shopsim.DefaultScopes {
		t.Errorf("scopes %q", tok.Scopes)
	}
	journal := sim.Journal()
	if len(journal) != 1 || journal[0].Route != "token" || journal[0].RawQuery != "" || journal[0].Host != shopsim.DefaultShop || journal[0].Token != "" {
		t.Errorf("journal %+v", journal)
	}
}

func TestSimulatedShopifyRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		shop     shopsim.Shop
		settings shopsim.Settings
		change   func(*Client)
		parts    []string
	}{
		{"other_organization", shopsim.Shop{OtherOrganization: true}, shopsim.Settings{}, nil, []string{"400 shop_not_permitted", "different organisations", "offline grant"}},
		{"other_organization_json", shopsim.Shop{OtherOrganization: true}, shopsim.Settings{NotPermitted: shopsim.ErrorJSON}, nil, []string{"400 shop_not_permitted", "different organisations"}},
		{"not_installed", shopsim.Shop{NotInstalled: true}, shopsim.Settings{}, nil, []string{"400 app_not_installed", "install it", "recovers by itself"}},
		{"unknown_client", shopsim.Shop{}, shopsim.Settings{}, func(c *Client) { c.ID = "unknown-" + leaked }, []string{"400 application_cannot_be_found", "check SHOPIFY_CLIENT_ID"}},
		{"wrong_secret", shopsim.Shop{}, shopsim.Settings{}, func(c *Client) { c.Secret = token.NewSecret(leaked) }, []string{"400 invalid_request", "SHOPIFY_CLIENT_SECRET"}},
		{"wrong_secret_json", shopsim.Shop{}, shopsim.Settings{WrongSecret: shopsim.ErrorJSON}, func(c *Client) { c.Secret = token.NewSecret(leaked) }, []string{"401 invalid_client", "SHOPIFY_CLIENT_SECRET"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.shop.Domain = shopsim.DefaultShop
			sim := shopsim.New(shopsim.Options{Shops: []shopsim.Shop{tc.shop}, Settings: tc.settings})
			g := simulated(t, sim)
			client, _ := g.Endpoint.Client()
			if tc.change != nil {
				tc.change(&client)
			}
			g.Endpoint.Client = func() (Client, error) { return client, nil }
			_, err := g.Grant(t.Context())
			mustRefuse(t, err, token.ErrConfig, tc.parts...)
			if n := len(sim.Journal()); n != 1 {
				t.Errorf("%d POSTs", n)
			}
		})
	}
}

func TestSimulatedShopifyBreaks(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]shopsim.Fault{
		"reset before": {Kind: shopsim.FaultDrop},
		"reset after":  {Kind: shopsim.FaultDrop, AfterCommit: true},
		"cut":          {Kind: shopsim.FaultCut},
		"truncated":    {Kind: shopsim.FaultTruncate},
		"empty":        {Kind: shopsim.FaultEmpty},
		"web page":     {Kind: shopsim.FaultHTML},
		"status 520":   {Kind: shopsim.FaultStatus, Status: 520},
		"status 429":   {Kind: shopsim.FaultStatus, Status: 429, RetryAfter: "2.0"},
	} {
		sim := shopsim.New(shopsim.Options{})
		fault.Endpoint, fault.Count = shopsim.TokenEndpoint, 1
		sim.Inject(fault)
		g := simulated(t, sim)
		_, err := g.Grant(t.Context())
		if !errors.Is(err, token.ErrTransient) || errors.Is(err, token.ErrConfig) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		mustKeepSecret(t, err)
		if _, err := g.Grant(t.Context()); err != nil {
			t.Errorf("%s: and after it %v", name, err)
		}
	}
}

func TestAnswerThatNeverComesIsGivenUpAfter30Seconds(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]shopsim.Fault{
		"no header":      {Kind: shopsim.FaultDelay, Delay: time.Hour},
		"after the mint": {Kind: shopsim.FaultDelay, Delay: time.Hour, AfterCommit: true},
		"slow body":      {Kind: shopsim.FaultSlowBody, Chunks: 10, Pause: 20 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			sim := shopsim.New(shopsim.Options{})
			sim.Inject(fault)
			began := time.Now()
			_, err := simulated(t, sim).Grant(t.Context())
			if took := time.Since(began); took != 30*time.Second || !errors.Is(err, token.ErrTransient) || !strings.Contains(err.Error(), "no answer within 30 seconds") {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		})
	}
}

func TestCallersOwnDeadlineEndsThePOST(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := shopsim.New(shopsim.Options{})
		sim.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := simulated(t, sim).Grant(ctx)
		if took := time.Since(began); took != time.Second || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, token.ErrTransient) {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestLifeCountsFromTheSendingOfTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := shopsim.New(shopsim.Options{})
		sim.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Delay: 10 * time.Second, AfterCommit: true})
		began := time.Now()
		tok, err := simulated(t, sim).Grant(t.Context())
		if err != nil || !tok.Issued.Equal(began) || time.Since(began) != 10*time.Second {
			t.Errorf("issued %v after the start, %v", tok.Issued.Sub(began), err)
		}
	})
}

func TestClockSkewIsMeasuredAgainstTheMiddleOfTheExchange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := shopsim.New(shopsim.Options{Settings: shopsim.Settings{ClockSkew: 90 * time.Second}})
		g := simulated(t, sim)
		var noted []time.Duration
		g.Endpoint.ClockSkew = func(d time.Duration) { noted = append(noted, d) }
		if _, err := g.Grant(t.Context()); err != nil {
			t.Fatal(err)
		}
		sim.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Delay: 4 * time.Second, Count: 1})
		if _, err := g.Grant(t.Context()); err != nil {
			t.Fatal(err)
		}
		sim.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 503, Count: 1})
		if _, err := g.Grant(t.Context()); err == nil {
			t.Fatal("the fault did not strike")
		}
		want := []time.Duration{90 * time.Second, 92 * time.Second, 90 * time.Second}
		for i, d := range want {
			if len(noted) != len(want) || noted[i] != d {
				t.Fatalf("noted %v, want %v", noted, want)
			}
		}
	})
}

func TestAnswerWithoutAClockSaysNothingOfIt(t *testing.T) {
	t.Parallel()
	for _, date := range []string{"", "yesterday", "0"} {
		e := endpoint(t, &canned{status: 200, header: http.Header{"Date": {date}}, body: `{"access_token":"x"}`})
		e.ClockSkew = func(d time.Duration) { t.Errorf("Date %q gives %v", date, d) }
		if _, err := (ClientCredentials{e}).Grant(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

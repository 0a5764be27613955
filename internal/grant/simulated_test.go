package grant

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// The offline grant against the simulator, which shares no code with it.

func offline(t testing.TB, sim *shopsim.Sim) Offline {
	t.Helper()
	return Offline{simulated(t, sim).Endpoint}
}

func secretsOf(values ...string) []token.Secret {
	var list []token.Secret
	for _, v := range values {
		list = append(list, token.NewSecret(v))
	}
	return list
}

// decide is the merchant, who follows the link and chooses. It returns the query with which
// the browser is sent back.
func decide(t *testing.T, sim *shopsim.Sim, link, decision string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, link, strings.NewReader("decision="+decision))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := sim.RoundTripper().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound || !strings.HasPrefix(back.String(), "http://127.0.0.1:3456/callback?") {
		t.Fatalf("%d, sent to %v, %v", resp.StatusCode, back, err)
	}
	return back.RawQuery
}

func TestSimulatedLogin(t *testing.T) {
	t.Parallel()
	for _, settings := range []shopsim.Settings{
		{}, {HostPadding: true}, {SignedForm: shopsim.SignedEncoded}, {SignedForm: shopsim.SignedEncoded, HostPadding: true},
	} {
		sim := shopsim.New(shopsim.Options{Settings: settings})
		g, state := offline(t, sim), newState()
		link := AuthorizeURL(g.Endpoint.API.Shop, shopsim.DefaultClientID, "http://127.0.0.1:3456/callback?from=a b%26c", []string{"read_products"}, state)
		// The callback is signed with the oldest secret, whatever is the newest.
		newest := sim.RotateSecret("", "", false)
		want := Callback{Shop: g.Endpoint.API.Shop, State: state, Secrets: secretsOf(newest, shopsim.DefaultClientSecret), Now: time.Now()}

		if _, err := VerifyCallback(decide(t, sim, link, "cancel"), want); !errors.Is(err, ErrDeclined) {
			t.Errorf("%+v: cancelled: %v", settings, err)
		}
		query := decide(t, sim, link, "install")
		code, err := VerifyCallback(query, want)
		if err != nil {
			t.Errorf("%+v: %v", settings, err)
			continue
		}
		want.Secrets = secretsOf(newest)
		if _, err := VerifyCallback(query, want); !errors.Is(err, ErrHMAC) {
			t.Errorf("%+v: with the newest secret alone: %v", settings, err)
		}
		p, err := g.ExchangeCode(t.Context(), code, true)
		if err != nil || p.Token.Life != time.Hour || p.Refresh.Empty() || p.RefreshExpires.IsZero() || strings.Join(p.Token.Scopes, ",") != "read_products" {
			t.Errorf("%+v: %+v, %v", settings, p, err)
		}
		_, err = g.ExchangeCode(t.Context(), code, true)
		if mustRefuse(t, err, token.ErrConfig, "start the login again"); !errors.Is(err, ErrCode) {
			t.Errorf("the same code again: %v", err)
		}
	}
}

func TestSimulatedLoginForAPermanentTokenAndItsMigration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := shopsim.New(shopsim.Options{})
		g := offline(t, sim)
		permanent, err := g.ExchangeCode(t.Context(), token.NewSecret(sim.IssueCode("", "")), false)
		if err != nil || permanent.Token.Expires() || !permanent.Refresh.Empty() {
			t.Fatalf("%+v, %v", permanent, err)
		}
		sim.Inject(shopsim.Fault{Kind: shopsim.FaultDrop, Grant: shopsim.GrantMigration, AfterCommit: true, Count: 1})
		_, err = g.Migrate(t.Context(), permanent.Token.Access)
		mustRefuse(t, err, token.ErrTransient)
		first, err := g.Migrate(t.Context(), permanent.Token.Access)
		if err != nil || first.Token.Life != time.Hour || first.Refresh.Empty() {
			t.Fatalf("after a lost answer: %+v, %v", first, err)
		}
		time.Sleep(6 * 24 * time.Hour)
		again, err := g.Migrate(t.Context(), permanent.Token.Access)
		if err != nil || !again.Refresh.Equal(first.Refresh) {
			t.Fatalf("again within seven days: %+v, %v", again, err)
		}
		if _, err := g.Refresh(t.Context(), again.Refresh); err != nil {
			t.Fatal(err)
		}
		_, err = g.Migrate(t.Context(), permanent.Token.Access)
		if mustRefuse(t, err, token.ErrConfig, "cannot be migrated"); !errors.Is(err, ErrSubjectToken) {
			t.Errorf("after the first refresh: %v", err)
		}
	})
}

func TestSimulatedRefreshAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]shopsim.Fault{
		"reset before": {Kind: shopsim.FaultDrop},
		"reset after":  {Kind: shopsim.FaultDrop, AfterCommit: true},
		"too late":     {Kind: shopsim.FaultDelay, Delay: time.Hour, AfterCommit: true},
		"cut":          {Kind: shopsim.FaultCut},
		"truncated":    {Kind: shopsim.FaultTruncate},
		"empty":        {Kind: shopsim.FaultEmpty, AfterCommit: true},
		"web page":     {Kind: shopsim.FaultHTML, AfterCommit: true},
		"status 520":   {Kind: shopsim.FaultStatus, Status: 520, AfterCommit: true},
		"no refresh token": {Kind: shopsim.FaultStatus, Status: 200, ContentType: "application/json", AfterCommit: true,
			Body: `{"access_token":"shpat_x","scope":"","expires_in":3600,"refresh_token":""}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			sim := shopsim.New(shopsim.Options{})
			g := offline(t, sim)
			_, first := sim.IssuePair("", "")
			fault.Grant, fault.Count = shopsim.GrantRefresh, 1
			sim.Inject(fault)
			_, err := g.Refresh(t.Context(), token.NewSecret(first))
			if !errors.Is(err, token.ErrTransient) || errors.Is(err, token.ErrReauthorize) {
				t.Errorf("%s: %v", name, err)
				return
			}
			mustKeepSecret(t, err)
			p, err := g.Refresh(t.Context(), token.NewSecret(first))
			if err != nil || p.Refresh.Reveal() == first || !sim.ChainHeld("", "") {
				t.Errorf("%s: and again %+v, %v", name, p, err)
			}
			if n := sim.Stats().ChainsLost; n != 0 {
				t.Errorf("%s: %d chains lost", name, n)
			}
		})
	}
}

func TestSimulatedChainThatIsDead(t *testing.T) {
	t.Parallel()
	for _, answer := range []shopsim.DeadAnswer{shopsim.DeadPlain, shopsim.DeadFullStop, shopsim.DeadLong, shopsim.DeadInvalidGrant} {
		for name, end := range map[string]func(*shopsim.Sim, string) token.Secret{
			"uninstalled": func(sim *shopsim.Sim, r string) token.Secret { sim.Uninstall("", ""); return token.NewSecret(r) },
			"ended":       func(sim *shopsim.Sim, r string) token.Secret { sim.EndChain("", ""); return token.NewSecret(r) },
			"superseded":  func(sim *shopsim.Sim, r string) token.Secret { sim.IssuePair("", ""); return token.NewSecret(r) },
			"invented":    func(*shopsim.Sim, string) token.Secret { return token.NewSecret("shprt_" + leaked) },
		} {
			sim := shopsim.New(shopsim.Options{Settings: shopsim.Settings{DeadRefresh: answer}})
			_, first := sim.IssuePair("", "")
			_, err := offline(t, sim).Refresh(t.Context(), end(sim, first))
			if mustRefuse(t, err, token.ErrReauthorize, "evergate login"); t.Failed() {
				t.Fatalf("%s, %s", answer, name)
			}
		}
	}
}

func TestSimulatedWrongSecretLeavesTheChainAlone(t *testing.T) {
	t.Parallel()
	for _, form := range []shopsim.ErrorForm{shopsim.ErrorHTML, shopsim.ErrorJSON} {
		sim := shopsim.New(shopsim.Options{Settings: shopsim.Settings{WrongSecretOther: form}})
		g := offline(t, sim)
		_, first := sim.IssuePair("", "")
		right := g.Endpoint.Client
		g.Endpoint.Client = func() (Client, error) { return Client{shopsim.DefaultClientID, token.NewSecret(leaked)}, nil }
		_, err := g.Refresh(t.Context(), token.NewSecret(first))
		mustRefuse(t, err, token.ErrConfig, "SHOPIFY_CLIENT_SECRET")
		g.Endpoint.Client = right
		if _, err := g.Refresh(t.Context(), token.NewSecret(first)); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
}

func TestSimulatedRotationOfTheSecret(t *testing.T) {
	t.Parallel()
	sim := shopsim.New(shopsim.Options{})
	g := offline(t, sim)
	_, first := sim.IssuePair("", "")
	// Ours changes before Shopify's: the old secret still has to do.
	g.Endpoint.Client = func() (Client, error) { return Client{shopsim.DefaultClientID, token.NewSecret("shpss_new")}, nil }
	g.Endpoint.Previous = func() (token.Secret, error) { return token.NewSecret(shopsim.DefaultClientSecret), nil }
	p, err := g.Refresh(t.Context(), token.NewSecret(first))
	if err != nil {
		t.Fatal(err)
	}
	sim.RotateSecret("", "shpss_new", false)
	if p, err = g.Refresh(t.Context(), p.Refresh); err != nil {
		t.Fatal(err)
	}
	sim.RotateSecret("", "shpss_newest", false)
	if _, err := (ClientCredentials{offline(t, sim).Endpoint}).Grant(t.Context()); err != nil {
		t.Errorf("another grant of the same app: %v", err)
	}
	if _, err = g.Refresh(t.Context(), p.Refresh); err != nil {
		t.Fatal(err)
	}
}

func TestSimulatedSessionToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := shopsim.New(shopsim.Options{})
		g := offline(t, sim)
		newest := sim.RotateSecret("", "", false)
		raw := token.NewSecret(sim.SessionToken("", ""))
		verifyNow := func(raw token.Secret) (token.Shop, error) {
			return VerifySessionToken(raw, shopsim.DefaultClientID, secretsOf(newest, shopsim.DefaultClientSecret), time.Now())
		}
		if shop, err := verifyNow(raw); err != nil || shop != g.Endpoint.API.Shop {
			t.Errorf("%v, %v", shop, err)
		}
		p, err := g.ExchangeSession(t.Context(), raw)
		if err != nil || p.Token.Life != time.Hour || p.Refresh.Empty() {
			t.Errorf("%+v, %v", p, err)
		}
		time.Sleep(71 * time.Second)
		if _, err := verifyNow(raw); !errors.Is(err, errTooOld) {
			t.Errorf("after 71 seconds: %v", err)
		}
		q, err := g.ExchangeSession(t.Context(), raw)
		if mustRefuse(t, err, token.ErrConfig, "open the app"); !errors.Is(err, ErrSubjectToken) || !reflect.DeepEqual(q, token.Pair{}) {
			t.Errorf("after 71 seconds: %+v, %v", q, err)
		}
		for name, spoil := range map[string]func(*shopsim.SessionClaims){
			"audience":    func(c *shopsim.SessionClaims) { c.Audience = leaked },
			"destination": func(c *shopsim.SessionClaims) { c.Destination = "https://other.myshopify.com" },
			"issuer":      func(c *shopsim.SessionClaims) { c.Issuer = "https://other.myshopify.com/admin" },
			"not before":  func(c *shopsim.SessionClaims) { c.NotBefore += 60 },
		} {
			if _, err := verifyNow(token.NewSecret(sim.SessionToken("", "", spoil))); !errors.Is(err, ErrSessionToken) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

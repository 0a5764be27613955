package shopify

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// client calls a simulated Shopify in process.
func client(t *testing.T, transport http.RoundTripper) *Client {
	t.Helper()
	shop, err := token.ParseShop(shopsim.DefaultShop)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{Shop: shop, Base: &url.URL{Scheme: "https", Host: "gateway.example"}, Transport: transport, UserAgent: "Evergate/test"}
}

func TestCallsReachTheShopWithTheToken(t *testing.T) {
	t.Parallel()
	sim := shopsim.New(shopsim.Options{})
	c, access := client(t, sim.RoundTripper()), sim.IssueToken("", "", 0)
	scopes, err := c.Scopes(t.Context(), token.NewSecret(access))
	if err != nil || !slices.Equal(scopes, []string{"read_products", "write_products"}) {
		t.Errorf("%q, %v", scopes, err)
	}
	v, err := c.Versions(t.Context(), token.NewSecret(access))
	if err != nil || v.Served != ClientVersion || !slices.Equal(v.Supported, []string{"2026-01", "2026-04", "2026-07", "2026-10"}) {
		t.Errorf("%+v, %v", v, err)
	}
	if err := c.Uninstall(t.Context(), token.NewSecret(access)); err != nil {
		t.Errorf("%v", err)
	}
	if _, err := c.Scopes(t.Context(), token.NewSecret(access)); !errors.Is(err, ErrToken) {
		t.Errorf("after the uninstallation: %v", err)
	}
	for _, e := range sim.Journal() {
		h := e.Header
		if e.Host != shopsim.DefaultShop || h.Get("X-Shopify-Access-Token") != access || h.Get("Authorization") != "" || h.Get("User-Agent") != "Evergate/test" || strings.Contains(e.RawQuery, access) {
			t.Errorf("%s %s to %s: %v", e.Method, e.Path, e.Host, h)
		}
	}
}

func TestGreetingHasNoTokenAndTellsTheTime(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{0, time.Hour, -10 * time.Minute} {
		sim := shopsim.New(shopsim.Options{Settings: shopsim.Settings{ClockSkew: skew}})
		g, err := client(t, sim.RoundTripper()).Greet(t.Context())
		if err != nil || g.Status != http.StatusUnauthorized || g.ClockAhead == nil || (*g.ClockAhead-skew).Abs() > 5*time.Second {
			t.Errorf("%s: %+v, %v", skew, g, err)
		}
		if e := sim.Journal()[0]; e.Token != "" {
			t.Error("a token was sent")
		}
	}
}

// canned answers every request in the same way, and counts.
type canned struct {
	status   int
	body     string
	location string
	calls    int
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	c.calls++
	h := http.Header{}
	if c.location != "" {
		h.Set("Location", c.location)
	}
	return &http.Response{StatusCode: c.status, Header: h, Body: io.NopCloser(strings.NewReader(c.body)), Request: r}, nil
}

const aToken = "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"

func TestRefusalsSayWhatToDoAndRepeatNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer       canned
		what, remedy string
		kind         error
	}{
		"dead_token":      {canned{status: 401}, "does not accept the token", "obtain another", ErrToken},
		"frozen":          {canned{status: 402}, "frozen or locked", "its admin", nil},
		"locked":          {canned{status: 423}, "frozen or locked", "its admin", nil},
		"closed":          {canned{status: 403, body: `{"errors":"Unavailable Shop"}`}, "refuses the call", "its admin", nil},
		"allowlist":       {canned{status: 403, body: `{"errors":"Forbidden"}`}, "refuses the call", "IP allowlist", nil},
		"non_expiring":    {canned{status: 403, body: `{"errors":"[API] Non-expiring access tokens are no longer accepted for the Admin API.\nStart"}`}, "no longer accepts tokens that do not expire", "token migrate", ErrNonExpiring},
		"no_shop":         {canned{status: 404}, "there is no shop " + shopsim.DefaultShop, "SHOPIFY_SHOP", nil},
		"moved":           {canned{status: 301, location: "https://other.myshopify.com/x?t=" + aToken}, `has moved to "other.myshopify.com"`, "permanent name", nil},
		"redirect":        {canned{status: 302, location: "/login"}, "redirects", "permanent name", nil},
		"redirect_broken": {canned{status: 302, location: "::"}, "redirects", "permanent name", nil},
		"busy":            {canned{status: 429}, "busy", "in a moment", nil},
		"erring":          {canned{status: 520, body: "error code: 520"}, "erring (status 520)", "in a moment", nil},
		"strange":         {canned{status: 418}, "status 418", "EVERGATE_UPSTREAM_URL", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.answer.body += aToken
			c := client(t, &tc.answer)
			_, scopesErr := c.Scopes(t.Context(), token.NewSecret(aToken))
			_, versionsErr := c.Versions(t.Context(), token.NewSecret(aToken))
			for _, err := range []error{scopesErr, versionsErr, c.Uninstall(t.Context(), token.NewSecret(aToken))} {
				var r *CallError
				if !errors.As(err, &r) || r.Status != tc.answer.status || !strings.Contains(r.Err.Err.Error(), tc.what) || !strings.Contains(r.Err.Remedy, tc.remedy) {
					t.Errorf("%v", err)
				}
				for _, kind := range []error{ErrToken, ErrNonExpiring} {
					if errors.Is(err, kind) != errors.Is(tc.kind, kind) {
						t.Errorf("%v is %v", err, kind)
					}
				}
				if strings.Contains(err.Error(), aToken) {
					t.Errorf("the token is in %v", err)
				}
			}
			if tc.answer.calls != 3 {
				t.Errorf("%d calls for three questions", tc.answer.calls)
			}
		})
	}
}

func TestGreetingOfAShopThatIsNotHereIsACallError(t *testing.T) {
	t.Parallel()
	for status, refused := range map[int]bool{200: false, 301: true, 401: false, 402: false, 404: true, 503: false} {
		g, err := client(t, &canned{status: status}).Greet(t.Context())
		if g.Status != status || (err != nil) != refused || g.ClockAhead != nil {
			t.Errorf("%d: %+v, %v", status, g, err)
		}
	}
}

func TestAnswerThatIsNoJSONIsAnError(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html>" + aToken, `{"access_scopes":[{"handle":` + aToken} {
		_, err := client(t, &canned{status: 200, body: body}).Scopes(t.Context(), token.NewSecret(aToken))
		if err == nil || !strings.Contains(err.Error(), "not JSON") || strings.Contains(err.Error(), aToken) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestBrokenAnswerIsAnErrorAndIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []shopsim.Kind{shopsim.FaultDrop, shopsim.FaultCut} {
		sim := shopsim.New(shopsim.Options{})
		access := token.NewSecret(sim.IssueToken("", "", 0))
		sim.Inject(shopsim.Fault{Kind: kind})
		c := client(t, sim.RoundTripper())
		if _, err := c.Scopes(t.Context(), access); err == nil {
			t.Errorf("%s: no error", kind)
		}
		if n := len(sim.Journal()); n != 1 {
			t.Errorf("%s: %d calls", kind, n)
		}
	}
}

func TestCallWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := shopsim.New(shopsim.Options{})
		access := token.NewSecret(sim.IssueToken("", "", 0))
		sim.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Delay: time.Hour})
		late := errors.New("late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, late)
		defer cancel()
		began := time.Now()
		if _, err := client(t, sim.RoundTripper()).Scopes(ctx, access); !errors.Is(err, late) || time.Since(began) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestForbiddenOfAKnownKindDoesNotBlameTheAllowlist(t *testing.T) {
	t.Parallel()
	for body, known := range map[string]bool{
		`{"errors":"[API] This action requires merchant approval for read_themes scope."}`:                             true,
		`{"errors":"[API] This app is not approved to access REST endpoints with protected customer data. See https"}`: true,
		`{"errors":"Unavailable Shop"}`: true, `{"errors":"Forbidden"}`: false, "": false, "<html>Access denied</html>": false,
	} {
		if ExplainsForbidden([]byte(body)) != known {
			t.Errorf("%s: %v", body, !known)
		}
	}
}

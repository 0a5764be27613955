package check

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// subject is one in front of a simulated shop, with a living token.
func subject(t *testing.T, sim *shopsim.Sim) *Shopify {
	t.Helper()
	shop, err := token.ParseShop(shopsim.DefaultShop)
	if err != nil {
		t.Fatal(err)
	}
	access := token.NewSecret(sim.IssueToken("", "", 0))
	return &Shopify{
		API:       &shopify.Client{Shop: shop, Base: &url.URL{Scheme: "https", Host: "x"}, Transport: sim.RoundTripper()},
		NewScopes: "log in again", Token: func() token.Secret { return access },
	}
}

// byName runs all checks of a shop and returns their results.
func byName(t *testing.T, s *Shopify) map[string]Result {
	t.Helper()
	out := map[string]Result{}
	for _, r := range Run(t.Context(), []Check{s.Shop(), s.Clock(), s.Scopes(), s.Version()}, quiet) {
		out[r.Name] = r
	}
	return out
}

func TestShopAnswersThatSayMoreThanThatItExists(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault  shopsim.Fault
		status Status
		parts  []string
	}{
		"exists":    {shopsim.Fault{}, OK, []string{"exists"}},
		"missing":   {shopsim.Fault{Kind: shopsim.FaultStatus, Status: 404}, Fail, []string{"there is no shop", "SHOPIFY_SHOP"}},
		"moved":     {shopsim.Fault{Kind: shopsim.FaultRedirect}, Fail, []string{`has moved to "elsewhere.example"`, "SHOPIFY_SHOP"}},
		"erring":    {shopsim.Fault{Kind: shopsim.FaultStatus, Status: 520}, Fail, []string{"status 520", "in a moment"}},
		"busy":      {shopsim.Fault{Kind: shopsim.FaultStatus, Status: 429}, Fail, []string{"status 429", "in a moment"}},
		"strange":   {shopsim.Fault{Kind: shopsim.FaultHTML}, Warn, []string{"status 200", "EVERGATE_UPSTREAM_URL"}},
		"locked":    {shopsim.Fault{Kind: shopsim.FaultStatus, Status: 423}, Warn, []string{"status 423", "open"}},
		"no_answer": {shopsim.Fault{Kind: shopsim.FaultDrop}, Fail, []string{"no answer of " + shopsim.DefaultShop, "in a moment"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := shopsim.New(shopsim.Options{})
			if tc.fault.Kind != "" {
				sim.Inject(tc.fault)
			}
			expect(t, Run(t.Context(), []Check{subject(t, sim).Shop()}, quiet)[0], tc.status, tc.parts...)
		})
	}
}

func TestClockIsComparedWithShopifys(t *testing.T) {
	t.Parallel()
	for skew, want := range map[time.Duration]struct {
		status Status
		part   string
	}{
		0:                           {OK, "agrees with Shopify's within 2s"},
		20 * time.Second:            {OK, "within 20s"},
		-20 * time.Second:           {OK, "within 20s"},
		31 * time.Second:            {Warn, "31s behind Shopify's"},
		-4 * time.Minute:            {Warn, "4m0s ahead of Shopify's"},
		5*time.Minute + time.Second: {Fail, "5m1s behind"},
		-25 * time.Hour:             {Fail, "25h0m0s ahead of"},
	} {
		expect(t, judgeSkew(skew)[0], want.status, want.part)
	}
	sim := shopsim.New(shopsim.Options{Settings: shopsim.Settings{ClockSkew: 10 * time.Minute}})
	expect(t, byName(t, subject(t, sim))["clock"], Fail, "behind Shopify's", "NTP")
	sim.Inject(shopsim.Fault{Kind: shopsim.FaultDrop})
	expect(t, byName(t, subject(t, sim))["clock"], Skip, "no time")
}

func TestScopesAreComparedWithWhatIsExpected(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		granted string
		wanted  []string
		status  Status
		parts   []string
		note    bool
	}{
		"nothing_expected": {"read_products", nil, OK, []string{"the token has read_products", "SHOPIFY_SCOPES"}, false},
		"all_there":        {"read_products,write_orders", []string{"read_orders"}, OK, []string{"write_orders"}, true},
		"all_orders":       {"read_orders,read_all_orders", []string{"read_orders"}, OK, nil, false},
		"missing":          {"read_products", []string{"read_orders", "read_products", "write_themes"}, Fail, []string{"lacks read_orders, write_themes", "it has read_products", "log in again"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := shopsim.New(shopsim.Options{Apps: []shopsim.App{{ClientID: "id", ClientSecret: "secret", Scopes: tc.granted}}})
			s := subject(t, sim)
			s.Wanted = tc.wanted
			r := byName(t, s)["scopes"]
			expect(t, r, tc.status, tc.parts...)
			if strings.Contains(r.Message, "60 days") != tc.note {
				t.Errorf("%s", r)
			}
		})
	}
}

func TestRefusedTokenIsReportedOnce(t *testing.T) {
	t.Parallel()
	for condition, part := range map[shopsim.Condition]string{
		shopsim.Unauthorized: "does not accept the token", shopsim.Frozen: "frozen or locked", shopsim.Locked: "frozen or locked",
		shopsim.Unavailable: "refuses the call", shopsim.NonExpiringEnded: "evergate token migrate",
	} {
		sim := shopsim.New(shopsim.Options{})
		sim.SetCondition("", condition)
		all := byName(t, subject(t, sim))
		expect(t, all["scopes"], Fail, part)
		expect(t, all["api-version"], Skip, "failed already")
	}
	s := subject(t, shopsim.New(shopsim.Options{}))
	s.Token = func() token.Secret { return token.Secret{} }
	all := byName(t, s)
	expect(t, all["scopes"], Skip, "no token")
	expect(t, all["api-version"], Skip, "no token")
}

func TestVersionThatIsAboutToGoIsAWarning(t *testing.T) {
	t.Parallel()
	at := func(date string) time.Time {
		now, err := time.Parse(time.DateOnly, date)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	four := []string{"2026-04", "2026-01", "2026-07", "2026-10"}
	for name, tc := range map[string]struct {
		v      shopify.Versions
		now    string
		status Status
		part   string
	}{
		"far":       {shopify.Versions{Served: "2026-10", Supported: four}, "2026-11-30", OK, "2026-01 until 2027-01-01 at least"},
		"near":      {shopify.Versions{Served: "2026-10", Supported: four}, "2026-12-03", Warn, "2026-01 is about to be retired, on 2027-01-01"},
		"overdue":   {shopify.Versions{Served: "2026-10", Supported: four}, "2027-02-01", Warn, "2026-01 is about to be retired"},
		"ours_gone": {shopify.Versions{Served: "2027-10", Supported: []string{"2027-10"}}, "2027-11-30", Warn, "2027-10 answers for it"},
		"no_list":   {shopify.Versions{Served: "2026-10"}, "2026-11-30", OK, "version 2026-10 is served"},
		"no_header": {shopify.Versions{Supported: four}, "2026-11-30", OK, "2026-04"},
		"odd":       {shopify.Versions{Supported: []string{"next"}}, "2026-11-30", OK, "next"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, judgeVersions(tc.v, at(tc.now))[0], tc.status, tc.part)
		})
	}
	sim := shopsim.New(shopsim.Options{Versions: []string{"2030-01", "2030-04"}}) // ours falls forward
	expect(t, byName(t, subject(t, sim))["api-version"], Warn, "2030-01 answers for it", "upgrade Evergate")
	sim = shopsim.New(shopsim.Options{})
	sim.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: http.StatusBadGateway, Endpoint: shopsim.GraphQL})
	expect(t, byName(t, subject(t, sim))["api-version"], Fail, "status 502")
}

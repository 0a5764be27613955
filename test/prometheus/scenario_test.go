package prometheus

import (
	"time"

	"evergate/internal/shopsim"
)

// scenario is one Evergate in front of one shop, and what happens to them.
type scenario struct {
	name string
	// settings are the shop's; its rate limits are out of reach unless narrow is set.
	settings shopsim.Settings
	narrow   bool
	// offline gives it a stored grant instead of client credentials. aged is how old its
	// access token is; zero: it has only a refresh token.
	offline bool
	aged    time.Duration
	// permanent gives it a custom app's token that does not expire.
	permanent bool
	environ   []string
	// fleet has it serve other shops, too, from a store in that file or directory, where so many of them have a grant.
	fleet  string
	stored int
	// version is what its tools ask for after the failure has begun; empty: the newest.
	version string
	// tools is how many call at once, one call after the other and without a pause; zero: one
	// that calls ten times a second.
	tools int

	// late starts it after its failure, for what is wrong from the start.
	late bool
	fail func(*subject)
	want string // the alerts that fire, in order; none if empty
	// heal undoes it, as the runbook says; nil: the alert stays for longer than a test can wait.
	heal func(*subject)
	// lingers is for an alert on what has happened, not on what is: it ends by itself, at a time that the test does not wait for.
	lingers bool
}

// What tools should ask for today, a version that Shopify no longer serves, and those it does.
var current, retired, served = versionsAt(time.Now())

// versionsAt returns what is current, what was retired three months ago, and what Shopify
// serves, oldest first.
func versionsAt(now time.Time) (current, retired string, served []string) {
	quarter := func(back int) string {
		year, month, _ := now.UTC().Date()
		first := time.Date(year, month-(month-1)%3, 1, 0, 0, 0, 0, time.UTC)
		return first.AddDate(0, -3*back, 0).Format("2006-01")
	}
	for back := 3; back >= -1; back-- {
		served = append(served, quarter(back))
	}
	return quarter(0), quarter(5), served
}

// scenarios are the healthy ones first. The names become the label instance.
var scenarios = []scenario{
	{name: "healthy", settings: shopsim.Settings{TokenLife: time.Minute}},
	{name: "healthy-offline", offline: true},
	{name: "healthy-permanent", permanent: true},
	// A token that is revoked is replaced, and the request sent again.
	{name: "revoked-once", fail: func(s *subject) { s.shop.RevokeTokens("") }},
	// Four tools want more than the limit gives, and wait for their turn.
	{name: "waits-its-turn", narrow: true, tools: 4, settings: shopsim.Settings{RESTSize: 10, RESTLeak: 20, GraphQLSize: 1e8, GraphQLRestore: 1e8}},
	{name: "restarted", fail: func(s *subject) { s.restart() }},
	{name: "many-shops", fleet: "store"},

	{name: "token-endpoint-down", settings: shopsim.Settings{TokenLife: 10 * time.Second},
		fail: endpointFault(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 503}),
		want: "EvergateHasNoToken EvergateRefreshFails", heal: mend},
	{name: "token-dies", late: true, offline: true, aged: 53 * time.Minute,
		fail: endpointFault(shopsim.Fault{Kind: shopsim.FaultDrop}),
		want: "EvergateRefreshFails EvergateTokenWillDie", heal: mend},
	// Shopify says so with a web page and the status 400.
	{name: "uninstalled", fail: func(s *subject) { s.shop.Uninstall("", "") },
		want: "EvergateGrantRefused EvergateHasNoToken", heal: func(s *subject) { s.shop.Install("", ""); s.renew() }},
	{name: "other-organisation", fail: func(s *subject) { s.shop.SetOtherOrganization("", true); s.renew() },
		want: "EvergateGrantRefused", heal: func(s *subject) { s.shop.SetOtherOrganization("", false); s.renew() }},
	{name: "dead-refresh-token", offline: true, fail: func(s *subject) { s.shop.EndChain("", ""); s.renew() },
		want: "EvergateReauthorizationRequired", heal: func(s *subject) { s.store(0); s.renew() }},
	{name: "refresh-token-ends", offline: true,
		fail: func(s *subject) {
			s.shop.Change(func(c *shopsim.Settings) { c.RefreshLife = 10 * 24 * time.Hour })
			s.renew()
		},
		want: "EvergateRefreshTokenEnds",
		heal: func(s *subject) {
			s.shop.Change(func(c *shopsim.Settings) { c.RefreshLife = 90 * 24 * time.Hour })
			s.renew()
		}},

	{name: "api-500", fail: func(s *subject) {
		s.shop.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 500, Endpoint: shopsim.API, Probability: 0.5})
	}, want: "EvergateShopifyErrs", heal: mend},
	{name: "unreachable", fail: func(s *subject) { s.shop.away.Store(true) },
		want: "EvergateShopifyErrs", heal: func(s *subject) { s.shop.away.Store(false) }},
	{name: "throttled-rest", environ: []string{"EVERGATE_PACE=off"}, fail: narrowREST, want: "EvergateThrottled", heal: widen},
	{name: "throttled-graphql", environ: []string{"EVERGATE_PACE_MAX_WAIT=50ms"}, fail: narrowGraphQL, want: "EvergateThrottled", heal: widen},

	{name: "clock-is-wrong", fail: func(s *subject) {
		s.shop.Change(func(c *shopsim.Settings) { c.ClockSkew = 10 * time.Minute })
		s.renew()
	},
		want: "EvergateClockIsWrong", heal: func(s *subject) { s.shop.Change(func(c *shopsim.Settings) { c.ClockSkew = 0 }); s.renew() }},
	{name: "old-version", version: retired, want: "EvergateAPIVersionRetires"},
	{name: "lost-store", late: true, fleet: lostStore, fail: func(*subject) {}, want: "EvergateStoreUnfit EvergateStoreUnreachable"},
	// A backup of the store is put in its place.
	{name: "rolled-back", offline: true, aged: 10 * time.Minute, fail: (*subject).rollBack, want: "EvergateStoreRolledBack", lingers: true},
	// Somebody else has acquired a grant of each of these shops, and keeps it in a store of their own.
	{name: "chains-used-elsewhere", fleet: "store", stored: 30, fail: func(s *subject) {
		for _, name := range s.others() {
			s.shop.IssuePair(name, "")
			s.renew("?shop=" + name)
		}
	}, want: "EvergateChainUsedElsewhere EvergateHasNoToken EvergateReauthorizationRequired", lingers: true},
	{name: "killed", fail: func(s *subject) { s.process.Kill() }, want: "EvergateDown", heal: func(s *subject) { s.restart() }},
}

func endpointFault(f shopsim.Fault) func(*subject) {
	f.Endpoint = shopsim.TokenEndpoint
	return func(s *subject) { s.shop.Inject(f) }
}

// mend ends the faults and does what the runbooks say then.
func mend(s *subject) { s.shop.ClearFaults(); s.renew() }

func narrowREST(s *subject) {
	s.shop.Change(func(c *shopsim.Settings) { c.RESTSize, c.RESTLeak = 2, 1 })
}

func narrowGraphQL(s *subject) {
	s.shop.Change(func(c *shopsim.Settings) { c.GraphQLSize, c.GraphQLRestore = 50, 1 })
	s.shop.DrainBuckets("", "")
}

func widen(s *subject) { s.shop.Change(func(c *shopsim.Settings) { *c = wide(*c) }) }

// wide are limits that no load here reaches.
func wide(c shopsim.Settings) shopsim.Settings {
	c.RESTSize, c.RESTLeak, c.GraphQLSize, c.GraphQLRestore = 1e6, 1e6, 1e8, 1e8
	return c
}

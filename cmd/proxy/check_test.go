package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/check"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

var checking = []string{"check", "--json"}

// allChecks are the names in the order in which they are made. They are API.
var allChecks = []string{"configuration", "secret-files", "access", "local-ca", "limits", "store", "listeners", "dns", "connection", "shop", "clock", "grant", "scopes", "api-version"}

// results runs the check and returns what it says, by name; of several the worst.
func (s *grantShop) results(t *testing.T, code int, args ...string) (map[string]check.Result, []string) {
	t.Helper()
	o := s.must(t, code, "", append(checking[:2:2], args...))
	var all []check.Result
	if err := json.Unmarshal([]byte(o.out), &all); err != nil {
		t.Fatalf("%v: %s", err, o.out)
	}
	byName, names := map[string]check.Result{}, []string{}
	for _, r := range all {
		if byName[r.Name].Status != check.Fail {
			byName[r.Name] = r
		}
		names = append(names, r.Name)
	}
	return byName, slices.Compact(names)
}

func TestCheckOfARightConfigurationPasses(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, *grantShop){
		"client_credentials": func(*testing.T, *grantShop) {},
		"in_memory":          func(_ *testing.T, s *grantShop) { s.environ = append(s.environ, "EVERGATE_STORE=") },
		"static": func(_ *testing.T, s *grantShop) {
			s.environ = append(s.environ, "EVERGATE_GRANT=static", "SHOPIFY_ACCESS_TOKEN="+s.permanent().Reveal())
		},
		"offline":   func(t *testing.T, s *grantShop) { s.put(t, token.Record{Current: s.pair()}) },
		"permanent": func(t *testing.T, s *grantShop) { s.putPermanent(t) },
		"expired":   func(t *testing.T, s *grantShop) { s.put(t, token.Record{Current: aged(s.pair(), 2*time.Hour)}) },
		"scopes":    func(_ *testing.T, s *grantShop) { s.environ = append(s.environ, "SHOPIFY_SCOPES=read_products") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newGrantShop(t)
			prepare(t, s)
			byName, names := s.results(t, exitOK)
			if !slices.Equal(names, allChecks) {
				t.Errorf("%q", names)
			}
			for _, r := range byName {
				if r.Status != check.OK && r.Name != "api-version" { // which depends on the day
					t.Errorf("%s", r)
				}
			}
			text := s.must(t, exitOK, "", []string{"check"})
			if lines := strings.Split(strings.TrimSpace(text.out), "\n"); len(lines) != len(allChecks) || text.err != "" {
				t.Errorf("%s%s", text.out, text.err)
			}
		})
	}
}

// wrong is a world in which something is wrong, and what the check has to say about it.
type wrong struct {
	prepare func(*testing.T, *grantShop)
	code    int
	name    string
	status  check.Status
	parts   []string
}

func setting(more ...string) func(*testing.T, *grantShop) {
	return func(_ *testing.T, s *grantShop) { s.environ = append(s.environ, more...) }
}

func stored(r func(*grantShop) token.Record) func(*testing.T, *grantShop) {
	return func(t *testing.T, s *grantShop) { s.put(t, r(s)) }
}

func here() map[string]wrong {
	return map[string]wrong{
		"no_shop":   {setting("SHOPIFY_SHOP="), exitConfig, "configuration", check.Fail, []string{"SHOPIFY_SHOP is not set", "give the name"}},
		"misspelt":  {setting("EVERGATE_LISTNE=x"), exitConfig, "configuration", check.Fail, []string{"EVERGATE_LISTNE is not a setting", "did you mean EVERGATE_LISTEN?"}},
		"store_key": {setting("EVERGATE_STORE_KEY=short"), exitConfig, "configuration", check.Fail, []string{"EVERGATE_STORE_KEY", "openssl rand"}},
		"file_of_others": {func(t *testing.T, s *grantShop) {
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte(shopsim.DefaultClientSecret), 0o644); err != nil {
				t.Fatal(err)
			}
			s.environ = append(s.environ, "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_CLIENT_SECRET_FILE="+path)
		}, exitOK, "secret-files", check.Warn, []string{"SHOPIFY_CLIENT_SECRET_FILE", "can read", "chmod o-rwx"}},
		"store_open": {func(t *testing.T, s *grantShop) {
			if err := os.Chmod(filepath.Dir(s.file), 0o755); err != nil {
				t.Fatal(err)
			}
		}, exitFailure, "store", check.Fail, []string{"open to other users", "chmod 700"}},
		"store_damaged": {func(t *testing.T, s *grantShop) {
			if err := os.WriteFile(s.file, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, exitFailure, "store", check.Fail, []string{"damaged", "restore it"}},
		"store_in_memory": {setting("EVERGATE_STORE=memory:", "EVERGATE_GRANT=offline"), exitFailure, "store", check.Warn, []string{"lost", "EVERGATE_STORE=file:DIR"}},
		"port_taken": {func(t *testing.T, s *grantShop) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			s.environ = append(s.environ, "EVERGATE_LISTEN="+ln.Addr().String())
		}, exitFailure, "listeners", check.Fail, []string{"in use by another process", "EVERGATE_LISTEN"}},
		"no_grant": {setting("EVERGATE_GRANT=offline"), exitFailure, "grant", check.Fail, []string{"no grant is stored", "evergate login"}},
		"seed":     {setting("SHOPIFY_REFRESH_TOKEN=shprt_00112233445566778899aabbccddeeff"), exitOK, "grant", check.Warn, []string{"SHOPIFY_REFRESH_TOKEN", "left alone", "start the sidecar"}},
		"blank":    {func(t *testing.T, s *grantShop) { s.put(t, token.Record{}) }, exitFailure, "grant", check.Fail, []string{"no grant is stored"}},
		"other_app": {func(t *testing.T, s *grantShop) {
			s.environ = append(s.environ, "EVERGATE_GRANT=offline")
			s.put(t, token.Record{Current: s.pair(), ClientID: "another"})
		}, exitFailure, "grant", check.Fail, []string{"belongs to another app", "SHOPIFY_CLIENT_ID"}},
		"dead_auto": {stored(func(s *grantShop) token.Record {
			return token.Record{Current: aged(s.pair(), 2*time.Hour), Reauthorize: &token.Reauthorize{Since: time.Now(), Reason: "it was ended"}}
		}), exitOK, "grant", check.Warn, []string{"it was ended", "client credentials are used in its place", "evergate login"}},
		"dies_now_auto": {func(t *testing.T, s *grantShop) {
			s.put(t, token.Record{Current: aged(s.pair(), 2*time.Hour)})
			s.EndChain("", "")
		}, exitOK, "grant", check.Warn, []string{"no longer active", "client credentials are used in its place", "evergate login"}},
		"half_dead": {stored(func(s *grantShop) token.Record {
			return token.Record{Current: s.pair(), Reauthorize: &token.Reauthorize{Since: time.Now(), Reason: "it was ended"}}
		}), exitOK, "grant", check.Warn, []string{"dead since", "it was ended", "evergate login"}},
		"dead": {stored(func(s *grantShop) token.Record {
			s.environ = append(s.environ, "EVERGATE_GRANT=offline")
			return token.Record{Current: aged(s.pair(), 2*time.Hour), Reauthorize: &token.Reauthorize{Since: time.Now(), Reason: "it was ended"}}
		}), exitFailure, "grant", check.Fail, []string{"and so is its access token", "evergate login"}},
		"dies_now": {func(t *testing.T, s *grantShop) {
			s.environ = append(s.environ, "EVERGATE_GRANT=offline")
			s.put(t, token.Record{Current: aged(s.pair(), 2*time.Hour)})
			s.EndChain("", "")
		}, exitFailure, "grant", check.Fail, []string{"no longer active", "evergate login"}},
	}
}

func there() map[string]wrong {
	return map[string]wrong{
		"unreachable": {func(t *testing.T, s *grantShop) {
			s.environ = append(s.environ, "EVERGATE_UPSTREAM_URL=http://"+nobody(t))
		}, exitFailure, "connection", check.Fail, []string{"no connection to", "firewall"}},
		"unknown_shop": {setting("SHOPIFY_SHOP=no-such-shop"), exitFailure, "shop", check.Fail, []string{"there is no shop no-such-shop", "SHOPIFY_SHOP"}},
		"moved": {func(_ *testing.T, s *grantShop) {
			s.Inject(shopsim.Fault{Kind: shopsim.FaultRedirect, Location: "https://new-name.myshopify.com/", Endpoint: shopsim.REST})
		}, exitFailure, "shop", check.Fail, []string{"has moved to", "new-name.myshopify.com", "SHOPIFY_SHOP"}},
		"clock_off":    {func(_ *testing.T, s *grantShop) { s.Change(func(c *shopsim.Settings) { c.ClockSkew = time.Minute }) }, exitOK, "clock", check.Warn, []string{"behind Shopify's", "NTP"}},
		"clock_wrong":  {func(_ *testing.T, s *grantShop) { s.Change(func(c *shopsim.Settings) { c.ClockSkew = -time.Hour }) }, exitFailure, "clock", check.Fail, []string{"ahead of Shopify's", "NTP"}},
		"secret_wrong": {setting("SHOPIFY_CLIENT_SECRET=shpss_ffffffffffffffffffffffffffffffff"), exitFailure, "grant", check.Fail, []string{"400 invalid_request", "SHOPIFY_CLIENT_SECRET"}},
		"secret_wrong_now": {func(t *testing.T, s *grantShop) {
			s.environ = append(s.environ, "EVERGATE_STORE=file:"+filepath.Dir(s.file), "EVERGATE_GRANT=client_credentials")
			s.results(t, exitOK) // which stores a token
			s.environ = append(s.environ, "SHOPIFY_CLIENT_SECRET=shpss_ffffffffffffffffffffffffffffffff")
		}, exitFailure, "grant", check.Fail, []string{"400 invalid_request", "SHOPIFY_CLIENT_SECRET"}},
		"not_installed": {func(_ *testing.T, s *grantShop) { s.Uninstall("", "") }, exitFailure, "grant", check.Fail, []string{"app_not_installed", "install it"}},
		"other_organisation": {func(_ *testing.T, s *grantShop) { s.SetOtherOrganization("", true) }, exitFailure, "grant", check.Fail,
			[]string{"shop_not_permitted", "use the offline grant"}},
		"endpoint_down": {func(_ *testing.T, s *grantShop) {
			s.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 503, Endpoint: shopsim.TokenEndpoint})
		}, exitFailure, "grant", check.Fail, []string{"503", "passes by itself"}},
		"scopes_missing": {setting("SHOPIFY_SCOPES=read_products,read_orders"), exitFailure, "scopes", check.Fail, []string{"lacks read_orders", "new version of the app"}},
		"token_refused":  {func(t *testing.T, s *grantShop) { s.RevokeTokens(s.putPermanent(t).Reveal()) }, exitFailure, "scopes", check.Fail, []string{"does not accept the token", "obtain another"}},
		"shop_frozen":    {func(_ *testing.T, s *grantShop) { s.SetCondition("", shopsim.Frozen) }, exitFailure, "scopes", check.Fail, []string{"frozen or locked", "its admin"}},
		"permanent_refused": {func(t *testing.T, s *grantShop) {
			s.putPermanent(t)
			s.SetCondition("", shopsim.NonExpiringEnded)
		}, exitFailure, "scopes", check.Fail, []string{"no longer accepts", "evergate token migrate"}},
		"graphql_down": {func(_ *testing.T, s *grantShop) {
			s.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 502, Endpoint: shopsim.GraphQL})
		}, exitFailure, "api-version", check.Fail, []string{"status 502", "in a moment"}},
	}
}

func TestCheckSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	for _, table := range []map[string]wrong{here(), there()} {
		for name, tc := range table {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newGrantShop(t)
				tc.prepare(t, s)
				byName, _ := s.results(t, tc.code)
				r := byName[tc.name]
				if r.Status != tc.status || r.Remedy == "" {
					t.Errorf("%s", r)
				}
				for _, part := range tc.parts {
					if !strings.Contains(r.String(), part) {
						t.Errorf("nothing of %q in %s", part, r)
					}
				}
			})
		}
	}
}

func TestFailureHidesNoOtherAndSkipsWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t, "EVERGATE_UPSTREAM_URL=http://"+nobody(t))
	byName, names := s.results(t, exitFailure)
	if !slices.Equal(names, allChecks) {
		t.Errorf("%q", names)
	}
	for name, status := range map[string]check.Status{
		"configuration": check.OK, "store": check.OK, "listeners": check.OK, "dns": check.OK, "connection": check.Fail,
		"shop": check.Skip, "clock": check.Skip, "grant": check.Skip, "scopes": check.Skip, "api-version": check.Skip,
	} {
		if byName[name].Status != status {
			t.Errorf("%s", byName[name])
		}
	}
	// What needs no more than a shop is looked at beside a mistake in the settings.
	byName, _ = newGrantShop(t, "EVERGATE_LISTNE=x").results(t, exitConfig)
	if byName["shop"].Status != check.OK || byName["grant"].Status != check.Skip {
		t.Errorf("%+v", byName)
	}
}

func TestCheckSpendsNoRefreshTokenWhileTheAccessTokenLives(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	stale := aged(s.pair(), 59*time.Minute) // which the sidecar would renew
	s.put(t, token.Record{Current: stale})
	s.must(t, exitOK, "", []string{"check"}, "nothing was renewed")
	ended := aged(stale, time.Hour)
	s.put(t, token.Record{Current: ended})
	s.must(t, exitOK, "", []string{"check", "--no-refresh"}, "ended 59m", "because of --no-refresh", "skip  scopes")
	if s.Stats().TokenPosts != 0 || !s.stored(t).Current.Refresh.Equal(ended.Refresh) {
		t.Error("a refresh token was spent")
	}
}

func TestCheckRenewsAnEndedGrantByTheRules(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	ended := aged(s.pair(), 2*time.Hour)
	s.put(t, token.Record{Current: ended})
	var atPost token.Record
	s.OnToken(func(shopsim.TokenEvent) { atPost = s.stored(t) })
	s.must(t, exitOK, "", []string{"check"}, "ended 1h0m ago", "renewed as the sidecar would have done")
	r := s.stored(t)
	if atPost.Attempt == nil || r.Attempt != nil || r.Previous == nil || !r.Previous.Refresh.Equal(ended.Refresh) || !s.accepts(t, r.Current.Token.Access) {
		t.Errorf("%+v, at the POST %+v", r, atPost)
	}
}

func TestCheckSeesTheSidecarThatRuns(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	r := start(s.environ, "serve")
	tools, operators := serving(t, r)
	s.withEnviron("EVERGATE_LISTEN="+tools, "EVERGATE_ADMIN_LISTEN="+operators).must(t, exitOK, "", []string{"check"}, tools+", "+operators+": in use by a sidecar that answers")
	r.signals <- os.Interrupt
	r.mustEnd(t, exitOK)
}

func TestCheckVerifiesTheCertificate(t *testing.T) {
	t.Parallel()
	sim := shopsim.New(shopsim.Options{})
	server, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, server.CAPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newGrantShop(t, "EVERGATE_UPSTREAM_URL="+server.URL)
	s.must(t, exitFailure, "", []string{"check"}, "fail  connection", "does not trust", "EVERGATE_UPSTREAM_CA_FILE")
	s.withEnviron("EVERGATE_UPSTREAM_CA_FILE="+file).must(t, exitOK, "", []string{"check"}, tls.VersionName(tls.VersionTLS13)+" with 127.0.0.1", "valid until")
}

func TestEveryCheckIsOnThePageAboutThem(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/using/check.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range allChecks {
		if !strings.Contains(string(page), "\n| `"+name+"` | ") {
			t.Errorf("docs/using/check.md has no row for %s", name)
		}
	}
}

func TestInterruptedCheckDoesNotClaimThatAllIsWell(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Delay: time.Hour, Endpoint: shopsim.REST})
	r := start(s.environ, "check")
	r.out.next(t, has("connection"))
	r.signals <- os.Interrupt
	r.mustEnd(t, exitFailure)
	if !regexp.MustCompile(`(?m)^skip  [a-z, -]*\bgrant\b`).MatchString(r.out.String()) {
		t.Errorf("%s", r.out)
	}
}

// The settings of the package's service are not in root's environment.
func TestCheckSendsRootToTheService(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	hintAtService(&said, filepath.Join(t.TempDir(), "evergate-exec"))
	if said.String() != "" {
		t.Errorf("without the package: %q", said.String())
	}
	program := filepath.Join(t.TempDir(), "evergate-exec")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	hintAtService(&said, program)
	if !strings.Contains(said.String(), "`evergate-exec check`") || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("with the package: %q", said.String())
	}
}

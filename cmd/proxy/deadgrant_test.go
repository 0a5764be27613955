package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// deadGrants are the ways in which a stored grant can be dead while client credentials work.
var deadGrants = map[string]func(*testing.T, *grantShop){
	"revoked_and_installed_again": func(t *testing.T, s *grantShop) {
		s.put(t, token.Record{Current: s.pair()})
		s.must(t, exitOK, "", append(revoke[:2:2], "--yes"), "is uninstalled")
		s.Install("", "")
	},
	"uninstalled_elsewhere": func(t *testing.T, s *grantShop) { // nothing stored knows of it
		s.put(t, token.Record{Current: s.pair()})
		s.Uninstall("", "")
		s.Install("", "")
	},
	"known_and_ended": func(t *testing.T, s *grantShop) {
		s.put(t, token.Record{Current: aged(s.pair(), 2*time.Hour), Reauthorize: &token.Reauthorize{Since: time.Now(), Reason: "it ended"}})
		s.EndChain("", "")
	},
	"refused_at_the_first_refresh": func(t *testing.T, s *grantShop) {
		s.put(t, token.Record{Current: aged(s.pair(), 2*time.Hour)})
		s.EndChain("", "")
	},
	"permanent_and_revoked": func(t *testing.T, s *grantShop) {
		s.RevokeTokens(s.putPermanent(t).Reveal())
	},
}

func TestDeadGrantThatWasFoundDoesNotHideClientCredentials(t *testing.T) {
	t.Parallel()
	for name, kill := range deadGrants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newGrantShop(t)
			kill(t, s)
			r := start(s.environ, "serve")
			tools, operators := serving(t, r)
			for range 3 {
				if status, body := get(t, "http://"+tools+"/admin/api/2026-10/shop.json"); status != 200 || !strings.Contains(body, shopsim.DefaultShop) {
					t.Errorf("%d %s", status, body)
				}
			}
			if status, body := get(t, "http://"+operators+"/readyz"); status != 200 {
				t.Errorf("%d %s", status, body)
			}
			mustHaveUsedAnother(t, r)
			proof := filepath.Join(t.TempDir(), "ran")
			s.must(t, exitOK, "", []string{"run", "--", "touch", proof})
			if _, err := os.Stat(proof); err != nil {
				t.Error(err)
			}
			// A login is noticed while the sidecar runs, and the stored grant is used again.
			r = start(s.environ, "serve")
			tools, _ = serving(t, r)
			get(t, "http://"+tools+"/admin/api/2026-10/shop.json")
			s.put(t, token.Record{Current: s.pair()})
			r.err.next(t, has("took over a token that was put there by someone else"))
			r.signals <- os.Interrupt
			r.mustEnd(t, exitOK)
		})
	}
}

// mustHaveUsedAnother ends a sidecar, which has said once that another grant is used.
func mustHaveUsedAnother(t *testing.T, r *running) {
	t.Helper()
	r.signals <- os.Interrupt
	r.mustEnd(t, exitOK)
	if log := r.err.String(); strings.Count(log, "the stored grant is dead, so another one is used") != 1 || credential.MatchString(log) {
		t.Error(log)
	}
}

// A refresh token in the environment works once, if at all: the one of a template, of last year, or
// of another program that has used it since. Client credentials stand beside it in any case.
func TestASeedThatIsDeadDoesNotHideClientCredentials(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]func(*testing.T, *grantShop) string{
		"never_was": func(*testing.T, *grantShop) string { return "shprt_" + strings.Repeat("0", 32) },
		"ended": func(_ *testing.T, s *grantShop) string {
			defer s.EndChain("", "")
			return s.pair().Refresh.Reveal()
		},
		"uninstalled_since": func(_ *testing.T, s *grantShop) string {
			pair := s.pair()
			s.Uninstall("", "")
			s.Install("", "")
			return pair.Refresh.Reveal()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newGrantShop(t)
			seeded := s.withEnviron("SHOPIFY_REFRESH_TOKEN=" + seed(t, s))
			for range 2 { // the second start finds it stored, and dead
				r := start(seeded.environ, "serve")
				tools, _ := serving(t, r)
				if status, body := get(t, "http://"+tools+"/admin/api/2026-10/shop.json"); status != 200 {
					t.Errorf("%d %s", status, body)
				}
				mustHaveUsedAnother(t, r)
			}
			seeded.must(t, exitOK, "", []string{"run", "--", "true"})
		})
	}
}

// Whoever asks for the stored grant gets that one, or hears that it is dead before a command is started.
func TestDeadGrantThatWasAskedForStopsRun(t *testing.T) {
	t.Parallel()
	for name, kill := range deadGrants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newGrantShop(t)
			kill(t, s)
			proof := filepath.Join(t.TempDir(), "ran")
			s.withEnviron("EVERGATE_GRANT=offline").must(t, exitSidecar, "", []string{"run", "--", "touch", proof}, "so touch was not started", "evergate login")
			if _, err := os.Stat(proof); err == nil {
				t.Error("the command was started")
			}
		})
	}
}

// A token that Shopify does not accept is no reason to stop where there is another; where
// Shopify does not say, the command is started.
func TestRunIsNotStoppedByWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.put(t, token.Record{Current: s.pair()})
	s.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 503})
	s.must(t, exitOK, "", []string{"run", "--", "true"})
}

func TestCheckSaysThatAnotherGrantIsUsed(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	deadGrants["revoked_and_installed_again"](t, s)
	byName, _ := s.results(t, exitOK)
	if r := byName["grant"]; r.Status != "warn" || !strings.Contains(r.String(), "client credentials are used in its place") || !strings.Contains(r.Remedy, "EVERGATE_GRANT=client_credentials") {
		t.Errorf("%s", r)
	}
}

// One path that always answers 401 is no reason to take a sidecar out of its Service.
func TestOnePathThatAnswers401LeavesTheSidecarReady(t *testing.T) {
	t.Parallel()
	sim, environ := simulated(t)
	r := start(environ, "serve")
	tools, operators := serving(t, r)
	sim.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 401, Endpoint: shopsim.GraphQL})
	for range 5 {
		resp, err := http.Post("http://"+tools+"/admin/api/2026-10/graphql.json", "application/json", strings.NewReader(`{"query":"{shop{name}}"}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 401 {
			t.Errorf("%s", resp.Status)
		}
	}
	r.err.next(t, has("though Shopify accepts the token"))
	_, numbers := get(t, "http://"+operators+"/metrics")
	if status, body := get(t, "http://"+operators+"/readyz"); status != 200 || !strings.Contains(numbers, `evergate_token_usable{shop="`+shopsim.DefaultShop+`"} 1`) {
		t.Errorf("%d %s", status, body)
	}
	r.signals <- os.Interrupt
	r.mustEnd(t, exitOK)
}

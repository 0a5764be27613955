package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/markup"
	"evergate/internal/metrics"
	"evergate/internal/refresh"
	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// good is a token in the middle of its life, at a moment after it was issued.
func good() facts {
	now := issued.Add(6 * time.Hour)
	return facts{now: now, snapshot: &snapshot{requests: 10}, status: refresh.Status{
		Shop: "acme.myshopify.com", Grant: "client_credentials", State: "fresh", Obtained: true, Usable: true, Age: 6 * time.Hour, Left: 18 * time.Hour,
		Issued: issued, Expires: issued.Add(24 * time.Hour), Renews: issued.Add(18 * time.Hour),
	}}
}

func refusedFor(decision error, what, do string) error {
	return fmt.Errorf("client credentials: %w", token.Decide(decision, remedy.New(do, "%s", what)))
}

var wrongSecret = refusedFor(token.ErrConfig, "token endpoint answered 400 invalid_request: the client secret is wrong", "check SHOPIFY_CLIENT_SECRET, then the installation")

func TestTheVerdictIsTheWorstThatIsTrue(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		edit  func(*facts)
		level Level
		code  string
		says  string // in the text
		do    string // in what to do; empty: nothing is to be done
	}{
		{"healthy", func(*facts) {}, LevelOK, "ok", "All is well.", ""},
		{"nothing known of calls", func(f *facts) { f.snapshot = nil }, LevelOK, "ok", "All is well.", ""},
		{"no calls yet", func(f *facts) { f.snapshot.requests = 0 }, LevelOK, "no_calls", "No tool has called yet", ""},
		{"about to be renewed", func(f *facts) { f.status.State, f.status.Left = "stale", 5*time.Hour }, LevelOK, "ok", "about to be renewed", ""},
		{"starting", func(f *facts) { f.status = waiting }, LevelWarning, "starting", "being obtained", ""},
		{"stopping", func(f *facts) { f.stopping = true }, LevelWarning, "stopping", "shutting down", ""},
		{"wrong secret", func(f *facts) { f.status = failing; f.status.Err = wrongSecret }, LevelError, "no_token", "client secret is wrong", "Check SHOPIFY_CLIENT_SECRET"},
		{"Shopify out of reach", func(f *facts) {
			f.status = failing
			f.status.Err = token.Decide(token.ErrTransient, errors.New("no route"))
		}, LevelError, "no_token", "No route.", "goes on trying"},
		{"store away", func(f *facts) {
			f.status = waiting
			f.status.Err = token.Decide(token.ErrTransient, &refresh.StoreError{Err: errors.New("the stored grant cannot be read: no route")})
		}, LevelError, "no_token", "cannot be read: no route.", "whether the store of `EVERGATE_STORE` runs"},
		{"store of many away", func(f *facts) {
			f.fleet, f.status.Err = &ShopCount{}, token.Decide(token.ErrTransient, errors.New("no route"))
		}, LevelError, "store_unreachable", "No route.", "whether the store of `EVERGATE_STORE` runs"},
		{"expired", func(f *facts) { f.status = expired; f.status.Err = wrongSecret }, LevelError, "no_token", "503", "SHOPIFY_CLIENT_SECRET"},
		{"dead grant", func(f *facts) { f.status.Grant, f.status.Reauthorize, f.status.Usable = "offline", true, false }, LevelError, "reauthorization_required", "503", "`evergate login`"},
		{"dead grant before the first token", func(f *facts) { f.status = waiting; f.status.Reauthorize = true }, LevelError, "reauthorization_required", "503", "login"},
		{"dead grant, living token", func(f *facts) { f.status.Reauthorize = true }, LevelError, "reauthorization_required", "until the token ends", "login"},
		{"dead grant, refused token", func(f *facts) {
			f.status.State, f.status.Reauthorize, f.status.Refused, f.status.Usable = "refused", true, true, false
		}, LevelError, "reauthorization_required", "its 401 is passed on", "login"},
		{"dead grant, refused token that has ended", func(f *facts) { f.status = expired; f.status.Reauthorize, f.status.Refused = true, true }, LevelError, "reauthorization_required", "503", "login"},
		{"token refused", func(f *facts) { f.status.Grant, f.status.Refused, f.status.Usable = "static", true, false }, LevelError, "token_refused", "401", "SHOPIFY_ACCESS_TOKEN"},
		{"refused token that has ended", func(f *facts) { f.status = expired; f.status.Refused, f.status.Err = true, wrongSecret }, LevelError, "no_token", "503", "SHOPIFY_CLIENT_SECRET"},
		{"token dies", func(f *facts) { f.status.Left, f.status.Err = 3*time.Hour, wrongSecret }, LevelError, "token_ends", "3 h", "SHOPIFY_CLIENT_SECRET"},
		{"token dies for no known reason", func(f *facts) { f.status.Left = time.Hour }, LevelError, "token_ends", "1 h", ""},
		{"renewal fails", func(f *facts) { f.status.State, f.status.Left, f.status.Err = "stale", 5*time.Hour, wrongSecret }, LevelWarning, "refresh_fails", "renewal fails", "SHOPIFY_CLIENT_SECRET"},
		{"refresh token ends", func(f *facts) { f.status.Grant, f.status.RefreshExpires = "offline", f.now.Add(24*time.Hour) }, LevelWarning, "refresh_token_ends", "24 h", "login"},
		{"refresh token has time", func(f *facts) { f.status.RefreshExpires = f.now.Add(60 * 24 * time.Hour) }, LevelOK, "ok", "All is well.", ""},
		{"grant not saved", func(f *facts) { f.status.Unsaved = errors.New("disk full") }, LevelWarning, "grant_not_saved", "Disk full.", "Make room"},
		{"chain used twice", func(f *facts) { f.status.Alarm = remedy.New("look for the other one", "a and b use the same chain") }, LevelWarning, "refresh_chain_alarm", "A and b use", "Look for the other one."},
		{"scopes missing", func(f *facts) { f.status.MissingScopes = []string{"read_themes"} }, LevelWarning, "missing_scopes", "lacks scopes", "Dev Dashboard"},
		{"a quarter fails", func(f *facts) { f.recent = recent{calls: 40, failed: 10} }, LevelError, "calls_fail", "10 of 40 calls", ""},
		{"a quarter of few fails", func(f *facts) { f.recent = recent{calls: 4, failed: 1} }, LevelWarning, "calls_fail", "1 of 4 calls", ""},
		{"a few fail", func(f *facts) { f.recent = recent{calls: 100, failed: 6} }, LevelWarning, "calls_fail", "6 of 100 calls", ""},
		{"single ones fail", func(f *facts) { f.recent = recent{calls: 100, failed: 4} }, LevelOK, "ok", "All is well.", ""},
		{"Shopify errs", func(f *facts) {
			f.recent = recent{calls: 40, failed: 30, worst: &Failure{Route: "rest:products", Status: 502}}
		}, LevelError, "calls_fail", "502 Bad Gateway (rest:products)", "shopifystatus"},
		{"version retired", func(f *facts) {
			f.snapshot.versions = []versionView{{Version: "2025-07", Retires: f.now.Add(-time.Hour)}}
		}, LevelError, "api_version_retired", "2025-07", "newer version"},
		{"version retires", func(f *facts) {
			f.snapshot.versions = []versionView{{Version: "2026-01", Retires: f.now.Add(40 * 24 * time.Hour)}}
		}, LevelWarning, "api_version_retires", "40 d", "newer version"},
		{"version has time", func(f *facts) {
			f.snapshot.versions = []versionView{{Version: "2026-01", Retires: f.now.Add(50 * 24 * time.Hour)}, {Version: "unstable"}}
		}, LevelOK, "ok", "All is well.", ""},
		{"clock behind", func(f *facts) { f.snapshot.skew = 2 * time.Minute }, LevelWarning, "clock_wrong", "2 min behind Shopify's", "time service"},
		{"clock ahead", func(f *facts) { f.snapshot.skew = -2 * time.Minute }, LevelWarning, "clock_wrong", "2 min ahead of Shopify's", "time service"},
		{"clock good enough", func(f *facts) { f.snapshot.skew = -time.Minute }, LevelOK, "ok", "All is well.", ""},
		{"local CA ends", func(f *facts) { f.snapshot.localCA = f.now.Add(20 * 24 * time.Hour) }, LevelWarning, "local_ca_ends", "20 d", "`evergate ca install`"},
		{"local CA has time", func(f *facts) { f.snapshot.localCA = f.now.Add(31 * 24 * time.Hour) }, LevelOK, "ok", "All is well.", ""},
		{"IP allowlist", func(f *facts) {
			f.notices = []Notice{{LevelWarning, CodeRefusedUnexplained, "Calls refused", "refused (rest:shop)", "see whether the IP allowlist has this address", ""}}
		}, LevelWarning, "calls_refused", "rest:shop", "IP allowlist"},
		{"IP allowlist, and so calls fail", func(f *facts) {
			f.notices = []Notice{{LevelWarning, CodeRefusedUnexplained, "Calls refused", "refused (rest:shop)", "see whether the IP allowlist has this address", ""}}
			f.recent = recent{calls: 10, failed: 10, worst: &Failure{Route: "rest:shop", Status: 403}}
		}, LevelError, "calls_refused", "rest:shop", "IP allowlist"},
		{"IP allowlist, and calls fail for another reason", func(f *facts) {
			f.notices = []Notice{{LevelWarning, CodeRefusedUnexplained, "Calls refused", "refused (rest:shop)", "see whether the IP allowlist has this address", ""}}
			f.recent = recent{calls: 10, failed: 10, worst: &Failure{Route: "rest:products", Status: 503}}
		}, LevelError, "calls_fail", "503 Service Unavailable", "shopifystatus"},
		{"an error beside a warning", func(f *facts) {
			f.status.MissingScopes, f.snapshot.skew = []string{"read_themes"}, time.Hour
			f.snapshot.versions = []versionView{{Version: "2025-07", Retires: f.now.Add(-time.Hour)}}
		}, LevelError, "api_version_retired", "2025-07", "newer version"},
		{"no token beside failing calls", func(f *facts) { f.status = failing; f.recent = recent{calls: 10, failed: 10} }, LevelError, "no_token", "503", "trying"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := good()
			tc.edit(&f)
			all := judge(f)
			v := all[0]
			if v.Level != tc.level || v.Code != tc.code || !strings.Contains(v.Text, tc.says) || !strings.Contains(v.WhatToDo, tc.do) || tc.do == "" && v.WhatToDo != "" {
				t.Errorf("%+v", v)
			}
			for i, v := range all {
				if !strings.HasSuffix(v.Text, ".") || v.WhatToDo != "" && !strings.HasSuffix(v.WhatToDo, ".") || v.label == "" || i > 0 && v.Level.severity() > all[i-1].Level.severity() {
					t.Errorf("%d: %+v", i, v)
				}
				if len(all) > 1 && v.Level == LevelOK {
					t.Errorf("all is well, and yet: %+v", all)
				}
			}
		})
	}
}

func TestAdviceCanBeFollowedHere(t *testing.T) {
	t.Parallel()
	dead := func(f *facts) { f.status.Grant, f.status.Reauthorize = "offline", true }
	secret := func(f *facts) { f.status = failing; f.status.Err = wrongSecret }
	for _, tc := range []struct {
		name   string
		setup  Setup
		edit   func(*facts)
		has    []string
		hasNot []string
	}{
		{"by hand", Setup{Command: "proxy"}, dead, []string{"`proxy login`"}, []string{"--paste", "systemctl", "evergate"}},
		{"a merchant's page", Setup{LoginURL: "https://x.example/oauth/start"}, dead, []string{"`https://x.example/oauth/start`"}, nil},
		{"no merchant's page", Setup{}, dead, nil, []string{"merchant", "http"}},
		{"systemd", Setup{Command: "evergate-exec", Supervisor: SupervisorSystemd}, dead, []string{"`evergate-exec login --paste`"}, nil},
		{"Kubernetes", Setup{Command: "kubectl exec --stdin --tty pod-1 -- /evergate", Supervisor: SupervisorKubernetes}, dead, []string{"`kubectl exec --stdin --tty pod-1 -- /evergate login --paste`"}, []string{"systemctl"}},
		{"a secret, by hand", Setup{}, secret, []string{"SHOPIFY_CLIENT_SECRET", "start it anew"}, []string{"systemctl", "container", "login"}},
		{"a secret under systemd", Setup{Supervisor: SupervisorSystemd}, secret, []string{"systemctl restart"}, []string{"container", "login"}},
		{"a secret in a container", Setup{Supervisor: SupervisorContainer}, secret, []string{"container"}, []string{"systemctl", "login"}},
		{"a secret in Kubernetes", Setup{Supervisor: SupervisorKubernetes}, secret, []string{"restart the pod"}, []string{"systemctl", "login"}},
		{"a secret in a file", Setup{File: func(name string) string {
			return map[string]string{"SHOPIFY_CLIENT_SECRET": "/run/secret"}[name]
		}}, secret, []string{"`/run/secret` is read again"}, []string{"start it anew", "login"}},
		{"a remedy that names a command", Setup{Command: "proxy"}, func(f *facts) {
			f.notices = []Notice{{LevelError, "x", "x", "x", "run `evergate token migrate`, or log in again with `evergate login`", ""}}
		}, []string{"`proxy token migrate`", "`proxy login`"}, []string{"evergate"}},
		{"one shop of many", Setup{ShopsFile: "/shops.yaml"}.forShop("acme.myshopify.com"), dead, []string{"`evergate login --shop acme`"}, nil},
		{"one shop of many, beside the file", Setup{ShopsFile: "/shops.yaml", OwnShop: "acme.myshopify.com"}.forShop("acme.myshopify.com"), dead, []string{"`evergate login --shop acme`"}, nil},
		{"one shop of many under systemd", Setup{ShopsFile: "/shops.yaml", Command: "evergate-exec", Supervisor: SupervisorSystemd}.forShop("acme.myshopify.com"), func(f *facts) {
			f.notices = []Notice{{LevelError, "x", "x", "x", "run `evergate token migrate --shop acme`, or log in again with `evergate login --shop acme`", ""}}
		}, []string{"`evergate-exec token migrate --shop acme`", "`evergate-exec login --paste --shop acme`"}, nil},
		{"the only shop", Setup{}.forShop("acme.myshopify.com"), dead, []string{"`evergate login`"}, []string{"--shop"}},
		{"refused client credentials", Setup{}, func(f *facts) { f.status.Refused = true }, []string{"still installed"}, []string{"login", "SHOPIFY_ACCESS_TOKEN"}},
		{"missing scopes of client credentials", Setup{}, func(f *facts) { f.status.MissingScopes = []string{"x"} }, []string{"Dev Dashboard"}, []string{"login"}},
		{"missing scopes of a login", Setup{}, func(f *facts) { f.status.Grant, f.status.MissingScopes = "offline", []string{"x"} }, []string{"`evergate login`"}, nil},
		{"a clock in a container", Setup{Supervisor: SupervisorContainer}, func(f *facts) { f.snapshot.skew = time.Hour }, []string{"host"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := good()
			f.setup = tc.setup
			tc.edit(&f)
			do := judge(f)[0].WhatToDo
			for _, want := range tc.has {
				if !strings.Contains(do, want) {
					t.Errorf("it does not say %q: %s", want, do)
				}
			}
			for _, wrong := range tc.hasNot {
				if strings.Contains(do, wrong) {
					t.Errorf("it says %q: %s", wrong, do)
				}
			}
		})
	}
}

func TestStatusHasTheVerdict(t *testing.T) {
	t.Parallel()
	var got struct {
		Verdict map[string]string
		Also    []map[string]string
	}
	s := &sidecar{status: fresh, stopping: true}
	w := call(s.handler(t), "GET", "/status")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Verdict["level"] != "warning" || got.Verdict["code"] != "stopping" || got.Verdict["text"] == "" || len(got.Verdict) != 4 {
		t.Errorf("%v", got.Verdict)
	}
	if len(got.Also) != 1 || got.Also[0]["code"] != "missing_scopes" || got.Also[0]["what_to_do"] == "" {
		t.Errorf("%v", got.Also)
	}
}

// A page loses a part of it in silence when a metric that it reads is called otherwise.
func TestThePageReadsMetricsThatArePublished(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	met := metrics.New(reg, "1", "", "")
	met.RegisterBuckets(reg, func() []metrics.BucketState {
		return []metrics.BucketState{{Shop: "acme", API: "rest", Capacity: 40, Available: 30}}
	})
	met.RegisterLocalCA(reg, func() (time.Time, bool) { return issued, true })
	met.RequestStarted()
	met.RequestDone(shopify.RouteGraphQL, "POST", 502, time.Second)
	met.Failed("no_token")
	met.Failed("rate_limit_queue_full")
	met.Waited(time.Second)
	met.Throttled("acme", "rest")
	met.ClockSkew(3 * time.Second)
	met.APIAnswered(shopify.ParseVersion("2026-10"), "2026-10")
	met.CallerServed("agent", metrics.Denied)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range families {
		there[f.GetName()] = len(f.GetMetric()) > 0
	}
	for name := range metricsRead {
		if !there[name] {
			t.Errorf("the page reads %s, which is not published", name)
		}
	}
	s := takeSnapshot(reg, nil)
	if s.requests != 1 || s.failed != 1 || s.noToken != 1 || s.queueFull != 1 || s.waited != 1 || s.throttled != 1 || s.skew != 3*time.Second || !s.localCA.Equal(issued) ||
		len(s.buckets) != 1 || s.buckets[0] != (bucketView{"rest", 30, 40}) || len(s.versions) != 1 || s.versions[0].Calls != 1 || s.versions[0].Retires.IsZero() ||
		len(s.callers) != 1 || s.callers[0] != (callerView{"agent", 1, 1}) {
		t.Errorf("a label is called otherwise: %+v", s)
	}
}

func TestWhatFailsMostIsSaidAsItIs(t *testing.T) {
	t.Parallel()
	unreachable := func(route string, n uint64) Failure {
		return Failure{Route: route, Code: "upstream_unreachable", Status: 502, Count: n}
	}
	shopifys := func(route string, n uint64) Failure { return Failure{Route: route, Status: 503, Count: n} }
	for _, tc := range []struct {
		name     string
		failures []Failure
		upstream string
		says, do string
	}{
		{"one answer", []Failure{shopifys("graphql", 6)}, "", ", all of them with 503 Service Unavailable (graphql).", "shopifystatus.com"},
		{"more than half", []Failure{shopifys("graphql", 4), unreachable("rest:shop", 2)}, "", ", most of them with 503 Service Unavailable (graphql).", "shopifystatus.com"},
		{"a tie", []Failure{shopifys("graphql", 3), unreachable("rest:shop", 3)}, "", ", 3 of them with upstream_unreachable (rest:shop).", "`evergate check`"},
		{"a tie the other way round", []Failure{unreachable("rest:shop", 3), shopifys("graphql", 3)}, "", ", 3 of them with upstream_unreachable (rest:shop).", "`evergate check`"},
		{"one answer on many routes", []Failure{shopifys("graphql", 3), unreachable("rest:shop", 2), unreachable("rest:orders", 2)}, "",
			", most of them with upstream_unreachable (rest:shop and other routes).", "`evergate check`"},
		{"less than half", []Failure{shopifys("graphql", 2), unreachable("rest:shop", 1), {Route: "graphql", Status: 429, Count: 1}, {Route: "graphql", Status: 401, Count: 1}}, "",
			", 2 of them with 503", "shopifystatus.com"},
		{"a simulator's", []Failure{shopifys("graphql", 6)}, "127.0.0.1:4443", ", all of them with 503", "`127.0.0.1:4443`"},
		{"nothing in time", []Failure{{Route: "graphql", Code: "upstream_timeout", Status: 504, Count: 5}}, "", "upstream_timeout", "`evergate check`"},
		{"nothing in time from a simulator", []Failure{{Route: "graphql", Code: "upstream_timeout", Status: 504, Count: 5}}, "127.0.0.1:4443", "upstream_timeout", "its own log"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := good()
			f.setup.Upstream = tc.upstream
			f.recent.calls = 10
			for _, one := range tc.failures {
				f.recent.failed += float64(one.Count)
			}
			f.recent.sumUp(tc.failures, func(f Failure) uint64 { return f.Count })
			v := judge(f)[0]
			if v.Code != codeCallsFail || !strings.Contains(v.Text, tc.says) || !strings.Contains(v.WhatToDo, tc.do) {
				t.Errorf("%+v", v)
			}
			if tc.upstream != "" && strings.Contains(v.WhatToDo, "shopifystatus") {
				t.Errorf("it is not Shopify that errs: %s", v.WhatToDo)
			}
		})
	}
}

func TestRecentCallsAreThoseOfTheLastMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := publish()
		var failures []Failure
		h := NewHistory(p, func() []Failure { return append([]Failure(nil), failures...) })
		take := func() snapshot { return takeSnapshot(p, h.failures) }
		p.serve("200", 50)
		p.serve("502", 50)
		failures = []Failure{{Route: "graphql", Status: 502, Count: 50}, {Route: "rest:shop", Code: "no_token", Status: 503}}
		if r := h.recent(take()); r.calls != 100 || r.failed != 50 || r.worst == nil || r.worst.Route != "graphql" || r.worstCount != 50 {
			t.Errorf("%+v", r)
		}
		for range recentMinutes {
			h.note(take())
		}
		p.serve("200", 10)
		if r := h.recent(take()); r.calls != 10 || r.failed != 0 || r.worst != nil {
			t.Errorf("what is long past counts: %+v", r)
		}
		p.serve("503", 4)
		p.failed.WithLabelValues("no_token").Add(4)
		failures[1].Count = 4
		if r := h.recent(take()); r.failed != 0 || r.worst != nil {
			t.Errorf("calls without a token, of which something else is said: %+v", r)
		}
		failures = append(failures, Failure{Route: "rest:orders", Status: 403, Count: 3}, Failure{Route: "other", Code: "read_only", Status: 403, Count: 7})
		if r := h.recent(take()); r.failed != 3 {
			t.Errorf("403s of Shopify's: %+v", r)
		}
	})
}

func TestStatusHasWhatThePageShows(t *testing.T) {
	t.Parallel()
	p := publish()
	failures := func() []Failure {
		return []Failure{
			{Route: "graphql", Status: 502, Count: 3, Last: issued}, {Route: "other", Code: "denied_path", Status: 403, Count: 2, Last: issued.Add(time.Minute)},
			{Route: "rest:products", Status: 404, Count: 9, Last: issued},
		}
	}
	h := New(Options{
		Tokens: &sidecar{status: fresh}, Admission: newAdmission(t), Gatherer: p, History: historyFromNow(p, failures), Failures: failures, Stopping: func() bool { return false },
		Entrances: func() []Entrance { return []Entrance{{"http://127.0.0.1:8080", "curl x"}} }, Policy: func() string { return "by default full" },
		Waits: func() []Wait {
			return []Wait{{"agent", 4, 3 * time.Second, issued}, {"cron", 1, time.Second, issued}}
		},
	})
	p.callers.WithLabelValues("agent", "passed").Add(5)
	p.callers.WithLabelValues("agent", "denied").Add(2)
	p.callers.WithLabelValues("anonymous", "passed").Add(9)
	p.serve("200", 7)
	p.serve("502", 3)
	var got Report
	if err := json.Unmarshal(call(h, "GET", "/status").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := Report{
		Tools: []Entrance{{"http://127.0.0.1:8080", "curl x"}}, Policy: "by default full",
		Calls:        &CallReport{HourCalls: 10, HourFailed: 3, RecentMinutes: 5, RecentCalls: 10, RecentFailed: 3},
		Unsuccessful: []FailureReport{{"graphql", 502, "", true, 3, issued}, {"other", 403, "denied_path", false, 2, issued.Add(time.Minute)}},
		Callers:      []CallerReport{{"anonymous", 9, 0, 0}, {"agent", 7, 2, 4}},
		RateLimits:   []LimitReport{{"rest", 3, 40}, {"graphql", 1950, 2000}},
		Pacing:       PacingReport{On: true, LongestSeconds: 3, LongestCaller: "agent", LongestAt: issued},
	}
	for _, pair := range [][2]any{
		{got.Tools, want.Tools}, {got.Policy, want.Policy}, {got.Calls, want.Calls}, {got.Unsuccessful, want.Unsuccessful}, {got.Callers, want.Callers}, {got.RateLimits, want.RateLimits}, {got.Pacing, want.Pacing},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%+v, want %+v", pair[0], pair[1])
		}
	}
	if len(got.APIVersions) != 3 || got.APIVersions[0].Level != LevelError || got.Verdict.Code != codeVersionRetired {
		t.Errorf("%+v, %+v", got.APIVersions, got.Verdict)
	}
}

func TestATimeIsWrittenAsPeopleSayIt(t *testing.T) {
	t.Parallel()
	for away, want := range map[time.Duration]string{
		0: "now", 400 * time.Millisecond: "now", time.Second: "in 1 s", -time.Second: "1 s ago", 90 * time.Second: "in 2 min", -3 * time.Minute: "3 min ago", -59 * time.Second: "1 min ago",
		59 * time.Minute: "in 59 min", 90 * time.Minute: "in 2 h", 75 * time.Minute: "in 75 min", 18 * time.Hour: "in 18 h", 26 * time.Hour: "in 26 h", 90 * 24 * time.Hour: "in 90 d", -48 * time.Hour: "2 d ago",
	} {
		if got := fromNow(issued.Add(away), issued); got != want {
			t.Errorf("%s is written %q, want %q", away, got, want)
		}
	}
}

func TestWhatIsToBeTypedStandsOut(t *testing.T) {
	t.Parallel()
	var p markup.Page
	words(&p, "run `a <b>` & then `c`, or d")
	if got := p.String(); got != "run <code>a &lt;b&gt;</code> &amp; then <code>c</code>, or d" {
		t.Errorf("%s", got)
	}
}

func TestTheTabSaysTheVerdict(t *testing.T) {
	t.Parallel()
	icons := map[string]bool{lostIcon(): true}
	for want, st := range map[string]refresh.Status{"✓ All is well": permanent, "! Starting": waiting, "✕ No token": failing} {
		page := call((&sidecar{status: st}).handler(t), "GET", "/").Body.String()
		if !strings.Contains(page, "<title>"+want+" · acme.myshopify.com</title>") {
			t.Errorf("%.500s", page)
		}
		_, rest, _ := strings.Cut(page, `<link rel="icon" id="icon" href="`)
		icon, rest, _ := strings.Cut(rest, `"`)
		if !strings.HasPrefix(icon, "data:image/svg+xml;base64,") || icons[icon] || !strings.HasPrefix(rest, ` data-lost="`+lostIcon()+`"`) {
			t.Errorf("its icon is %q, before %.100q", icon, rest)
		}
		icons[icon] = true
	}
}

// The page of the manual has every code and every field, and no others.
func TestTheManualHasEveryCodeAndField(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/operating/status.md")
	if err != nil {
		t.Fatal(err)
	}
	codes, fields, _ := strings.Cut(string(manual), "## The fields of /status")
	rows := func(text string) map[string]bool {
		named := map[string]bool{}
		for _, row := range regexp.MustCompile("(?m)^\\| ((?:`[a-z_]+`(?:, )?)+) \\|").FindAllStringSubmatch(text, -1) {
			for name := range strings.SplitSeq(row[1], ", ") {
				named[strings.Trim(name, "`")] = true
			}
		}
		return named
	}
	says := rows(codes)
	for _, code := range []string{
		codeOK, codeNoCalls, codeStarting, codeStopping, codeReauthorize, codeNoToken, codeTokenRefused, codeTokenEnds, codeRefreshFails, codeRefreshTokenEnds, codeUnsaved, codeChainAlarm,
		codeMissingScopes, codeCallsFail, codeVersionRetired, codeVersionRetires, codeClockWrong, codeLocalCAEnds, CodeRefusedUnexplained, CodePermanentRetired, CodeFileNotInForce, CodeCertificateEnds, codeStoreUnreachable, CodeStoreUnfit,
	} {
		if !says[code] {
			t.Errorf("docs/operating/status.md has no row for the code %s", code)
		}
		delete(says, code)
	}
	there := rows(fields)
	for _, f := range slices.AppendSeq(slices.Collect(reflect.TypeFor[Report]().Fields()), reflect.TypeFor[FleetReport]().Fields()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue // a Report within a FleetReport
		}
		if !there[name] {
			t.Errorf("docs/operating/status.md has no row for the field %s", name)
		}
		delete(there, name)
	}
	if len(says)+len(there) > 0 {
		t.Errorf("docs/operating/status.md has codes %v and fields %v that do not exist", says, there)
	}
	for _, list := range []any{CallReport{}, FailureReport{}, CallerReport{}, LimitReport{}, PacingReport{}, VersionReport{}, Entrance{}, Verdict{}, ShopCount{}, ShopState{}} {
		for f := range reflect.TypeOf(list).Fields() {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && !strings.Contains(string(manual), "`"+name+"`") && !strings.Contains(string(manual), `"`+name+`"`) {
				t.Errorf("docs/operating/status.md does not say what %s is", name)
			}
		}
	}
}

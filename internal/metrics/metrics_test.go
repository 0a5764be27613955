package metrics

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"evergate/internal/shopify"
)

var update = flag.Bool("update", false, "write testdata/metrics.golden")

// used is a registry in which every instrument has been used.
func used(t *testing.T) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "1.2.3", "abcdef", "go1.26")
	now := time.Unix(1_796_040_000, 0)
	m.RegisterTokens(reg, func() []TokenState {
		return []TokenState{{
			Shop: "acme.myshopify.com", Present: true, Usable: true, Age: time.Hour, Issued: now, Expires: now.Add(time.Hour),
			RefreshExpires: now.Add(90 * 24 * time.Hour), Reauthorize: true, Failing: "transient",
		}}
	})
	m.RegisterBuckets(reg, func() []BucketState {
		return []BucketState{{Shop: "acme.myshopify.com", API: "rest", Capacity: 40, Available: 12.5}}
	})
	m.RegisterLog(reg, func() uint64 { return 3 })
	m.Waited(time.Second)
	m.Throttled("acme.myshopify.com", "graphql")
	m.RequestStarted()
	m.UpstreamAnswered(shopify.RouteGraphQL, time.Millisecond)
	m.Deprecated(shopify.RouteGraphQL)
	m.RequestDone(shopify.RouteGraphQL, "POST", 200, time.Millisecond)
	m.APIAnswered(shopify.ParseVersion("2026-10"), "2026-10")
	m.Announce([]string{"no_token", "upstream_timeout"}, []string{"401", "429"})
	m.Denied("denied_path")
	m.CallerServed("agent", Reported)
	m.Failed("no_token")
	m.Replayed("401")
	m.Refreshed("acme.myshopify.com", "client_credentials", "ok", time.Second)
	m.Alarmed("rolled_back")
	m.ClockSkew(time.Second)
	m.RegisterLimits(reg, func() []ConnectionState { return []ConnectionState{{"tools", 1, 2, 3}} }, func() MemoryState { return MemoryState{1, 2, 3} })
	m.RegisterLocalCA(reg, func() (time.Time, bool) { return now.Add(365 * 24 * time.Hour), true })
	m.RegisterFleet(reg, func() FleetState { return FleetState{Active: 1, Stored: 2, Reachable: true} })
	m.RegisterStore(reg, func() int { return 0 })
	return reg
}

// series maps name{label="value",…} to its value; a histogram counts under its own name.
func series(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// signatures are the lines of the golden file: name{labels} type.
func signatures(t *testing.T, reg prometheus.Gatherer) []string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		lines = append(lines, fmt.Sprintf("%s{%s} %s", f.GetName(), strings.Join(labels, ","), strings.ToLower(f.GetType().String())))
	}
	slices.Sort(lines)
	return lines
}

func TestNamesAndLabelsAreAPI(t *testing.T) {
	const golden = "testdata/metrics.golden"
	got := strings.Join(signatures(t, used(t)), "\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("these are new: %q\nand these are gone: %q\nDashboards and alerts are built on names and labels. If it is meant: go test ./internal/metrics -run API -update",
			without(got, string(want)), without(string(want), got))
	}
}

// without returns the lines of one text that another does not have.
func without(text, other string) []string {
	there := strings.Split(other, "\n")
	return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return slices.Contains(there, line) })
}

func TestMetricsFollowPrometheusConventions(t *testing.T) {
	t.Parallel()
	families, err := used(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "evergate_") || !strings.HasSuffix(f.GetHelp(), ".") {
			t.Errorf("%s: %q: want the prefix evergate_ and a sentence", f.GetName(), f.GetHelp())
		}
	}
}

func TestEachEventIsCountedOnce(t *testing.T) {
	t.Parallel()
	got := series(t, used(t))
	for name, want := range map[string]float64{
		`evergate_build_info{commit="abcdef",goversion="go1.26",version="1.2.3"}`:                    1,
		`evergate_requests_total{code="200",method="POST",route="graphql"}`:                          1,
		`evergate_request_duration_seconds{route="graphql"}`:                                         1,
		`evergate_upstream_duration_seconds{route="graphql"}`:                                        1,
		`evergate_requests_in_flight{}`:                                                              0,
		`evergate_api_deprecated_total{route="graphql"}`:                                             1,
		`evergate_denied_total{reason="denied_path"}`:                                                1,
		`evergate_caller_requests_total{caller="agent",outcome="reported"}`:                          1,
		`evergate_replays_total{reason="401"}`:                                                       1,
		`evergate_replays_total{reason="429"}`:                                                       0,
		`evergate_failed_total{reason="no_token"}`:                                                   1,
		`evergate_failed_total{reason="upstream_timeout"}`:                                           0,
		`evergate_api_requests_total{served="2026-10",version="2026-10"}`:                            1,
		`evergate_refresh_failing{result="transient",shop="acme.myshopify.com"}`:                     1,
		`evergate_refresh_failing{result="config",shop="acme.myshopify.com"}`:                        0,
		`evergate_refreshes_total{grant="client_credentials",result="ok",shop="acme.myshopify.com"}`: 1,
		`evergate_refresh_duration_seconds{shop="acme.myshopify.com"}`:                               1,
		`evergate_clock_skew_seconds{}`:                                                              1,
		`evergate_pace_wait_seconds{}`:                                                               1,
		`evergate_throttled_total{api="graphql",shop="acme.myshopify.com"}`:                          1,
		`evergate_bucket_available{api="rest",shop="acme.myshopify.com"}`:                            12.5,
		`evergate_bucket_capacity{api="rest",shop="acme.myshopify.com"}`:                             40,
		`evergate_token_age_seconds{shop="acme.myshopify.com"}`:                                      3600,
		`evergate_token_issued_timestamp_seconds{shop="acme.myshopify.com"}`:                         1_796_040_000,
		`evergate_token_expiry_timestamp_seconds{shop="acme.myshopify.com"}`:                         1_796_043_600,
		`evergate_token_usable{shop="acme.myshopify.com"}`:                                           1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: %v (there: %t), want %v", name, v, ok, want)
		}
	}
}

func TestTokenIsDescribedAsItIs(t *testing.T) {
	t.Parallel()
	const (
		usable, age   = "evergate_token_usable", "evergate_token_age_seconds"
		issued        = "evergate_token_issued_timestamp_seconds"
		expiry        = "evergate_token_expiry_timestamp_seconds"
		refreshExpiry = "evergate_refresh_token_expiry_timestamp_seconds"
		reauthorize   = "evergate_reauthorization_required"
	)
	at := time.UnixMilli(1_796_040_000_250)
	for _, tc := range []struct {
		name  string
		state TokenState
		want  map[string]float64
	}{
		{"none", TokenState{}, map[string]float64{usable: 0, reauthorize: 0}},
		{"permanent", TokenState{Present: true, Usable: true, Age: 90 * time.Second, Issued: at}, map[string]float64{usable: 1, reauthorize: 0, age: 90, issued: 1_796_040_000.25}},
		{"expiring", TokenState{Present: true, Usable: true, Age: time.Minute, Issued: at, Expires: at.Add(time.Hour)}, map[string]float64{usable: 1, reauthorize: 0, age: 60, issued: 1_796_040_000.25, expiry: 1_796_043_600.25}},
		{"expired", TokenState{Present: true, Age: 2 * time.Hour, Issued: at, Expires: at.Add(time.Hour)}, map[string]float64{usable: 0, reauthorize: 0, age: 7200, issued: 1_796_040_000.25, expiry: 1_796_043_600.25}},
		{"dead_grant", TokenState{RefreshExpires: at, Reauthorize: true}, map[string]float64{usable: 0, reauthorize: 1, refreshExpiry: 1_796_040_000.25}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			reg := prometheus.NewPedanticRegistry()
			tc.state.Shop = "acme.myshopify.com"
			New(reg, "", "", "").RegisterTokens(reg, func() []TokenState { return []TokenState{tc.state} })
			got := series(t, reg)
			for _, name := range []string{usable, age, issued, expiry, refreshExpiry, reauthorize} {
				v, there := got[name+`{shop="acme.myshopify.com"}`]
				if want, wanted := tc.want[name]; there != wanted || v != want {
					t.Errorf("%s: %v (there: %t), want %v (there: %t)", name, v, there, want, wanted)
				}
			}
		})
	}
}

func TestTokensAreAskedForAtEachScrape(t *testing.T) {
	t.Parallel()
	reg, scrapes := prometheus.NewPedanticRegistry(), 0
	New(reg, "", "", "").RegisterTokens(reg, func() []TokenState {
		scrapes++
		return []TokenState{{Shop: "a", Usable: scrapes > 1}, {Shop: "b"}}
	})
	for n := range 3 {
		got := series(t, reg)
		b, there := got[`evergate_token_usable{shop="b"}`]
		if a := got[`evergate_token_usable{shop="a"}`]; a != min(float64(n), 1) || b != 0 || !there {
			t.Errorf("scrape %d: %v", n, got)
		}
	}
}

func TestALocalCAThatIsNotUsedHasNoEnd(t *testing.T) {
	t.Parallel()
	const name = "evergate_local_ca_expiry_timestamp_seconds{}"
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "1.2.3", "abcdef", "go1.26")
	ends, used := time.Unix(1_796_040_000, 0), false
	m.RegisterLocalCA(reg, func() (time.Time, bool) { return ends, used })
	if v, ok := series(t, reg)[name]; ok {
		t.Errorf("%s %v", name, v)
	}
	used = true
	if v := series(t, reg)[name]; v != 1_796_040_000 {
		t.Errorf("%s %v", name, v)
	}
}

func TestRequestsInFlightRiseAndFall(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	m.RequestStarted()
	m.RequestStarted()
	m.RequestDone(shopify.RouteOther, "GET", 200, 0)
	if v := series(t, reg)["evergate_requests_in_flight{}"]; v != 1 {
		t.Errorf("%v, want 1", v)
	}
}

func TestNoRequestCanGrowTheNumberOfSeries(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	rng := rand.New(rand.NewPCG(1, 2))
	statuses := []int{200, 201, 204, 301, 304, 400, 401, 402, 403, 404, 406, 421, 422, 423, 429, 430, 499, 500, 502, 503, 504, 520, 530, 540, 783, -1, -200, 1000, 1 << 40}
	random := func() string {
		b := make([]byte, rng.IntN(12))
		for i := range b {
			b[i] = byte(rng.IntN(256))
		}
		return string(b)
	}
	for range 10_000 {
		path := "/admin/api/" + random() + "/" + random() + ".json"
		switch rng.IntN(5) {
		case 2:
			path = fmt.Sprintf("/admin/api/%04d-%02d/shop.json", 2000+rng.IntN(100), rng.IntN(14))
		case 0:
			path = random()
		case 1:
			path = "/admin/api/2026-10/" + strings.TrimPrefix(shopify.Route(rng.IntN(shopify.RouteCount)).String(), "rest:") + "/" + random()
		}
		method := random()
		if rng.IntN(2) == 0 {
			method = methods[rng.IntN(len(methods))]
		}
		target, _ := shopify.ParseTarget(path) // one with two readings is refused, and has the zero target
		r := target.Route
		m.RequestStarted()
		m.UpstreamAnswered(r, time.Duration(rng.Int64()))
		m.Deprecated(r)
		m.APIAnswered(target.Version, random())
		m.RequestDone(r, method, statuses[rng.IntN(len(statuses))], time.Duration(rng.Int64()))
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		limit := shopify.RouteCount
		switch f.GetName() {
		case "evergate_requests_total":
			limit *= len(methods) * (len(statuses) - 3) // the impossible ones share the code 0
		case "evergate_api_requests_total":
			limit = shopify.VersionCount * (maxServed + 1)
		case "evergate_api_version_retires_timestamp_seconds":
			limit = shopify.VersionCount
		}
		if n := len(f.GetMetric()); n > limit {
			t.Errorf("%s: %d series, more than %d", f.GetName(), n, limit)
		}
		for _, metric := range f.GetMetric() {
			for _, l := range metric.GetLabel() {
				ok := f.GetName() == "evergate_build_info"
				switch l.GetName() {
				case "route":
					ok = slices.Contains(routeNames(), l.GetValue())
				case "method":
					ok = slices.Contains(methods, l.GetValue())
				case "version", "served":
					ok = ok || slices.Contains(versionNames(), l.GetValue())
				case "reason", "result": // announced
					ok = true
				case "code":
					n, err := strconv.Atoi(l.GetValue())
					ok = err == nil && n >= 0 && n < maxStatus
				}
				if !ok {
					t.Errorf("%s: label %s=%q is on no list", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
}

// routeNames and versionNames are the closed lists of two labels' values.
func routeNames() (all []string) {
	for i := range shopify.RouteCount {
		all = append(all, shopify.Route(i).String())
	}
	return all
}

func versionNames() (all []string) {
	for i := range shopify.VersionCount {
		all = append(all, shopify.Version(i).String())
	}
	return all
}

func TestImpossibleStatusIsCountedAsZero(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	for _, status := range []int{-1, 1000, 999, 0} {
		m.RequestDone(shopify.RouteOther, "BREW", status, 0)
	}
	got := series(t, reg)
	if got[`evergate_requests_total{code="0",method="other",route="other"}`] != 3 || got[`evergate_requests_total{code="999",method="other",route="other"}`] != 1 {
		t.Errorf("%v", got)
	}
}

// Two goroutines that meet a series for the first time must not lose a count.
func TestConcurrentFirstUseLosesNothing(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	const workers, each = 8, 200
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range workers {
		wg.Go(func() {
			<-begin
			for i := range each {
				m.RequestStarted()
				m.UpstreamAnswered(shopify.Route(i%shopify.RouteCount), time.Millisecond)
				m.RequestDone(shopify.Route(i%shopify.RouteCount), methods[i%len(methods)], 200+i%100, time.Millisecond)
			}
		})
	}
	close(begin)
	wg.Wait()
	sums := map[string]float64{}
	for name, v := range series(t, reg) {
		family, _, _ := strings.Cut(name, "{")
		sums[family] += v
	}
	for _, name := range []string{"evergate_requests_total", "evergate_request_duration_seconds", "evergate_upstream_duration_seconds"} {
		if sums[name] != workers*each {
			t.Errorf("%s: %v, want %d", name, sums[name], workers*each)
		}
	}
}

// Not parallel: an allocation of another test would count.
func TestRequestPathAllocatesNothing(t *testing.T) {
	m := New(prometheus.NewPedanticRegistry(), "", "", "")
	r := shopify.RouteGraphQL
	for name, f := range map[string]func(){
		"RequestStarted and RequestDone": func() { m.RequestStarted(); m.RequestDone(r, "POST", 200, time.Millisecond) },
		"another method":                 func() { m.RequestDone(r, "BREW", 783, time.Millisecond) },
		"UpstreamAnswered":               func() { m.UpstreamAnswered(r, time.Millisecond) },
		"Deprecated":                     func() { m.Deprecated(r) },
		"CallerServed":                   func() { m.CallerServed("anonymous", Passed) },
		"APIAnswered":                    func() { m.APIAnswered(shopify.ParseVersion("2026-10"), "2026-10") },
		"APIAnswered, fallen forward":    func() { m.APIAnswered(shopify.ParseVersion("2024-10"), "2026-01") },
		"without a trace":                func() { m.RequestDoneInTrace("", r, "GET", 200, time.Millisecond) },
	} {
		f() // the first use makes the series
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

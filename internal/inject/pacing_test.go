package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/denial"
	"evergate/internal/guard"
	"evergate/internal/metrics"
	"evergate/internal/pace"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// minute is how long each scenario runs, in faked time.
const minute = time.Minute

// job is one call that a caller makes again and again.
type job struct {
	method, path, body string
	accept             string // Accept-Encoding
}

var (
	restJob    = job{method: "GET", path: "/admin/api/2026-10/shop.json"}
	graphQLJob = job{method: "POST", path: "/admin/api/2026-10/graphql.json", body: `{"query":"{ products(first: 50) { nodes { id title } } }"}`}
)

// paced is a Handler in front of the simulator, both in process and in faked time.
type paced struct {
	*Handler
	sim       *shopsim.Sim
	throttled atomic.Int64 // refusals of the simulator's, seen by a client or not
	waits     atomic.Int64
	token     string
}

// Waited implements pace.Observer.
func (p *paced) Waited(time.Duration) { p.waits.Add(1) }

// Throttled implements pace.Observer.
func (p *paced) Throttled(string) { p.throttled.Add(1) }

func newSim(settings shopsim.Settings) *shopsim.Sim {
	return shopsim.New(shopsim.Options{Settings: settings, Seed: 1, Shops: []shopsim.Shop{{Domain: shopDomain, Products: 60}}})
}

// newPaced must be called in a bubble. latency is one way.
func newPaced(t *testing.T, settings shopsim.Settings, maxWait, latency time.Duration) *paced {
	t.Helper()
	shop, err := token.ParseShop(shopDomain)
	if err != nil {
		t.Fatal(err)
	}
	admission, err := guard.New(guard.Options{Shops: guard.One(shop)})
	if err != nil {
		t.Fatal(err)
	}
	p := &paced{sim: newSim(settings)}
	p.token = p.sim.IssueToken("", "", 0)
	o := Options{Shops: &Shop{Shop: shop, Base: &url.URL{Scheme: "https", Host: shopDomain}, Tokens: &fakeTokens{current: p.token}}, Admission: admission,
		Transport: distant{p.sim.RoundTripper(), latency}, ReplayBuffer: 1 << 20,
		Metrics: metrics.New(prometheus.NewRegistry(), "test", "none", "go"), Log: slog.New(slog.DiscardHandler)}
	if maxWait > 0 {
		oneShop(o).Pace = pace.New(pace.Options{MaxWait: maxWait, Observer: p})
	}
	p.Handler = New(o)
	return p
}

// distant is an upstream some way off.
type distant struct {
	next    http.RoundTripper
	latency time.Duration
}

func (d distant) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(d.latency)
	arrived := r.Clone(r.Context())
	var err error
	if arrived.URL, err = url.Parse("https://" + r.Host + r.URL.Opaque); err != nil { // as a server reads it
		return nil, err
	}
	resp, err := d.next.RoundTrip(arrived)
	time.Sleep(d.latency)
	return resp, err
}

func (j job) request(ctx context.Context, caller string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, j.method, "http://localhost:8080"+j.path, strings.NewReader(j.body))
	r.RemoteAddr = caller
	if j.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if j.accept != "" {
		r.Header.Set("Accept-Encoding", j.accept)
	}
	return r
}

// outcome is what a caller got.
type outcome struct {
	after   time.Duration // since the start
	took    time.Duration
	refused bool
}

// call makes one call and tells what came of it; false means that the time was up.
func (p *paced) call(ctx context.Context, began time.Time, j job, caller string) (a outcome, ok bool) {
	sent := time.Now()
	w := httptest.NewRecorder()
	done := func() (done bool) {
		defer func() {
			if err, ok := recover().(error); ok && errors.Is(err, http.ErrAbortHandler) {
				done = false // the caller went away
			}
		}()
		p.ServeHTTP(w, j.request(ctx, caller))
		return true
	}()
	refused := w.Code == http.StatusTooManyRequests || strings.Contains(w.Body.String(), "THROTTLED")
	return outcome{time.Since(began), time.Since(sent), refused}, done && (refused || w.Code == http.StatusOK)
}

// run has callers make calls for a minute, each one after the other.
func (p *paced) run(t *testing.T, j job, callers ...string) map[string][]outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), minute)
	defer cancel()
	began := time.Now()
	var mu sync.Mutex
	all := map[string][]outcome{}
	var group sync.WaitGroup
	for _, caller := range callers {
		group.Go(func() {
			for ctx.Err() == nil {
				a, ok := p.call(ctx, began, j, caller)
				if !ok {
					if ctx.Err() == nil {
						t.Errorf("a call failed after %s", time.Since(began))
					}
					return
				}
				mu.Lock()
				all[caller] = append(all[caller], a)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return all
}

func callers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("127.0.0.1:%d", 10000+i)
	}
	return all
}

func count(all map[string][]outcome, from, to time.Duration) (served, refused int) {
	for _, list := range all {
		for _, a := range list {
			switch {
			case a.after < from || a.after > to:
			case a.refused:
				refused++
			default:
				served++
			}
		}
	}
	return served, refused
}

// possible is what a bucket gives in a minute to somebody who knows it perfectly: need is
// what must be in it for a call to be let in, cost what the call takes out.
func possible(size, rate, need, cost float64) int {
	level, now, n := size, 0.0, 0
	for now <= minute.Seconds() {
		if level < need {
			now += (need - level) / rate
			level = need
			continue
		}
		level -= cost
		n++
	}
	return n
}

// costOf asks the simulator what a GraphQL call costs, in a world of its own.
func costOf(t *testing.T, j job) (need, cost float64) {
	t.Helper()
	sim := newSim(shopsim.Settings{})
	r := j.request(t.Context(), "")
	r.URL.Host, r.Host, r.RequestURI = shopDomain, shopDomain, ""
	r.Header.Set("X-Shopify-Access-Token", sim.IssueToken("", "", 0))
	resp, err := sim.RoundTripper().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var maximum, available float64
	for _, f := range []struct {
		name string
		to   *float64
	}{{"requestedQueryCost", &need}, {"actualQueryCost", &cost}, {"maximumAvailable", &maximum}, {"currentlyAvailable", &available}} {
		_, rest, _ := strings.Cut(string(body), `"`+f.name+`":`)
		if _, err := fmt.Sscanf(rest, "%f", f.to); err != nil {
			t.Fatalf("%s in %.200s: %v", f.name, body, err)
		}
	}
	return need, cost
}

func TestPacingGetsNearlyAllOfABucketAndNoCallerIsThrottled(t *testing.T) {
	t.Parallel()
	need, cost := costOf(t, graphQLJob)
	gzipped, zstandard, head := graphQLJob, graphQLJob, restJob
	head.method = "HEAD"                                                 // Shopify counts it as it counts GET
	gzipped.accept, zstandard.accept = "gzip", "deflate, gzip, br, zstd" // the latter is what curl --compressed sends
	for _, api := range []struct {
		name    string
		job     job
		limit   int
		callers []int
	}{
		{"rest", restJob, possible(40, 2, 1, 1), []int{1, 20, 200}},
		{"rest_head", head, possible(40, 2, 1, 1), []int{1, 20}},
		{"graphql", graphQLJob, possible(2000, 100, need, cost), []int{1, 20, 200}},
		{"graphql_gzip", gzipped, possible(2000, 100, need, cost), []int{20}},
		{"graphql_zstd", zstandard, possible(2000, 100, need, cost), []int{1, 20}},
	} {
		for _, n := range api.callers {
			for _, latency := range []time.Duration{time.Millisecond, 100 * time.Millisecond} {
				t.Run(fmt.Sprintf("%s_%d_callers_%s", api.name, n, latency), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						p := newPaced(t, shopsim.Settings{Gzip: true, Zstd: true}, 10*time.Minute, latency)
						served, refused := count(p.run(t, api.job, callers(n)...), 0, minute)
						possible := api.limit
						if one := int(minute / (2 * latency)); n == 1 && latency > time.Millisecond && one < possible {
							possible = one // a single caller cannot ask more often than that
						}
						share := float64(served) / float64(possible)
						t.Logf("%d of %d (%.1f %%); Shopify refused %d calls", served, possible, 100*share, p.throttled.Load())
						if refused > 0 || share < 0.97 {
							t.Errorf("%d refusals reached a caller; %.1f %% of what the bucket gives", refused, 100*share)
						}
					})
				})
			}
		}
	}
}

func TestWithoutPacingCallersAreThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t, shopsim.Settings{}, 0, 50*time.Millisecond)
		served, refused := count(p.run(t, restJob, callers(20)...), 0, minute)
		if refused < served {
			t.Errorf("%d served, %d refused: the load is none, and the tests above prove nothing", served, refused)
		}
	})
}

func TestAModestCallerGetsItsShareBesideAGreedyOne(t *testing.T) {
	t.Parallel()
	for _, api := range []struct {
		name string
		job  job
	}{{"rest", restJob}, {"graphql", graphQLJob}} {
		t.Run(api.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPaced(t, shopsim.Settings{}, 10*time.Minute, 5*time.Millisecond)
				list := []string{"modest"}
				for range 50 {
					list = append(list, "greedy") // one caller with fifty requests at a time
				}
				all := p.run(t, api.job, list...)
				const afterTheBurst = 20 * time.Second
				modest, _ := count(map[string][]outcome{"": all["modest"]}, afterTheBurst, minute)
				greedy, _ := count(map[string][]outcome{"": all["greedy"]}, afterTheBurst, minute)
				if share := float64(modest) / float64(modest+greedy); share < 0.45 || share > 0.55 {
					t.Errorf("%d calls of %d: %.0f %%, and a half is fair", modest, modest+greedy, 100*share)
				}
			})
		})
	}
}

func TestASeldomCallerHardlyWaitsBehindAGreedyOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t, shopsim.Settings{}, 10*time.Minute, 5*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), minute)
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				for ctx.Err() == nil {
					p.call(ctx, time.Now(), restJob, "greedy")
				}
			})
		}
		time.Sleep(30 * time.Second) // of faked time: the bucket is empty and fifty wait
		for range 5 {
			time.Sleep(3 * time.Second)
			if a, ok := p.call(ctx, time.Now(), restJob, "seldom"); !ok || a.took > 1200*time.Millisecond {
				t.Errorf("waited %s; fifty others would be served in 25 s", a.took)
			}
		}
		cancel()
		group.Wait()
	})
}

// A script that opens a connection for every call is a new caller each time.
func TestStrangersDoNotStarveACallerThatStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t, shopsim.Settings{}, 10*time.Minute, 5*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), minute)
		defer cancel()
		var strangers atomic.Int64
		var group sync.WaitGroup
		for range 9 {
			group.Go(func() {
				for ctx.Err() == nil {
					p.call(ctx, time.Now(), restJob, fmt.Sprint("stranger ", strangers.Add(1)))
				}
			})
		}
		served, _ := count(p.run(t, restJob, "stays"), 30*time.Second, minute)
		cancel()
		group.Wait()
		if served < 5 || served > 7 { // sixty calls for ten callers
			t.Errorf("served %d times in half a minute, and six times is fair", served)
		}
	})
}

// rival is another process of the same app, which knows nothing of this one: it makes a call
// every so often, and makes it again at once as long as it is refused.
func (p *paced) rival(ctx context.Context, every time.Duration) (served *atomic.Int64, wait func()) {
	served = &atomic.Int64{}
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			for ctx.Err() == nil && !p.direct(ctx) {
				time.Sleep(10 * time.Millisecond)
			}
			served.Add(1)
		}
	})
	return served, group.Wait
}

// direct makes a call past Evergate and reports whether Shopify served it.
func (p *paced) direct(ctx context.Context) bool {
	r := restJob.request(ctx, "")
	r.URL.Host, r.Host, r.RequestURI = shopDomain, shopDomain, ""
	r.Header.Set("X-Shopify-Access-Token", p.token)
	resp, err := p.sim.RoundTripper().RoundTrip(r)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func TestWhatAnotherProcessLeavesIsUsed(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 20, 200} {
		t.Run(fmt.Sprintf("%d_callers", n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPaced(t, shopsim.Settings{}, 10*time.Minute, 20*time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), minute)
				defer cancel()
				others, wait := p.rival(ctx, time.Second) // half of what leaks
				served, refused := count(p.run(t, restJob, callers(n)...), 0, minute)
				wait()
				left := possible(40, 2, 1, 1) - int(others.Load())
				t.Logf("%d of %d; the other one had %d; %d of ours were refused and sent again", served, left, others.Load(), p.throttled.Load())
				if others.Load() < 50 {
					t.Errorf("the other one had %d calls, which is not half", others.Load())
				}
				if refused > 0 || float64(served) < 0.9*float64(left) {
					t.Errorf("%d of %d, and %d refusals reached a caller", served, left, refused)
				}
			})
		})
	}
}

func TestTwoSidecarsShareABucketThatNeitherOwns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := newPaced(t, shopsim.Settings{}, 10*time.Minute, 20*time.Millisecond)
		second := newPaced(t, shopsim.Settings{}, 10*time.Minute, 35*time.Millisecond)
		second.opt.Transport = distant{first.sim.RoundTripper(), 35 * time.Millisecond}
		oneShop(second.opt).Tokens = &fakeTokens{current: first.token}
		var a, b, refused int
		var group sync.WaitGroup
		group.Go(func() {
			served, no := count(first.run(t, restJob, callers(20)...), 0, minute)
			a, refused = served, refused+no
		})
		served, no := count(second.run(t, restJob, callers(20)...), 0, minute)
		group.Wait()
		b, refused = served, refused+no
		t.Logf("%d and %d of 160; Shopify refused %d and %d calls", a, b, first.throttled.Load(), second.throttled.Load())
		if refused > 0 || a+b < 155 || min(a, b) < 30 {
			t.Errorf("%d and %d calls of 160, %d refusals reached a caller", a, b, refused)
		}
	})
}

func TestALongWaitEndsWithShopifysOwnRefusal(t *testing.T) {
	t.Parallel()
	for _, api := range []struct {
		name string
		job  job
	}{{"rest", restJob}, {"graphql", graphQLJob}} {
		t.Run(api.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const most = 8 * time.Second
				p := newPaced(t, shopsim.Settings{RESTLeak: 0.01, GraphQLRestore: 0.5}, most, time.Millisecond)
				p.sim.DrainBuckets("", "")
				if api.name == "rest" { // a single call would do after 20 s of an assumed rate
					for range 45 {
						p.call(t.Context(), time.Now(), api.job, "warm")
					}
				}
				a, ok := p.call(t.Context(), time.Now(), api.job, "one")
				if !ok || !a.refused || a.took < most || a.took > most+time.Second {
					t.Errorf("refused %v after %s, want Shopify's refusal after %s", a.refused, a.took, most)
				}
			})
		})
	}
}

func TestACallerThatGoesAwayLeavesTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t, shopsim.Settings{}, 10*time.Minute, time.Millisecond)
		for range 40 {
			p.call(t.Context(), time.Now(), restJob, "warm")
		}
		gone, goAway := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for _, c := range callers(30) {
			group.Go(func() { p.call(gone, time.Now(), restJob, c) })
		}
		synctest.Wait()
		goAway()
		group.Wait()
		// Thirty calls at two a second would be fifteen seconds.
		if a, ok := p.call(t.Context(), time.Now(), restJob, "next"); !ok || a.took > time.Second {
			t.Errorf("waited %s behind callers that have gone", a.took)
		}
	})
}

// TestWhoMakesRoomIsToldSoAndLeaves has requests wait while somebody else needs their places.
func TestWhoMakesRoomIsToldSoAndLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t, shopsim.Settings{}, 10*time.Minute, time.Millisecond)
		for range 40 {
			p.call(t.Context(), time.Now(), restJob, "warm")
		}
		answers := make(chan *httptest.ResponseRecorder, 4)
		var group sync.WaitGroup
		for _, c := range callers(4) {
			group.Go(func() {
				w := httptest.NewRecorder()
				p.ServeHTTP(w, restJob.request(t.Context(), c))
				answers <- w
			})
		}
		synctest.Wait()
		if !oneShop(p.opt).Pace.MakeRoom(4) {
			t.Fatal("nobody made room")
		}
		w := <-answers
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Connection") != "close" || w.Header().Get("Retry-After") == "" ||
			w.Header().Get("X-Evergate-Error") != denial.CodeRateLimitQueueFull {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		group.Wait()
		for range 3 {
			if w := <-answers; w.Code != http.StatusOK || w.Header().Get("Connection") != "" {
				t.Errorf("one of the others got %d %v", w.Code, w.Header())
			}
		}
	})
}

func TestPacingOffPassesRefusalsOnAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t, shopsim.Settings{}, 0, 0)
		p.sim.DrainBuckets("", "")
		for _, j := range []job{restJob, graphQLJob} {
			if a, ok := p.call(t.Context(), time.Now(), j, "one"); !ok || !a.refused || a.took != 0 {
				t.Errorf("%s: refused %v after %s", j.path, a.refused, a.took)
			}
		}
	})
}

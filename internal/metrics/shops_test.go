package metrics

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func shopNo(i int) string { return fmt.Sprintf("shop-%05d.myshopify.com", i) }

func TestShopsWithALabelOfTheirOwnAreCapped(t *testing.T) {
	t.Parallel()
	const shops = 3 * MaxShops
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	m.RegisterTokens(reg, func() (all []TokenState) {
		for i := range shops {
			all = append(all, TokenState{Shop: shopNo(i), Present: true, Usable: true, Issued: time.Unix(1, 0), Expires: time.Unix(100, 0), RefreshExpires: time.Unix(9, 0)})
		}
		return all
	})
	m.RegisterBuckets(reg, func() (all []BucketState) {
		for i := range shops {
			all = append(all, BucketState{Shop: shopNo(i), API: "rest", Capacity: 40}, BucketState{Shop: shopNo(i), API: "graphql", Capacity: 40})
		}
		return all
	})
	for i := range shops {
		m.Refreshed(shopNo(i), "offline", "ok", time.Second)
		m.Throttled(shopNo(i), "rest")
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	labelled, sums := 0, map[string]float64{}
	for _, f := range families {
		values := map[string]bool{}
		for _, metric := range f.GetMetric() {
			for _, l := range metric.GetLabel() {
				if l.GetName() == "shop" {
					values[l.GetValue()] = true
				}
			}
			sums[f.GetName()] += metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
		if len(values) == 0 {
			continue
		}
		labelled++
		if len(values) != MaxShops+1 || !values[otherShop] || !values[shopNo(0)] || values[shopNo(MaxShops)] {
			t.Errorf("%s: %d values of the label shop", f.GetName(), len(values))
		}
	}
	if labelled != 12 {
		t.Errorf("%d metrics with the label shop", labelled)
	}
	for _, name := range []string{"evergate_refreshes_total", "evergate_refresh_duration_seconds", "evergate_throttled_total"} {
		if sums[name] != shops {
			t.Errorf("%s counts %v events of %d", name, sums[name], shops)
		}
	}
}

func TestConcurrentShopsNeverExceedTheCap(t *testing.T) {
	t.Parallel()
	var s shopLabels
	var wg sync.WaitGroup
	given := make([][]string, 8)
	for w := range given {
		wg.Go(func() {
			for i := range 2 * MaxShops {
				given[w] = append(given[w], s.of(shopNo((i*7+w*31)%(2*MaxShops))).shop)
			}
		})
	}
	wg.Wait()
	distinct := map[string]bool{}
	for _, labels := range given {
		for _, l := range labels {
			distinct[l] = true
		}
	}
	if len(distinct) != MaxShops+1 {
		t.Errorf("%d labels, want %d and one for the rest", len(distinct), MaxShops)
	}
	for l := range distinct {
		if l != otherShop && s.of(l).shop != l {
			t.Errorf("%s has lost its label", l)
		}
	}
}

// What is published about shops that share a label has an alert fire if it would for one.
func TestShopsThatShareALabelShowTheWorst(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_796_040_000, 0)
	fine := TokenState{Shop: "fine", Present: true, Usable: true, Age: time.Hour, Issued: at, Expires: at.Add(24 * time.Hour), RefreshExpires: at.Add(90 * 24 * time.Hour)}
	with := func(change func(*TokenState)) TokenState { s := fine; change(&s); return s }
	permanent := with(func(s *TokenState) { s.Expires, s.RefreshExpires, s.Age = time.Time{}, time.Time{}, 1e6*time.Second })
	old := with(func(s *TokenState) { s.Age, s.Expires = 50*time.Minute, at.Add(time.Hour) })
	const shop = `{shop="other"}`
	for _, tc := range []struct {
		name   string
		states []TokenState
		want   map[string]float64
	}{
		{"all_fine", []TokenState{fine, fine}, map[string]float64{"evergate_token_usable" + shop: 1, "evergate_reauthorization_required" + shop: 0}},
		{"one_without", []TokenState{fine, {Shop: "x"}, fine}, map[string]float64{"evergate_token_usable" + shop: 0, "evergate_token_age_seconds" + shop: 3600}},
		{"one_dead", []TokenState{with(func(s *TokenState) { s.Reauthorize = true }), fine}, map[string]float64{"evergate_reauthorization_required" + shop: 1}},
		{"one_refused", []TokenState{fine, with(func(s *TokenState) { s.Failing = "transient" }), with(func(s *TokenState) { s.Failing = "config" }), with(func(s *TokenState) { s.Failing = "reauthorize" })},
			map[string]float64{`evergate_refresh_failing{result="config",shop="other"}`: 1, `evergate_refresh_failing{result="transient",shop="other"}`: 0}},
		{"one_failing", []TokenState{with(func(s *TokenState) { s.Failing = "reauthorize" }), with(func(s *TokenState) { s.Failing = "transient" }), fine},
			map[string]float64{`evergate_refresh_failing{result="config",shop="other"}`: 0, `evergate_refresh_failing{result="transient",shop="other"}`: 1}},
		{"the_oldest_by_share_of_life", []TokenState{fine, permanent, old, fine}, map[string]float64{"evergate_token_age_seconds" + shop: 3000, "evergate_token_expiry_timestamp_seconds" + shop: 1_796_043_600}},
		{"permanent_is_young", []TokenState{permanent, fine}, map[string]float64{"evergate_token_age_seconds" + shop: 3600}},
		{"refresh_token", []TokenState{permanent, fine, with(func(s *TokenState) { s.RefreshExpires = at.Add(time.Hour) }), permanent}, map[string]float64{"evergate_refresh_token_expiry_timestamp_seconds" + shop: 1_796_043_600}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			reg := prometheus.NewPedanticRegistry()
			m := New(reg, "", "", "")
			for i := range MaxShops {
				m.Refreshed(shopNo(i), "offline", "ok", 0)
			}
			m.RegisterTokens(reg, func() []TokenState { return tc.states })
			got := series(t, reg)
			for name, want := range tc.want {
				if v, ok := got[name]; !ok || v != want {
					t.Errorf("%s: %v (there: %t), want %v", name, v, ok, want)
				}
			}
			for name := range got {
				if strings.HasPrefix(name, "evergate_token") && !strings.HasSuffix(name, shop) {
					t.Errorf("%s", name)
				}
			}
		})
	}
}

func TestRateLimitsThatShareALabelShowTheFullest(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	for i := range MaxShops {
		m.Refreshed(shopNo(i), "offline", "ok", 0)
	}
	m.RegisterBuckets(reg, func() []BucketState {
		return []BucketState{
			{Shop: "a", API: "graphql", Capacity: 1000, Available: 900}, {Shop: "b", API: "graphql", Capacity: 20000, Available: 2000}, {Shop: "c", API: "graphql", Capacity: 2000, Available: 2000},
			{Shop: "a", API: "rest", Capacity: 40, Available: 40}, {Shop: "b", API: "rest", Capacity: 40, Available: 0}, {Shop: "c", API: "rest", Capacity: 400, Available: 0.5},
		}
	})
	got := series(t, reg)
	for name, want := range map[string]float64{
		`evergate_bucket_available{api="graphql",shop="other"}`: 2000, `evergate_bucket_capacity{api="graphql",shop="other"}`: 20000,
		`evergate_bucket_available{api="rest",shop="other"}`: 0, `evergate_bucket_capacity{api="rest",shop="other"}`: 40,
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
}

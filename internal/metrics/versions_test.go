package metrics

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/shopify"
)

func TestAnswersAreCountedByVersionAskedForAndServed(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	for range 3 {
		m.APIAnswered(shopify.ParseVersion("2026-10"), "2026-10")
	}
	m.APIAnswered(shopify.ParseVersion("2025-01"), "2026-01")
	m.APIAnswered(shopify.ParseVersion("2026-10"), "") // an answer of the edge's
	m.APIAnswered(shopify.VersionNone, "2026-01")
	m.APIAnswered(shopify.VersionUnstable, "unstable")
	m.APIAnswered(shopify.VersionOther, "<script>")
	got := series(t, reg)
	for name, want := range map[string]float64{
		`evergate_api_requests_total{served="2026-10",version="2026-10"}`:   3,
		`evergate_api_requests_total{served="none",version="2026-10"}`:      1,
		`evergate_api_requests_total{served="2026-01",version="2025-01"}`:   1,
		`evergate_api_requests_total{served="2026-01",version="none"}`:      1,
		`evergate_api_requests_total{served="unstable",version="unstable"}`: 1,
		`evergate_api_requests_total{served="other",version="other"}`:       1,
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
	if n := len(m.Versions()); n != 5 {
		t.Errorf("%d versions, want 5: %+v", n, m.Versions())
	}
}

const retires = "evergate_api_version_retires_timestamp_seconds"

// retiring maps the versions that a scrape says something about to when they retire.
func retiring(t *testing.T, reg prometheus.Gatherer) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, v := range series(t, reg) {
		if rest, ok := strings.CutPrefix(name, retires+`{version="`); ok {
			all[strings.TrimSuffix(rest, `"}`)] = time.Unix(int64(v), 0).UTC().Format(time.DateOnly)
		}
	}
	return all
}

// The clock of a bubble begins on 1 January 2000.
func bubbleAt(t *testing.T, at time.Time) {
	t.Helper()
	time.Sleep(time.Until(at))
}

func TestVersionIsInUseForADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bubbleAt(t, time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
		reg := prometheus.NewPedanticRegistry()
		m := New(reg, "", "", "")
		if got := retiring(t, reg); len(got) != 0 {
			t.Errorf("before any request: %v", got)
		}
		m.APIAnswered(shopify.ParseVersion("2026-01"), "2026-01")
		m.APIAnswered(shopify.ParseVersion("2026-10"), "2026-10")
		m.APIAnswered(shopify.VersionUnstable, "unstable")
		want := "map[2026-01:2027-01-01 2026-10:2027-10-01]"
		if got := fmt.Sprint(retiring(t, reg)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		for hour := range 30 { // a scrape an hour, and a tool that uses the newer one every day
			time.Sleep(time.Hour)
			if hour == 20 {
				m.APIAnswered(shopify.ParseVersion("2026-10"), "2026-10")
			}
			_, old := retiring(t, reg)["2026-01"]
			if want := hour+1 < 24; old != want {
				t.Errorf("%d hours later: 2026-01 is in use: %t", hour+1, old)
			}
		}
		if got := fmt.Sprint(retiring(t, reg)); got != "map[2026-10:2027-10-01]" {
			t.Errorf("30 hours later: %s", got)
		}
		if got := series(t, reg)[`evergate_api_requests_total{served="2026-01",version="2026-01"}`]; got != 1 {
			t.Errorf("a counter must not go away: %v", got)
		}
	})
}

func TestVersionThatFellForwardIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bubbleAt(t, time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
		reg := prometheus.NewPedanticRegistry()
		m := New(reg, "", "", "")
		for _, a := range [][2]string{
			{"2026-07", "2026-10"}, // earlier than announced: Shopify's deed counts, not its word
			{"2025-01", "2026-01"}, // long gone
			{"2027-01", "2026-10"}, // older than asked for is not a retirement
			{"2026-10", "unstable"}, {"2026-04", ""}, {"2026-01", "<html>"},
		} {
			m.APIAnswered(shopify.ParseVersion(a[0]), a[1])
		}
		time.Sleep(2 * time.Hour)
		want := "map[2025-01:2026-01-01 2026-01:2027-01-01 2026-04:2027-04-01 2026-07:2026-11-26 2026-10:2027-10-01 2027-01:2028-01-01]"
		if got := fmt.Sprint(retiring(t, reg)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestVersionsThatServeAnotherAreBounded(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	for _, served := range versionNames() {
		m.APIAnswered(shopify.ParseVersion("2026-10"), served)
		m.APIAnswered(shopify.ParseVersion("2026-10"), served)
	}
	n, sum := 0, 0.0
	for name, v := range series(t, reg) {
		if strings.HasPrefix(name, "evergate_api_requests_total{") {
			n, sum = n+1, sum+v
		}
	}
	if n > maxServed+1 || sum != float64(2*shopify.VersionCount) {
		t.Errorf("%d series count %v answers of %d", n, sum, 2*shopify.VersionCount)
	}
}

func TestConcurrentAnswersAreAllCounted(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "", "", "")
	const workers, each = 8, 300
	served := versionNames()
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			<-begin
			for i := range each {
				m.APIAnswered(shopify.ParseVersion("2025-01"), served[(w+i)%7])
				if i%50 == 0 {
					m.Versions()
				}
			}
		})
	}
	close(begin)
	wg.Wait()
	sum := 0.0
	for name, v := range series(t, reg) {
		if strings.HasPrefix(name, "evergate_api_requests_total{") {
			sum += v
		}
	}
	if sum != workers*each {
		t.Errorf("%v answers counted of %d", sum, workers*each)
	}
}

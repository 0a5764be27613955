package metrics

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/shopify"
)

func TestUnsuccessfulAnswersAreToldApart(t *testing.T) {
	t.Parallel()
	m := New(prometheus.NewRegistry(), "", "", "")
	at := time.Unix(1_800_000_000, 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				m.Unsuccessful(shopify.RouteGraphQL, 502, "", at)
				m.Unsuccessful(shopify.RouteGraphQL, 502, "upstream_unreachable", at.Add(time.Hour))
				m.Unsuccessful(shopify.RouteOther, 403, "denied_path", at)
			}
		})
	}
	wg.Wait()
	all := m.AllUnsuccessful()
	for _, want := range []Unsuccessful{
		{shopify.RouteGraphQL, 502, "", 800, at}, {shopify.RouteGraphQL, 502, "upstream_unreachable", 800, at.Add(time.Hour)}, {shopify.RouteOther, 403, "denied_path", 800, at},
	} {
		if !slices.Contains(all, want) || len(all) != 3 {
			t.Errorf("%+v is not among %+v", want, all)
		}
	}
}

func TestUnsuccessfulAnswersAreBounded(t *testing.T) {
	t.Parallel()
	m := New(prometheus.NewRegistry(), "", "", "")
	for status := range 1000 {
		m.Unsuccessful(shopify.RouteGraphQL, status+1, "", time.Now())
	}
	all, sum := m.AllUnsuccessful(), uint64(0)
	for _, u := range all {
		sum += u.Count
	}
	if rest := all[len(all)-1]; len(all) != mostAnswerKinds || sum != 1000 || rest.Status != 0 || rest.Code != "" || rest.Count != 1000-(mostAnswerKinds-1) {
		t.Errorf("%d kinds of %d answers, the rest %+v", len(all), sum, rest)
	}
}

func TestTheLongestWaitIsKept(t *testing.T) {
	t.Parallel()
	m := New(prometheus.NewRegistry(), "", "", "")
	at := time.Unix(1_800_000_000, 0)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() { m.CallerWaited("agent", time.Duration(i+1)*time.Second, at.Add(time.Duration(i)*time.Hour)) })
	}
	wg.Wait()
	m.CallerServed("idle", Passed)
	all := m.CallerWaits()
	if len(all) != 1 || all[0] != (CallerWait{"agent", 100, 100 * time.Second, at.Add(99 * time.Hour)}) {
		t.Errorf("%+v", all)
	}
}

func TestWhatIsKeptForThePageAllocatesNothing(t *testing.T) {
	m := New(prometheus.NewRegistry(), "", "", "")
	at := time.Now()
	work := func() {
		m.Unsuccessful(shopify.RouteGraphQL, 502, "", at)
		m.CallerWaited("agent", time.Second, at)
	}
	work()
	if n := testing.AllocsPerRun(100, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

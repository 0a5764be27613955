package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"evergate/internal/refresh"
)

// published is a registry with what the page reads, under the names of the real one.
type published struct {
	*prometheus.Registry
	requests *prometheus.CounterVec
	failed   *prometheus.CounterVec
	callers  *prometheus.CounterVec
	waits    prometheus.Histogram
}

func publish() published {
	p := published{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "evergate_requests_total"}, []string{"route", "method", "code"}),
		failed:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "evergate_failed_total"}, []string{"reason"}),
		callers:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "evergate_caller_requests_total"}, []string{"caller", "outcome"}),
		waits:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "evergate_pace_wait_seconds"}),
	}
	buckets := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "evergate_bucket_available"}, []string{"shop", "api"})
	sizes := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "evergate_bucket_capacity"}, []string{"shop", "api"})
	buckets.WithLabelValues("acme.myshopify.com", "graphql").Set(1950)
	sizes.WithLabelValues("acme.myshopify.com", "graphql").Set(2000)
	buckets.WithLabelValues("acme.myshopify.com", "rest").Set(3)
	sizes.WithLabelValues("acme.myshopify.com", "rest").Set(40)
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "evergate_api_requests_total"}, []string{"version", "served"})
	calls.WithLabelValues("2025-10", "2026-01").Add(7)
	calls.WithLabelValues("2026-10", "2026-10").Add(5)
	calls.WithLabelValues("unstable", "unstable").Add(1)
	retires := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "evergate_api_version_retires_timestamp_seconds"}, []string{"version"})
	retires.WithLabelValues("2025-10").Set(float64(time.Now().Add(-time.Hour).Unix()))
	retires.WithLabelValues("2026-10").Set(float64(time.Now().Add(300 * 24 * time.Hour).Unix()))
	p.MustRegister(p.requests, p.failed, p.callers, p.waits, buckets, sizes, calls, retires)
	return p
}

func (p published) serve(code string, n int) {
	p.requests.WithLabelValues("graphql", "POST", code).Add(float64(n))
}

// historyFromNow is one of a process that has counted something already.
func historyFromNow(g prometheus.Gatherer, failures func() []Failure) *History {
	h := NewHistory(g, failures)
	h.last = takeSnapshot(g, failures)
	h.before = [][]Failure{h.last.failures}
	return h
}

func TestAHistoryBeginsWithoutGathering(t *testing.T) {
	t.Parallel()
	p, gathered := publish(), 0
	h := NewHistory(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { gathered++; return p.Gather() }), nil)
	if gathered != 0 {
		t.Errorf("%d times, each of which reads /proc and all metrics, at every start", gathered)
	}
	p.serve("200", 7)
	p.serve("502", 3)
	if now := h.hour(takeSnapshot(p, nil))[minutes-1]; now.Requests != 10 || now.Failed != 3 {
		t.Errorf("the first minute is %+v", now)
	}
}

func TestTheHourIsTheLastSixtyMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := publish()
		p.serve("200", 1000) // before the page's time
		h := historyFromNow(p, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go h.Run(ctx)
		synctest.Wait()
		for i := range 70 {
			p.serve("200", i)
			p.serve("502", 1)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		p.serve("200", 500)
		p.waits.Observe(2)
		hour := h.hour(takeSnapshot(p, nil))
		if last := hour[minutes-1]; last.Requests != 500 || last.Failed != 0 || last.Waited != 1 {
			t.Errorf("the running minute is %+v", last)
		}
		for i := range minutes - 1 {
			if want := float64(11 + i + 1); hour[i].Requests != want || hour[i].Failed != 1 {
				t.Errorf("minute %d is %+v, want %v requests", i, hour[i], want)
			}
		}
		cancel()
	})
}

func TestQuietMinutesAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := publish()
		var told []int
		h := NewHistory(p, nil)
		h.OnQuiet(func(_ context.Context, minutes int) { told = append(told, minutes) })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.Run(ctx)
		synctest.Wait()
		for _, calls := range []int{0, 0, 3, 1, 0, 0, 0, 2, 0} {
			p.serve("200", calls)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if want := []int{1, 2, 1, 2, 3, 1}; !slices.Equal(told, want) {
			t.Errorf("%v, want %v", told, want)
		}
	})
}

func TestThePageShowsTrafficLimitsAndVersions(t *testing.T) {
	t.Parallel()
	p := publish()
	history := NewHistory(p, nil)
	p.serve("200", 30)
	p.serve("503", 10)
	h := New(Options{Tokens: &sidecar{status: fresh}, Admission: newAdmission(t), Gatherer: p, History: history, Quit: func() {}, Stopping: func() bool { return false }})
	page := call(h, "GET", "/").Body.String()
	for _, part := range []string{
		"40 calls, 10 failed, 0 waited", "at most 40 in one", `class="failed"`, "0 min ago: 40 calls, 10 failed",
		"REST: room for 3 of 40 calls", "GraphQL: room for 1950 of 2000 points",
		`<th scope="row">2025-10</th><td class="number">7</td><td>no longer supported`, "supported until", `<th scope="row">unstable</th><td class="number">1</td><td>no end is known`,
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page does not say %q:\n%s", part, page)
		}
	}
}

func TestADurationIsWrittenAsPeopleSayIt(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 s", 59 * time.Second: "59 s", 90 * time.Second: "1 min 30 s", time.Hour: "1 h",
		86399 * time.Second: "23 h 59 min", 36 * time.Hour: "36 h", 50 * time.Hour: "2 d 2 h", 90 * 24 * time.Hour: "90 d",
	} {
		if got := span(d); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
}

// stream is a ResponseWriter that counts events and ends its reader after some.
type stream struct {
	*httptest.ResponseRecorder
	left int
	end  context.CancelFunc
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.ResponseRecorder.Write(p)
	if s.left -= strings.Count(string(p), "\n\n"); s.left <= 0 {
		s.end()
	}
	return n, err
}

func TestAnOpenPageIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sidecar{status: fresh}
		h := s.handler(t)
		ctx, cancel := context.WithCancel(t.Context())
		w := &stream{httptest.NewRecorder(), 3, cancel}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", http.NoBody)
		r.Host = "localhost:9090"
		began := time.Now()
		h.ServeHTTP(w, r)
		if took := time.Since(began); took != 2*eventEvery {
			t.Errorf("three events took %s", took)
		}
		if ct := w.Header().Get("Content-Type"); ct != "text/event-stream" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v", w.Header())
		}
		events := strings.Split(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n")
		if len(events) != 3 {
			t.Fatalf("%d events", len(events))
		}
		var html strings.Builder
		for line := range strings.Lines(events[2]) {
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok {
				t.Fatalf("a line of an event is %q", line)
			}
			html.WriteString(data)
		}
		if !strings.Contains(html.String(), "acme.myshopify.com") || !strings.Contains(html.String(), "</html>") {
			t.Errorf("an event is no page: %.200s", html.String())
		}
	})
}

func TestOpenPagesAreBoundedAndEndWithTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stopping atomic.Bool
		h := New(Options{
			Tokens: &sidecar{status: refresh.Status{Shop: "acme.myshopify.com"}}, Admission: newAdmission(t), Gatherer: prometheus.NewRegistry(),
			Quit: func() {}, Stopping: stopping.Load,
		})
		results := make(chan int, mostStreams+1)
		for range mostStreams {
			go func() { results <- call(h, "GET", "/events").Code }()
		}
		synctest.Wait()
		if w := call(h, "GET", "/events"); w.Code != http.StatusServiceUnavailable {
			t.Errorf("one page too many got %d", w.Code)
		}
		stopping.Store(true)
		for range mostStreams {
			if code := <-results; code != http.StatusOK {
				t.Errorf("%d", code)
			}
		}
	})
}

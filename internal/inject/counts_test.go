package inject

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"evergate/internal/denial"
	"evergate/internal/metrics"
	"evergate/internal/shopify"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

func TestAnswersAreCountedByAPIVersion(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/admin/api/2025-01/shop.json":
			w.Header().Set("X-Shopify-API-Version", "2026-01") // fell forward
		case "/admin/api/2026-10/shop.json":
			w.Header().Set("X-Shopify-API-Version", "2026-10")
		}
	})
	for _, path := range []string{
		"/admin/api/2026-10/shop.json", "/admin/api/2026-10/shop.json?x=/admin/api/2020-01/", "/" + shopDomain + "/admin/api/2026-10/shop.json",
		"/admin/api/2025-01/shop.json", "/admin/api/2026-07/shop.json", "/admin/shop.json",
		"/admin/api/2026-10/../shop.json", "/elsewhere", // these stay at admission
	} {
		r.do(t, http.MethodGet, path, nil)
	}
	const name = "evergate_api_requests_total"
	for _, tc := range []struct {
		labels []string
		want   float64
	}{
		{[]string{"2026-10"}, 3}, {[]string{"2025-01", "2026-01"}, 1}, {[]string{"2025-01"}, 1}, {[]string{"2026-07", "none"}, 1}, {[]string{"none"}, 2},
	} {
		if got := r.count(t, name, tc.labels...); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.labels, got, tc.want)
		}
	}
	if all := r.count(t, name); all != 6 {
		t.Errorf("%v answers, want 6", all)
	}
}

func TestErrorsOfItsOwnAreCountedByReason(t *testing.T) {
	t.Parallel()
	const name = "evergate_failed_total"
	for _, tc := range []struct {
		code    string
		options []rigOption
		gone    bool // the upstream
	}{
		{denial.CodeNoToken, []rigOption{withTokenError(&token.UnavailableError{Err: errors.New("none yet"), RetryAfter: time.Second})}, false},
		{denial.CodeUpstreamUnreachable, nil, true},
		{denial.CodeUpstreamTimeout, []rigOption{withHeaderTimeout(50 * time.Millisecond)}, false},
	} {
		t.Run(tc.code, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, tc.options...)
			if tc.gone {
				r.upstream.CloseClientConnections()
				r.upstream.Close()
			}
			resp := r.do(t, http.MethodGet, "/admin/api/2026-10/shop.json", nil)
			_, _ = io.Copy(io.Discard, resp.Body)
			if own := resp.Header.Get("X-Evergate-Error"); own != tc.code || r.count(t, name, tc.code) != 1 || r.count(t, name) != 1 {
				t.Errorf("%s: %v of %v counted", own, r.count(t, name, tc.code), r.count(t, name))
			}
		})
	}
}

// A counter that is born with its first event has not increased in the eyes of Prometheus.
func TestReasonsAreThereBeforeTheirFirstEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				there[f.GetName()+" "+l.GetValue()] = true
			}
		}
	}
	for name, reasons := range map[string][]string{"evergate_failed_total": failures, "evergate_replays_total": replays} {
		for _, reason := range reasons {
			if !there[name+" "+reason] {
				t.Errorf("%s has no series for %s", name, reason)
			}
		}
	}
}

func TestWhatDidNotSucceedIsKeptByRouteAndCode(t *testing.T) {
	t.Parallel()
	var met *metrics.Metrics
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/admin/api/2026-10/products.json" {
			w.WriteHeader(http.StatusBadGateway)
		}
	}, func(o *Options, _ *upstream.Options) { met = o.Metrics })
	for _, path := range []string{"/admin/api/2026-10/products.json", "/admin/api/2026-10/products.json", "/admin/api/2026-10/shop.json", "/admin/oauth/authorize", "/elsewhere"} {
		r.do(t, http.MethodGet, path, nil)
	}
	all := met.AllUnsuccessful()
	for i := range all {
		if time.Since(all[i].Last) > time.Hour {
			t.Errorf("%+v", all[i])
		}
		all[i].Last = time.Time{}
	}
	target, err := shopify.ParseTarget("/admin/api/2026-10/products.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []metrics.Unsuccessful{{Route: target.Route, Status: 502, Count: 2}, {Route: shopify.RouteOther, Status: 403, Code: denial.CodeDeniedPath, Count: 2}} {
		if !slices.Contains(all, want) || len(all) != 2 {
			t.Errorf("%+v is not among %+v", want, all)
		}
	}
}

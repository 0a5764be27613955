package inject

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/metrics"
	"evergate/internal/shopify"
	"evergate/internal/upstream"
)

type said struct {
	Level, Msg, Route, Asked, Served, Reason string
	RequestID                                string `json:"request_id"`
}

// listening returns deprecations and what they have logged.
func listening() (*deprecations, *prometheus.Registry, func(*testing.T) []said) {
	var b bytes.Buffer
	registry := prometheus.NewRegistry()
	n := &deprecations{log: slog.New(slog.NewJSONHandler(&b, nil)), metrics: metrics.New(registry, "test", "none", "go")}
	return n, registry, func(t *testing.T) (all []said) {
		t.Helper()
		for line := range strings.Lines(b.String()) {
			var s said
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		return all
	}
}

// headerOf makes a header of names and values.
func headerOf(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestDeprecationIsCountedEachTimeAndSaidOncePerRoute(t *testing.T) {
	n, registry, log := listening()
	h := headerOf("X-Shopify-API-Deprecated-Reason", "https://shopify.dev/x", "X-Shopify-API-Version", "2026-10", "X-Request-Id", "r-1")
	for range 3 {
		n.look(h, target("/admin/api/2026-10/products.json"))
		n.look(h, target("/admin/api/2026-10/graphql.json"))
	}
	all := log(t)
	if len(all) != 2 || all[0].Route != "rest:products" || all[1].Route != "graphql" {
		t.Fatalf("%+v", all)
	}
	if s := all[0]; s.Level != "INFO" || s.Asked != "2026-10" || s.Served != "2026-10" || s.Reason != "https://shopify.dev/x" || s.RequestID != "r-1" || !strings.Contains(s.Msg, "deprecated") {
		t.Errorf("%+v", s)
	}
	r := &rig{registry: registry}
	if c := r.count(t, "evergate_api_deprecated_total", "rest:products"); c != 3 {
		t.Errorf("counted %v times", c)
	}
}

func TestAnotherVersionThanAskedForIsSaidOncePerRoute(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		header http.Header
		want   said
	}{
		"fell forward":     {"/admin/api/2025-01/shop.json", headerOf("X-Shopify-API-Version", "2025-10"), said{Asked: "2025-01", Served: "2025-10"}},
		"with a warning":   {"/admin/api/2025-01/shop.json", headerOf("X-Shopify-API-Version", "2025-10", "X-Shopify-API-Version-Warning", "https://shopify.dev/v"), said{Asked: "2025-01", Served: "2025-10", Reason: "https://shopify.dev/v"}},
		"only the warning": {"/admin/shop.json", headerOf("X-Shopify-API-Version-Warning", "w"), said{Reason: "w"}},
		"and deprecated":   {"/admin/api/2025-01/shop.json", headerOf("X-Shopify-API-Version", "2025-10", "X-Shopify-API-Deprecated-Reason", "d"), said{Asked: "2025-01", Served: "2025-10", Reason: "d"}},
		"from unstable":    {"/admin/api/unstable/shop.json", headerOf("X-Shopify-API-Version", "2026-10"), said{Asked: "unstable", Served: "2026-10"}},
	} {
		t.Run(name, func(t *testing.T) {
			n, registry, log := listening()
			for range 3 {
				n.look(c.header, target(c.path))
			}
			all := log(t)
			if len(all) != 1 {
				t.Fatalf("%+v", all)
			}
			if s := all[0]; !strings.Contains(s.Msg, "another API version") || s.Asked != c.want.Asked || s.Served != c.want.Served || s.Reason != c.want.Reason || s.Route != "rest:shop" {
				t.Errorf("%+v, want %+v", s, c.want)
			}
			r := &rig{registry: registry}
			if n := r.count(t, "evergate_api_deprecated_total", "rest:shop"); n != 3 {
				t.Errorf("counted %v times", n)
			}
		})
	}
}

func TestNewsOfTheOtherKindIsSaidAsWell(t *testing.T) {
	n, _, log := listening()
	const path = "/admin/api/2025-01/shop.json"
	n.look(headerOf("X-Shopify-API-Deprecated-Reason", "d"), target(path))
	n.look(headerOf("X-Shopify-API-Version", "2025-10"), target(path))
	n.look(headerOf("X-Shopify-API-Version", "2025-10", "X-Shopify-API-Deprecated-Reason", "d"), target(path))
	if all := log(t); len(all) != 2 {
		t.Errorf("%+v", all)
	}
}

func TestAnswerAsAskedForIsNoNews(t *testing.T) {
	n, registry, log := listening()
	for path, h := range map[string]http.Header{
		"/admin/api/2026-10/shop.json":  headerOf("X-Shopify-API-Version", "2026-10"),
		"/admin/api/unstable/shop.json": headerOf("X-Shopify-API-Version", "unstable"),
		"/admin/shop.json":              headerOf("X-Shopify-API-Version", "2025-10"), // asked for none
		"/admin/api/2026-07/shop.json":  {},
		// What is no version, Shopify answers with a 404; a stranger's bytes do not go into the log.
		"/admin/api/nonsense/shop.json":   headerOf("X-Shopify-API-Version", "2025-10"),
		"/admin/api/2026-1%30/shop.json":  headerOf("X-Shopify-API-Version", "2026-10"),
		"/admin/api/20260-1/shop.json":    headerOf("X-Shopify-API-Version", "2026-10"),
		"/admin/api/2026-10":              headerOf("X-Shopify-API-Version", "2025-10"),
		"/admin/api/2026-10x/shop.json":   headerOf("X-Shopify-API-Version", "2025-10"),
		"/admin/oauth/access_scopes.json": headerOf("X-Shopify-API-Version", "2025-10"),
	} {
		n.look(h, target(path))
	}
	if all := log(t); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	r := &rig{registry: registry}
	if c := r.count(t, "evergate_api_deprecated_total"); c != 0 {
		t.Errorf("counted %v times", c)
	}
}

func TestLongReasonIsCutShort(t *testing.T) {
	n, _, log := listening()
	n.look(headerOf("X-Shopify-API-Deprecated-Reason", strings.Repeat("x", 10000)), target("/admin/x.json"))
	if all := log(t); len(all) != 1 || len(all[0].Reason) > 300 {
		t.Errorf("%+v", all)
	}
}

func TestOnceMeansOnceAmongManyRequests(t *testing.T) {
	n, _, log := listening()
	h := headerOf("X-Shopify-API-Deprecated-Reason", "d")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { n.look(h, target("/admin/api/2026-10/graphql.json")) })
	}
	all.Wait()
	if l := log(t); len(l) != 1 {
		t.Errorf("said %d times", len(l))
	}
}

func TestNoticesCostNoAllocation(t *testing.T) {
	n, _, _ := listening()
	deprecated := headerOf("X-Shopify-API-Deprecated-Reason", "d", "X-Shopify-API-Version", "2026-10")
	fine := headerOf("X-Shopify-API-Version", "2026-10")
	n.look(deprecated, target("/admin/api/2026-10/graphql.json")) // makes the series
	if got := testing.AllocsPerRun(100, func() {
		n.look(deprecated, target("/admin/api/2026-10/graphql.json"))
		n.look(fine, target("/admin/api/2026-10/graphql.json"))
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestNoticesComeThroughTheRequestPath(t *testing.T) {
	var b bytes.Buffer
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Shopify-API-Version", "2025-10")
		w.Header().Set("X-Shopify-API-Version-Warning", "w")
		w.Header().Set("X-Request-Id", "r-1")
	}, func(o *Options, _ *upstream.Options) { o.Log = slog.New(slog.NewTextHandler(&b, nil)) })
	for range 2 {
		resp := r.do(t, "GET", "/admin/api/2025-01/shop.json", nil)
		for name, want := range map[string]string{"X-Shopify-API-Version": "2025-10", "X-Shopify-API-Version-Warning": "w", "X-Request-Id": "r-1"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
	if got := b.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "route=rest:shop asked=2025-01 served=2025-10 reason=w request_id=r-1") {
		t.Errorf("%s", got)
	}
}

// target is what a path asks for that has one reading.
func target(path string) shopify.Target {
	t, err := shopify.ParseTarget(path)
	if err != nil {
		panic(err)
	}
	return t
}

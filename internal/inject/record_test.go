package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"evergate/internal/access"
	"evergate/internal/metrics"
	"evergate/internal/policy"
	"evergate/internal/token"
	"evergate/internal/tracing"
	"evergate/internal/upstream"
)

// logged sends requests through a handler with an access log and returns its lines.
func logged(t *testing.T, share float64, shopify http.HandlerFunc, paths ...string) []map[string]any {
	t.Helper()
	var lines bytes.Buffer
	draws := 0
	rig := newRig(t, shopify, func(o *Options, _ *upstream.Options) {
		o.Access = &AccessLog{Log: slog.New(slog.NewJSONHandler(&lines, nil)), Share: share, Draw: func() float64 {
			draws++
			return float64(draws%10) / 10
		}}
	})
	for _, path := range paths {
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		r.Host = rig.host
		rig.handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	var all []map[string]any
	for line := range strings.Lines(lines.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func TestTheAccessLogNamesTheRouteAndNotThePath(t *testing.T) {
	t.Parallel()
	lines := logged(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "da004e10-066b")
		w.WriteHeader(http.StatusNotFound)
	}, "/admin/api/2026-10/customers/207119551000000471.json?email=ada@example.com")
	if len(lines) != 1 {
		t.Fatalf("%v", lines)
	}
	l := lines[0]
	if l["caller"] != "anonymous" || l["version"] != "2026-10" {
		t.Errorf("it does not say who called which version: %v", l)
	}
	if l["method"] != "GET" || l["route"] != "rest:customers" || l["status"] != 404.0 || l["shopify_request_id"] != "da004e10-066b" || l["code"] != nil {
		t.Errorf("%v", l)
	}
	text, _ := json.Marshal(l)
	if bytes.Contains(text, []byte("207119551000000471")) || bytes.Contains(text, []byte("ada@")) {
		t.Errorf("it says who the customer is: %s", text)
	}
}

// TestWhatIsRefusedHasItsRouteWhereverItIsSaid compares the logs with what the status shows.
func TestWhatIsRefusedHasItsRouteWhereverItIsSaid(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	var kept *metrics.Metrics
	r := newRig(t, func(http.ResponseWriter, *http.Request) {}, withLog(&lines), withAccess(t, access.Options{Policy: policy.ReadOnly}), func(o *Options, _ *upstream.Options) {
		kept, o.Access = o.Metrics, &AccessLog{Log: o.Log, Share: 1}
	})
	if resp := r.do(t, http.MethodDelete, "/admin/api/2026-10/products/1.json", nil); resp.StatusCode != http.StatusForbidden {
		t.Fatal(resp.Status)
	}
	if all := kept.AllUnsuccessful(); len(all) != 1 || all[0].Route.String() != "rest:products" {
		t.Errorf("the status shows %v", all)
	}
	for _, msg := range []string{"msg=denied", "msg=request"} {
		found := false
		for line := range strings.Lines(lines.String()) {
			found = found || strings.Contains(line, msg) && strings.Contains(line, "route=rest:products") && strings.Contains(line, "caller=anonymous")
		}
		if !found {
			t.Errorf("no line with %s, caller and route:\n%s", msg, &lines)
		}
	}
}

func TestAFailedRequestIsLoggedWithItsCallerAndRoute(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	r := newRig(t, func(http.ResponseWriter, *http.Request) {}, withLog(&lines), withTokenError(&token.UnavailableError{Err: errors.New("none yet")}))
	if resp := r.do(t, http.MethodGet, "/admin/api/2026-10/orders.json", nil); resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatal(resp.Status)
	}
	if got := lines.String(); !strings.Contains(got, `msg="request failed" caller=anonymous route=rest:orders code=no_token`) {
		t.Error(got)
	}
}

func TestARequestIsWrittenAtTheAccessLogsLevel(t *testing.T) {
	t.Parallel()
	for enabled, want := range map[slog.Level]string{slog.LevelDebug: "DEBUG", slog.LevelInfo: ""} {
		var lines bytes.Buffer
		rig := newRig(t, func(http.ResponseWriter, *http.Request) {}, func(o *Options, _ *upstream.Options) {
			o.Access = &AccessLog{Log: slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: enabled})), Level: slog.LevelDebug, Share: 1}
		})
		for _, path := range []string{"/admin/api/2026-10/shop.json", "/admin/oauth/authorize"} {
			r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			r.Host = rig.host
			rig.handler.ServeHTTP(httptest.NewRecorder(), r)
		}
		if got := strings.Count(lines.String(), `"level":"DEBUG","msg":"request"`); got != 2*min(1, len(want)) {
			t.Errorf("level %s: %d lines: %s", enabled, got, &lines)
		}
	}
}

func TestAShareOfTheRequestsIsLoggedAndEveryFailure(t *testing.T) {
	t.Parallel()
	paths := make([]string, 40)
	for i := range paths {
		paths[i] = "/admin/api/2026-10/shop.json"
		if i >= 30 {
			paths[i] = "/admin/oauth/authorize" // refused
		}
	}
	lines := logged(t, 0.3, func(http.ResponseWriter, *http.Request) {}, paths...)
	served, failed := 0, 0
	for _, l := range lines {
		if l["code"] == "denied_path" {
			failed++
		} else {
			served++
		}
	}
	if served != 9 || failed != 10 { // draws of 0.0, 0.1 and 0.2 out of ten
		t.Errorf("%d of 30 that went well and %d of 10 that failed were logged", served, failed)
	}
}

func TestATraceGoesOnThroughEvergate(t *testing.T) {
	t.Parallel()
	var got tracepb.TracesData
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err != nil || proto.Unmarshal(b, &got) != nil {
			t.Errorf("the collector cannot read %d bytes: %v", len(b), err)
		}
	}))
	defer collector.Close()
	environ := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}
	tracer, err := tracing.Open(func(name string) string { return environ[name] }, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var parents []string
	tries := 0
	rig := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		parents = append(parents, r.Header.Get("Traceparent"))
		if tries++; tries == 1 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}, func(o *Options, _ *upstream.Options) { o.Tracer = tracer })
	rig.tokens.next = []string{"shpat_second"}
	r := httptest.NewRequest(http.MethodGet, "/admin/api/2026-10/shop.json", http.NoBody)
	r.Host = rig.host
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	w := httptest.NewRecorder()
	rig.handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK || len(parents) != 2 || parents[0] == parents[1] {
		t.Fatalf("%d, %q", w.Code, parents)
	}
	for _, p := range parents {
		if !strings.HasPrefix(p, "00-0af7651916cd43dd8448eb211c80319c-") || strings.Contains(p, "b7ad6b7169203331") {
			t.Errorf("Shopify got the parent %q", p)
		}
	}
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, s := range got.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans() {
		names += s.GetName() + ";"
	}
	if names != "send to Shopify;send to Shopify;GET rest:shop;" {
		t.Errorf("%s", names)
	}
}

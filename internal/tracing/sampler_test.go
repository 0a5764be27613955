package tracing

import (
	"net/http"
	"net/http/httptest"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// countRecorded is how many of n requests with this traceparent were recorded.
func countRecorded(t *testing.T, sampler sdktrace.Sampler, traceparent string, n int) int {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	tracer, err := New(t.Context(), "test", sdktrace.WithSyncer(spans), sdktrace.WithSampler(sampler))
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if traceparent != "" {
			r.Header.Set("Traceparent", traceparent)
		}
		tracer.Begin(r, "rest:shop", "acme.myshopify.com").Done(http.StatusOK, "")
	}
	got := len(spans.GetSpans())
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAClientCannotHideItsRequests(t *testing.T) {
	t.Parallel()
	const (
		hidden = "00-ffffffffffffffffffffffffffffffff-00f067aa0ba902b7-00" // no ratio would take this trace id
		shown  = "00-ffffffffffffffffffffffffffffffff-00f067aa0ba902b7-01"
	)
	for _, tc := range []struct {
		name, arg, traceparent string
		least, most            int
	}{
		{"", "", hidden, 200, 200},
		{parentAlwaysOn, "", hidden, 200, 200},
		{parentAlwaysOn, "", shown, 200, 200},
		{parentAlwaysOn, "", "", 200, 200},
		{parentAlwaysOff, "", hidden, 0, 0},
		{parentAlwaysOff, "", shown, 200, 200},
		{parentRatio, "1", hidden, 200, 200},
		{parentRatio, "0", hidden, 0, 0},
		{parentRatio, "0.5", hidden, 40, 160}, // 8 standard deviations
		{parentRatio, "0.5", shown, 200, 200},
	} {
		if got := countRecorded(t, samplerOf(tc.name, tc.arg), tc.traceparent, 200); got < tc.least || got > tc.most {
			t.Errorf("%s %s with %q: %d of 200", tc.name, tc.arg, tc.traceparent, got)
		}
	}
	for _, name := range []string{"always_on", "always_off", "traceidratio", "unknown"} {
		if samplerOf(name, "") != nil {
			t.Errorf("%s is not left to the SDK", name)
		}
	}
	if samplerOf(parentRatio, "many") != nil {
		t.Error("a ratio that is none is not left to the SDK")
	}
}

package tracing

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// countRecorded is how many of n requests with this traceparent were recorded.
func countRecorded(t *testing.T, name, arg, traceparent string, n int) int {
	t.Helper()
	tracer, kept := recorded()
	var err error
	if tracer.sampler, err = readSampler(environ("OTEL_TRACES_SAMPLER", name, "OTEL_TRACES_SAMPLER_ARG", arg)); err != nil {
		t.Fatal(err)
	}
	for range n {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if traceparent != "" {
			r.Header.Set("Traceparent", traceparent)
		}
		tracer.Begin(r, "rest:shop", "acme.myshopify.com").Done(http.StatusOK, "")
	}
	return len(kept.spans)
}

func TestAClientCannotHideItsRequests(t *testing.T) {
	t.Parallel()
	const (
		hidden = "00-ffffffffffffffffffffffffffffffff-00f067aa0ba902b7-00" // no ratio would take this trace id
		shown  = "00-ffffffffffffffffffffffffffffffff-00f067aa0ba902b7-01"

		parentAlwaysOn  = "parentbased_always_on"
		parentAlwaysOff = "parentbased_always_off"
		parentRatio     = "parentbased_traceidratio"
	)
	for _, tc := range []struct {
		name, arg, traceparent string
		least, most            int
	}{
		{"", "", hidden, 200, 200},
		{parentAlwaysOn, "", hidden, 200, 200},
		{parentAlwaysOn, "", shown, 200, 200},
		{parentAlwaysOn, "", "", 200, 200},
		{" ParentBased_Always_On ", "", hidden, 200, 200},
		{parentAlwaysOff, "", hidden, 0, 0},
		{parentAlwaysOff, "", shown, 200, 200},
		{parentRatio, "", hidden, 200, 200},
		{parentRatio, "1", hidden, 200, 200},
		{parentRatio, "0", hidden, 0, 0},
		{parentRatio, "0.5", hidden, 40, 160}, // 8 standard deviations
		{parentRatio, "0.5", shown, 200, 200},
	} {
		if got := countRecorded(t, tc.name, tc.arg, tc.traceparent, 200); got < tc.least || got > tc.most {
			t.Errorf("%s %s with %q: %d of 200", tc.name, tc.arg, tc.traceparent, got)
		}
	}
}

// given are the ids of the next trace.
type given struct{ id trace.TraceID }

func (g *given) NewIDs(context.Context) (trace.TraceID, trace.SpanID) { return g.id, trace.SpanID{1} }

func (*given) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return trace.SpanID{1} }

// The official SDK reads the same variables and sees the same traces. It differs where a client asks not to be recorded and
// the sampler follows clients: TestAClientCannotHideItsRequests.
func TestSamplersDecideAsTheSDKDoes(t *testing.T) {
	for _, c := range []struct{ name, arg string }{
		{"", ""},
		{"", "0.5"},
		{"always_on", ""},
		{"always_on", "0"},
		{"always_off", ""},
		{"ALWAYS_OFF ", ""},
		{"traceidratio", ""},
		{"traceidratio", "0"},
		{"traceidratio", "0.5"},
		{"traceidratio", " 1e-3 "},
		{"traceidratio", "0.9999"},
		{"traceidratio", "1"},
		{"traceidratio", "-0.1"},
		{"traceidratio", "1.1"},
		{"traceidratio", "half"},
		{"TraceIdRatio", "0.25"},
		{"parentbased_always_on", ""},
		{"parentbased_always_off", ""},
		{"parentbased_traceidratio", ""},
		{"parentbased_traceidratio", "0.3"},
		{"parentbased_traceidratio", "2"},
		{"parentbased_", ""},
		{"sometimes", ""},
	} {
		t.Run(c.name+"_"+c.arg, func(t *testing.T) {
			silenceSDK(t)
			t.Setenv("OTEL_TRACES_SAMPLER", c.name)
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", c.arg)
			ours, _ := readSampler(environ("OTEL_TRACES_SAMPLER", c.name, "OTEL_TRACES_SAMPLER_ARG", c.arg))
			ids := &given{}
			theirs := sdktrace.NewTracerProvider(sdktrace.WithIDGenerator(ids)).Tracer("")
			taken, traces := 0, 100
			if ours.bound%allTraces != 0 {
				traces = 10000 // their ids decide
			}
			for range traces {
				for i := range ids.id {
					ids.id[i] = byte(rand.Uint32())
				}
				if compareDecisions(t, ours, theirs, ids.id) {
					taken++
				}
			}
			if ours.bound == 1<<62 && (taken < 4500 || taken > 5500) { // 10 standard deviations
				t.Errorf("%d of 10000 are recorded", taken)
			}
		})
	}
}

// compareDecisions reports whether a trace that begins here is recorded.
func compareDecisions(t *testing.T, ours sampler, theirs trace.Tracer, id trace.TraceID) bool {
	t.Helper()
	for _, p := range []struct {
		name  string
		span  trace.SpanID
		flags trace.TraceFlags
	}{{"none", trace.SpanID{}, 0}, {"recorded", trace.SpanID{7}, 1}, {"not_recorded", trace.SpanID{7}, 0}, {"random", trace.SpanID{7}, 3}} {
		if p.name == "not_recorded" && ours.followsParent {
			continue
		}
		ctx, parent := t.Context(), spanContext{}
		if p.span.IsValid() {
			parent = spanContext{trace: traceID(id), span: spanID(p.span), flags: byte(p.flags)}
			ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: p.span, TraceFlags: p.flags, Remote: true}))
		}
		_, span := theirs.Start(ctx, "x")
		want := span.SpanContext()
		got := ours.records(traceID(id), &parent)
		of := spanContext{trace: traceID(id), flags: parent.flags}
		if of = of.child(got); got != want.IsSampled() || of.flags != byte(want.TraceFlags()) {
			t.Fatalf("%s with the parent %s: %v with the flags %d, and the SDK says %v with %d", id, p.name, got, of.flags, want.IsSampled(), want.TraceFlags())
		}
	}
	return ours.records(traceID(id), &spanContext{})
}

func TestASamplerThatCannotBeReadIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, arg, want string }{
		{"hunter2", "", "OTEL_TRACES_SAMPLER: write"},
		{"parentbased_hunter2", "", "OTEL_TRACES_SAMPLER: write"},
		{"traceidratio", "hunter2", "OTEL_TRACES_SAMPLER_ARG: write"},
		{"parentbased_traceidratio", "NaN", "OTEL_TRACES_SAMPLER_ARG: write"},
	} {
		got, err := readSampler(environ("OTEL_TRACES_SAMPLER", c.name, "OTEL_TRACES_SAMPLER_ARG", c.arg))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") || got.bound != allTraces {
			t.Errorf("%s %s: %+v, %v", c.name, c.arg, got, err)
		}
	}
}

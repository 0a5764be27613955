package tracing

import (
	"bytes"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

func environ(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestTracesAreSentOnlyWhenTheEnvironmentAsks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		env     []string
		on      bool
		mistake string
	}{
		{"nothing", nil, false, ""},
		{"an_endpoint", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"}, true, ""},
		{"an_endpoint_for_traces", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces"}, true, ""},
		{"an_exporter", []string{"OTEL_TRACES_EXPORTER", "otlp"}, true, ""},
		{"none", []string{"OTEL_TRACES_EXPORTER", "none", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"}, false, ""},
		{"disabled", []string{"OTEL_SDK_DISABLED", "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"}, false, ""},
		{"another_exporter", []string{"OTEL_TRACES_EXPORTER", "zipkin"}, false, "only otlp and none"},
		{"grpc", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, false, "http/protobuf"},
		{"a_header_without_a_value", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318", "OTEL_EXPORTER_OTLP_HEADERS", "a=b,Bearer hunter2"}, false, "OTEL_EXPORTER_OTLP_HEADERS: write name=value"},
		{"a_header_that_is_not_encoded", []string{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=hunter2%zz"}, false, "percent-encoded"},
		{"an_endpoint_that_is_no_URL", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2:4318"}, false, "write a URL"},
		{"the_protocol_alone", []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			on, err := Enabled(environ(c.env...))
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v", err)
			}
			if on != c.on || (err != nil) != (c.mistake != "") || err != nil && !strings.Contains(err.Error(), c.mistake) {
				t.Errorf("%v, %v", on, err)
			}
		})
	}
}

func TestTheEndpointIsSaidWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	got := Endpoint(environ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@collector:4318/secret?key=hunter2"))
	if got != "https://collector:4318" {
		t.Errorf("%q", got)
	}
}

// kept are the spans of a Tracer that sends none.
type kept struct{ spans []*span }

// recorded makes a Tracer whose spans are kept.
func recorded() (*Tracer, *kept) {
	k := &kept{}
	return &Tracer{sampler: sampler{allTraces, true}, ended: func(s *span) { k.spans = append(k.spans, s) }}, k
}

// read returns the spans as a collector reads them.
func (k *kept) read(t *testing.T) []*tracepb.Span {
	t.Helper()
	var data tracepb.TracesData
	if err := proto.Unmarshal(message(nil, k.spans), &data); err != nil {
		t.Fatal(err)
	}
	return data.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()
}

// attributes are what a span says, by name, as text.
func attributes(s *tracepb.Span) map[string]string {
	all := map[string]string{}
	for _, kv := range s.GetAttributes() {
		all[kv.GetKey()] = strings.ReplaceAll(kv.GetValue().String(), "  ", " ") // whose width is left open
	}
	return all
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestARequestsSpansBelongToTheClientsTrace(t *testing.T) {
	t.Parallel()
	tracer, kept := recorded()
	r := httptest.NewRequest(http.MethodPost, "/admin/api/2026-10/products.json", http.NoBody)
	r.Header.Set("Traceparent", parent)
	out := http.Header{}

	span := tracer.Begin(r, "rest:products", "acme.myshopify.com")
	first := span.Send(r.Method, out)
	first.Answered(401)
	span.Replayed("401")
	second := span.Send(r.Method, out)
	second.Failed()
	span.Waited(1500 * 1e6)
	span.Done(502, "upstream_unreachable")

	spans := kept.read(t)
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	server := spans[2]
	for _, s := range spans {
		if id := hex.EncodeToString(s.GetTraceId()); id != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is in the trace %s", s.GetName(), id)
		}
	}
	if hex.EncodeToString(server.GetParentSpanId()) != "b7ad6b7169203331" || string(spans[0].GetParentSpanId()) != string(server.GetSpanId()) {
		t.Error("the spans are not below each other")
	}
	if server.GetName() != "POST rest:products" || server.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || len(server.GetEvents()) != 1 {
		t.Errorf("%+v", server)
	}
	said := attributes(server)
	for name, want := range map[string]string{
		"http.request.method": `string_value:"POST"`, "http.route": `string_value:"rest:products"`, "server.address": `string_value:"acme.myshopify.com"`,
		"http.response.status_code": "int_value:502", "error.type": `string_value:"upstream_unreachable"`, "evergate.pace.wait": "double_value:1.5",
	} {
		if said[name] != want {
			t.Errorf("%s is %s, not %s", name, said[name], want)
		}
	}
	if failed := spans[1]; failed.GetStatus().GetMessage() != "no answer" || len(attributes(failed)) != 1 {
		t.Errorf("a sending without an answer: %v", failed)
	}
	if got := out.Get("Traceparent"); got != "00-0af7651916cd43dd8448eb211c80319c-"+hex.EncodeToString(spans[1].GetSpanId())+"-01" {
		t.Errorf("Shopify gets the parent %q", got)
	}
	if id := span.TraceID(); id != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the trace is %q", id)
	}
}

func TestASpanThatHasEndedStaysAsItIs(t *testing.T) {
	t.Parallel()
	tracer, kept := recorded()
	span := tracer.Begin(httptest.NewRequest(http.MethodGet, "/", http.NoBody), "rest:shop", "acme.myshopify.com")
	sending := span.Send(http.MethodGet, http.Header{})
	sending.Answered(200)
	sending.Failed()
	sending.Answered(500)
	span.Done(200, "")
	before := kept.read(t)
	span.Waited(1)
	span.Replayed("401")
	span.Done(500, "late")
	after := kept.read(t)
	if len(after) != 2 || !proto.Equal(before[0], after[0]) || !proto.Equal(before[1], after[1]) || after[0].GetStatus().GetCode() != 0 {
		t.Errorf("%v became %v", before, after)
	}
}

func TestAServersMistakeIsAFailure(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]tracepb.Status_StatusCode{200: 0, 404: 0, 499: 0, 500: tracepb.Status_STATUS_CODE_ERROR, 503: tracepb.Status_STATUS_CODE_ERROR} {
		tracer, kept := recorded()
		span := tracer.Begin(httptest.NewRequest(http.MethodGet, "/", http.NoBody), "rest:shop", "acme.myshopify.com")
		span.Send(http.MethodGet, http.Header{}).Answered(status)
		span.Done(status, "")
		for _, s := range kept.read(t) {
			if got := s.GetStatus().GetCode(); got != want {
				t.Errorf("%s with %d is %v", s.GetName(), status, got)
			}
		}
	}
}

func TestTheOldestOfManyEventsAreCounted(t *testing.T) {
	t.Parallel()
	tracer, kept := recorded()
	span := tracer.Begin(httptest.NewRequest(http.MethodGet, "/", http.NoBody), "rest:shop", "acme.myshopify.com")
	span.Replayed("first")
	for range mostEvents + 1 {
		span.Replayed("429")
	}
	span.Done(200, "")
	s := kept.read(t)[0]
	if len(s.GetEvents()) != 128 || s.GetDroppedEventsCount() != 2 || s.GetEvents()[0].GetAttributes()[0].GetValue().GetStringValue() != "429" {
		t.Errorf("%d events, %d are counted", len(s.GetEvents()), s.GetDroppedEventsCount())
	}
}

// A client whose request is not recorded still has its trace go on, and nobody else's begins.
func TestATraceGoesOnWhereNothingIsRecorded(t *testing.T) {
	t.Parallel()
	tracer, kept := recorded()
	tracer.sampler = sampler{0, true}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	if span := tracer.Begin(r, "rest:shop", "acme.myshopify.com"); span != nil {
		t.Errorf("%+v for a request that nobody traces", span)
	}
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02")
	r.Header.Set("Tracestate", "a=1 , b=2")
	span, out := tracer.Begin(r, "rest:shop", "acme.myshopify.com"), http.Header{"Tracestate": {"a=1 , b=2"}}
	span.Send(r.Method, out).Answered(200)
	span.Done(200, "")
	got := out.Get("Traceparent")
	if !strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-") || !strings.HasSuffix(got, "-02") || strings.Contains(got, "b7ad6b7169203331") ||
		out.Get("Tracestate") != "a=1,b=2" || len(kept.spans) != 0 || span.TraceID() != "" {
		t.Errorf("Shopify gets %v, and %d spans are recorded", out, len(kept.spans))
	}
}

func TestNothingIsSentToShopifyThatTheClientDidNotSend(t *testing.T) {
	t.Parallel()
	tracer, _ := recorded()
	out := http.Header{}
	span := tracer.Begin(httptest.NewRequest(http.MethodGet, "/admin/api/2026-10/shop.json", http.NoBody), "rest:shop", "acme.myshopify.com")
	span.Send(http.MethodGet, out).Answered(200)
	span.Done(200, "")
	if len(out) != 0 {
		t.Errorf("%v", out)
	}
}

func TestASpanHoldsNoPathNoQueryAndNoHeader(t *testing.T) {
	t.Parallel()
	tracer, kept := recorded()
	r := httptest.NewRequest("BREW", "/admin/api/2026-10/customers/207119551000000471.json?email=ada@example.com", strings.NewReader("hunter2"))
	r.Header.Set("X-Shopify-Access-Token", "shpat_hunter2")
	span := tracer.Begin(r, "rest:customers", "acme.myshopify.com")
	span.Send(r.Method, http.Header{}).Answered(200)
	span.Done(200, "")
	spans := kept.read(t)
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	for _, s := range spans {
		for _, secret := range []string{"207119551000000471", "ada@", "hunter2", "BREW"} {
			if strings.Contains(s.String(), secret) {
				t.Errorf("%s: %s", s.GetName(), s)
			}
		}
	}
}

// What waits in the queue is small, whatever a client sends.
func TestALongTracestateGoesOnAndDoesNotWait(t *testing.T) {
	t.Parallel()
	for _, n := range []int{longestState, longestState + 1} {
		tracer, kept := recorded()
		state := "a=" + strings.Repeat("x", 254) + ",b=" + strings.Repeat("y", n-259)
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header = http.Header{traceparentField: {parent}, tracestateField: {state}}
		span, out := tracer.Begin(r, "rest:shop", "acme.myshopify.com"), http.Header{}
		span.Send(r.Method, out).Answered(200)
		span.Send(r.Method, out).Answered(200)
		span.Done(200, "")
		if len(state) != n || out.Get(tracestateField) != state {
			t.Errorf("of %d bytes Shopify gets %d", len(state), len(out.Get(tracestateField)))
		}
		for _, s := range kept.read(t) {
			if kept := s.GetTraceState() == state; kept != (n <= longestState) {
				t.Errorf("of %d bytes the collector gets %d", n, len(s.GetTraceState()))
			}
		}
	}
}

func TestOpenSendsSpansAndNamesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	received := make(chan *tracepb.TracesData, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var data tracepb.TracesData
		if b, err := io.ReadAll(r.Body); err != nil || proto.Unmarshal(b, &data) != nil {
			t.Errorf("%d bytes that cannot be read: %v", len(b), err)
		}
		received <- &data
	}))
	defer collector.Close()
	var log bytes.Buffer
	tracer, err := Open(environ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL, "OTEL_TRACES_SAMPLER", "hunter2", "OTEL_BSP_SCHEDULE_DELAY", "hunter2",
		"OTEL_RESOURCE_ATTRIBUTES", "hunter2,deployment.environment=test", "OTEL_SERVICE_NAME", "gate"), "1.2.3", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"OTEL_TRACES_SAMPLER:", "OTEL_BSP_SCHEDULE_DELAY:", "OTEL_RESOURCE_ATTRIBUTES:"} {
		if !strings.Contains(log.String(), name) {
			t.Errorf("%s is not named in %s", name, &log)
		}
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("%s", &log)
	}
	tracer.Begin(httptest.NewRequest(http.MethodGet, "/", http.NoBody), "rest:shop", "acme.myshopify.com").Done(200, "")
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	of := (<-received).GetResourceSpans()[0]
	if text := of.GetResource().String(); len(of.GetScopeSpans()[0].GetSpans()) != 1 || !strings.Contains(text, `"gate"`) || !strings.Contains(text, `"test"`) || of.GetSchemaUrl() != conventions {
		t.Errorf("%v", of)
	}
}

func TestARequestThatIsLeftOutCostsNothing(t *testing.T) {
	tracer, kept := recorded()
	tracer.sampler = sampler{0, true}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	out := http.Header{}
	if n := testing.AllocsPerRun(100, func() {
		span := tracer.Begin(r, "rest:shop", "acme.myshopify.com")
		span.Send(r.Method, out).Answered(200)
		span.Done(200, span.TraceID())
	}); n != 0 || len(out) != 0 || len(kept.spans) != 0 {
		t.Errorf("%v allocations, %v", n, out)
	}
}

func TestATracerThatIsOffCostsNothing(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/admin/api/2026-10/shop.json", http.NoBody)
	h := http.Header{}
	var off *Tracer
	n := testing.AllocsPerRun(100, func() {
		span := off.Begin(r, "rest:shop", "acme.myshopify.com")
		s := span.Send(r.Method, h)
		s.Answered(200)
		s.Failed()
		span.Replayed("401")
		span.Waited(1)
		span.Done(200, span.TraceID())
	})
	if n != 0 || off.Close() != nil {
		t.Errorf("%v allocations", n)
	}
}

package tracing

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
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

// recorded makes a Tracer whose spans are kept.
func recorded(t *testing.T) (*Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	tracer, err := New(t.Context(), "1.2.3", sdktrace.WithSyncer(kept))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tracer.Close() })
	return tracer, kept
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestARequestsSpansBelongToTheClientsTrace(t *testing.T) {
	t.Parallel()
	tracer, kept := recorded(t)
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

	spans := kept.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	server := spans[2]
	for _, s := range spans {
		if s.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is in the trace %s", s.Name, s.SpanContext.TraceID())
		}
	}
	if server.Parent.SpanID().String() != "b7ad6b7169203331" || spans[0].Parent.SpanID() != server.SpanContext.SpanID() {
		t.Error("the spans are not below each other")
	}
	if server.Name != "POST rest:products" || server.Status.Code != codes.Error || len(server.Events) != 1 {
		t.Errorf("%+v", server)
	}
	for _, want := range []attribute.KeyValue{
		attribute.String("http.route", "rest:products"), attribute.Int("http.response.status_code", 502),
		attribute.String("error.type", "upstream_unreachable"), attribute.Float64("evergate.pace.wait", 1.5),
	} {
		if !slices.Contains(server.Attributes, want) {
			t.Errorf("no %v among %v", want, server.Attributes)
		}
	}
	if got := out.Get("Traceparent"); got != "00-0af7651916cd43dd8448eb211c80319c-"+spans[1].SpanContext.SpanID().String()+"-01" {
		t.Errorf("Shopify gets the parent %q", got)
	}
	if id := span.TraceID(); id != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the trace is %q", id)
	}
}

func TestNothingIsSentToShopifyThatTheClientDidNotSend(t *testing.T) {
	t.Parallel()
	tracer, _ := recorded(t)
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
	tracer, kept := recorded(t)
	r := httptest.NewRequest("BREW", "/admin/api/2026-10/customers/4711.json?email=ada@example.com", strings.NewReader("hunter2"))
	r.Header.Set("X-Shopify-Access-Token", "shpat_hunter2")
	span := tracer.Begin(r, "rest:customers", "acme.myshopify.com")
	span.Send(r.Method, http.Header{}).Answered(200)
	span.Done(200, "")
	for _, s := range kept.GetSpans() {
		for _, kv := range append(s.Attributes, attribute.String("name", s.Name)) {
			for _, secret := range []string{"4711", "ada", "hunter2", "BREW"} {
				if strings.Contains(kv.Value.String(), secret) {
					t.Errorf("%s: %s=%s", s.Name, kv.Key, kv.Value.String())
				}
			}
		}
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

package tracing

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkRequest is what a request costs whose spans are recorded or left out, with what is sent for it: the collector is
// away.
func BenchmarkRequest(b *testing.B) {
	const id = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
	for _, c := range []struct{ name, sampler, parent string }{
		{"recorded/root", "", ""},
		{"recorded/continued", "", id + "01"},
		{"recorded/hidden", "", id + "00"},
		{"left_out/root", "parentbased_always_off", ""},
		{"left_out/hidden", "parentbased_always_off", id + "00"},
	} {
		b.Run(c.name, func(b *testing.B) {
			tracer, err := Open(environ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER", c.sampler), "1.2.3", slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer tracer.Close()
			r := httptest.NewRequest(http.MethodGet, "/admin/api/2026-10/shop.json", http.NoBody)
			if c.parent != "" {
				r.Header.Set("Traceparent", c.parent)
				r.Header.Set("Tracestate", "a=1,b=2")
			}
			out := http.Header{}
			b.ReportAllocs()
			for b.Loop() {
				clear(out)
				span := tracer.Begin(r, "rest:shop", "acme.myshopify.com")
				span.Send(r.Method, out).Answered(200)
				span.Waited(1500)
				span.Done(200, "")
			}
		})
	}
}

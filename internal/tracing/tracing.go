// Package tracing makes OpenTelemetry spans of what happens to a request, and sends them by
// OTLP where the standard OTEL_… variables say.
//
// Invariants:
//   - It is off unless an endpoint or an exporter is named, and then it costs a comparison
//     with nil: no span, no allocation, no goroutine.
//   - No attribute holds a path, a query, a header, a body or a secret: what a span says is
//     from closed lists, except for the shop's name and numbers.
//   - What the client did not send is not sent to Shopify: a traceparent goes on only if one
//     came, with our span as the parent.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Enabled reports whether the environment asks for traces. The names are those of the
// OpenTelemetry specification, except that its default, sending to localhost, is ours only
// when something is set.
func Enabled(getenv func(string) string) (bool, error) {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	exporter := getenv("OTEL_TRACES_EXPORTER")
	switch exporter {
	case "none":
		return false, nil
	case "", "otlp":
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER=%q: only otlp and none are built in", exporter)
	}
	if exporter == "" && getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return false, nil
	}
	if _, err := readSettings(getenv); err != nil {
		return false, err
	}
	for _, name := range [...]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := getenv(name); p != "" && p != "http/protobuf" {
			return false, fmt.Errorf("%s=%q: only http/protobuf is built in; collectors listen for it on port 4318", name, p)
		}
	}
	return true, nil
}

// Endpoint is where spans go, for people: without what may hold a secret, a user, a path or a
// query.
func Endpoint(getenv func(string) string) string {
	u, err := endpoint(getenv)
	if err != nil {
		return "nowhere" // Enabled has refused it
	}
	return u.Scheme + "://" + u.Host
}

// Tracer makes spans. A nil Tracer makes none. It is safe for concurrent use.
type Tracer struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	provider   *sdktrace.TracerProvider
}

// stopWithin bounds the wait for the last spans to be sent.
const stopWithin = 3 * time.Second

// Open returns a Tracer that sends spans by OTLP over HTTP. Sampler, batching and resource
// attributes come from the process' OTEL_… variables, which the SDK reads itself except for samplers
// that a client could tell to look away.
func Open(ctx context.Context, getenv func(string) string, version string) (*Tracer, error) {
	s, err := readSettings(getenv)
	if err != nil {
		return nil, err
	}
	if err := s.readFiles(getenv); err != nil {
		return nil, err
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithBatcher(newExporter(s, version))}
	if sampler := samplerOf(getenv("OTEL_TRACES_SAMPLER"), getenv("OTEL_TRACES_SAMPLER_ARG")); sampler != nil {
		options = append(options, sdktrace.WithSampler(sampler))
	}
	return New(ctx, version, options...)
}

// New returns a Tracer with the given processor. Open is New with OTLP.
func New(ctx context.Context, version string, options ...sdktrace.TracerProviderOption) (*Tracer, error) {
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "evergate"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv()) // the last one wins
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithResource(res))...)
	return &Tracer{
		tracer: provider.Tracer("evergate"), provider: provider,
		propagator: propagation.TraceContext{}, // a baggage goes on by itself, as other fields do
	}, nil
}

// LogErrors has what goes wrong while sending spans logged, at most once a minute. It is a
// setting of the whole process, because the SDK has no other.
func LogErrors(log *slog.Logger) { setErrorHandler(log) }

// Close sends what is left, for at most three seconds.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// Request is the span of one request. A nil Request records nothing.
type Request struct {
	of    *Tracer
	ctx   context.Context //nolint:containedctx // a span lives in its context; this is its owner
	span  trace.Span
	asked bool // the client sent a context
}

// Begin starts the span of a request that has been let in.
func (t *Tracer) Begin(r *http.Request, route, shop string) *Request {
	if t == nil {
		return nil
	}
	carrier := propagation.HeaderCarrier(r.Header)
	ctx := t.propagator.Extract(r.Context(), carrier)
	asked := trace.SpanContextFromContext(ctx).IsValid()
	ctx, span := t.tracer.Start(ctx, method(r.Method)+" "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", method(r.Method)),
		attribute.String("http.route", route),
		attribute.String("server.address", shop),
	))
	return &Request{of: t, ctx: ctx, span: span, asked: asked}
}

// method is the name that the semantic conventions give to methods that are none.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "_OTHER"
}

// TraceID is the id of a trace that is recorded; empty when there is none.
func (r *Request) TraceID() string {
	if r == nil || !r.span.SpanContext().IsSampled() {
		return ""
	}
	return r.span.SpanContext().TraceID().String()
}

// Waited notes how long the request waited for the rate limit.
func (r *Request) Waited(d time.Duration) {
	if r != nil && d > 0 {
		r.span.SetAttributes(attribute.Float64("evergate.pace.wait", d.Seconds()))
	}
}

// Replayed notes that the request is sent once more.
func (r *Request) Replayed(reason string) {
	if r != nil {
		r.span.AddEvent("sent again", trace.WithAttributes(attribute.String("evergate.reason", reason)))
	}
}

// Done ends the span. code is that of an answer of Evergate's own; empty for Shopify's.
func (r *Request) Done(status int, code string) {
	if r == nil {
		return
	}
	r.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if code != "" {
		r.span.SetAttributes(attribute.String("error.type", code))
	}
	if status >= http.StatusInternalServerError {
		r.span.SetStatus(codes.Error, code)
	}
	r.span.End()
}

// Sending is the span of one sending to Shopify. A nil Sending records nothing.
type Sending struct{ span trace.Span }

// Send starts the span of one sending, and puts its context on the outgoing header if the
// client had sent one.
func (r *Request) Send(name string, out http.Header) *Sending {
	if r == nil {
		return nil
	}
	ctx, span := r.of.tracer.Start(r.ctx, "send to Shopify", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", method(name))))
	if r.asked {
		r.of.propagator.Inject(ctx, propagation.HeaderCarrier(out))
	}
	return &Sending{span}
}

// Answered ends the span at the header of Shopify's answer.
func (s *Sending) Answered(status int) {
	if s == nil {
		return
	}
	s.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// Failed ends the span of a sending that got no answer. The error is not recorded: it may
// name addresses, and the log has it.
func (s *Sending) Failed() {
	if s == nil {
		return
	}
	s.span.SetStatus(codes.Error, "no answer")
	s.span.End()
}

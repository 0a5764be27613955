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
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
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
	sampler sampler
	ended   func(*span) // takes a span that is recorded, and never waits
	close   func(context.Context) error
}

// stopWithin bounds the wait for the last spans to be sent.
const stopWithin = 3 * time.Second

// Open returns a Tracer that sends spans by OTLP over HTTP, as the OTEL_… variables say. What becomes of them is logged where
// somebody should know: at most once a minute, and once for variables that cannot be read and have a default.
func Open(getenv func(string) string, version string, log *slog.Logger) (*Tracer, error) {
	s, err := readSettings(getenv)
	if err != nil {
		return nil, err
	}
	if err := s.readFiles(getenv); err != nil {
		return nil, err
	}
	who, wrongResource := resource(getenv, version)
	sampler, wrongSampler := readSampler(getenv)
	batching, wrongBatching := readBatching(getenv)
	for _, err := range [...]error{wrongResource, wrongSampler, wrongBatching} {
		if err != nil {
			log.Warn("a setting for traces could not be read", "err", err)
		}
	}
	return start(sampler, batching, newExporter(s, encodeResource(who), version), log), nil
}

// start returns a Tracer that sends by an exporter, which ends with it.
func start(which sampler, b batching, e *exporter, log *slog.Logger) *Tracer {
	queue := newBatcher(b, e.export, (&complaints{log: log}).tell)
	return &Tracer{sampler: which, ended: queue.add, close: func(ctx context.Context) error {
		defer e.stop()
		return queue.close(ctx)
	}}
}

// Close sends what is left, for at most three seconds.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return t.close(ctx)
}

// Request is the span of one request. A nil Request records nothing. It belongs to whoever serves the request.
type Request struct {
	of    *Tracer
	asked bool   // the client sent a context
	trace string // its id, once somebody has wanted to read it
	span  span
}

// Begin starts the span of a request that has been let in. It returns nil where nothing is recorded and nobody is told.
func (t *Tracer) Begin(r *http.Request, route, shop string) *Request {
	if t == nil {
		return nil
	}
	parent := extract(r.Header)
	asked := parent.valid()
	trace := parent.trace
	if !asked {
		trace = newTraceID()
	}
	recorded := t.sampler.records(trace, &parent)
	if !recorded && !asked {
		return nil
	}
	of := spanContext{trace: trace, flags: parent.flags, state: parent.state}
	return &Request{of: t, asked: asked, span: span{
		of: of.child(recorded), parent: parent.span, remote: asked, kind: server,
		method: method(r.Method), route: route, shop: shop, began: time.Now(),
	}}
}

// method is the name that the semantic conventions give to methods that are none.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "_OTHER"
}

// recorded reports whether the span is recorded, and has not ended.
func (r *Request) recorded() bool {
	return r != nil && r.span.of.sampled() && !r.span.ended
}

// TraceID is the id of a trace that is recorded; empty when there is none.
func (r *Request) TraceID() string {
	if r == nil || !r.span.of.sampled() {
		return ""
	}
	if r.trace == "" {
		r.trace = hex.EncodeToString(r.span.of.trace[:])
	}
	return r.trace
}

// Waited notes how long the request waited for the rate limit.
func (r *Request) Waited(d time.Duration) {
	if r.recorded() {
		r.span.waited = d
	}
}

// Replayed notes that the request is sent once more.
func (r *Request) Replayed(reason string) {
	if r.recorded() {
		r.span.addEvent(reason)
	}
}

// Done ends the span. code is that of an answer of Evergate's own; empty for Shopify's.
func (r *Request) Done(status int, code string) {
	if r.recorded() {
		r.span.answered(status, code)
		r.of.finish(&r.span)
	}
}

// longestState is how much of a tracestate W3C wants carried at least (Trace Context, 3.3.1.5).
const longestState = 512

// finish ends a span and hands it over. A longer tracestate has gone on to Shopify and does not wait in a queue.
func (t *Tracer) finish(s *span) {
	s.took, s.ended = time.Since(s.began), true
	if len(s.of.state) > longestState {
		s.of.state = ""
	}
	t.ended(s)
}

// Sending is the span of one sending to Shopify. A nil Sending records nothing.
type Sending struct {
	of   *Tracer
	span span
}

// Send starts the span of one sending, and puts its context on the outgoing header if the
// client had sent one.
func (r *Request) Send(name string, out http.Header) *Sending {
	if r == nil {
		return nil
	}
	of := r.span.of.child(r.span.of.sampled())
	if r.asked {
		of.inject(out)
	}
	if !of.sampled() {
		return nil
	}
	return &Sending{of: r.of, span: span{of: of, parent: r.span.of.span, kind: client, method: method(name), began: time.Now()}}
}

// Answered ends the span at the header of Shopify's answer.
func (s *Sending) Answered(status int) {
	if s != nil && !s.span.ended {
		s.span.answered(status, "")
		s.of.finish(&s.span)
	}
}

// Failed ends the span of a sending that got no answer. The error is not recorded: it may
// name addresses, and the log has it.
func (s *Sending) Failed() {
	if s != nil && !s.span.ended {
		s.span.failed, s.span.why = true, "no answer"
		s.of.finish(&s.span)
	}
}

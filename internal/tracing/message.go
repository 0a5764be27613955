package tracing

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// message is what a collector is sent: on the wire a TracesData is an
// ExportTraceServiceRequest, whose own package links gRPC. All spans of a Tracer have one
// resource and one scope.
func message(spans []sdktrace.ReadOnlySpan) *tracepb.TracesData {
	res, scope := spans[0].Resource(), spans[0].InstrumentationScope()
	of := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: scope.Name, Version: scope.Version}, SchemaUrl: scope.SchemaURL}
	for _, s := range spans {
		of.Spans = append(of.Spans, spanMessage(s))
	}
	return &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: keyValues(res.Attributes())},
		ScopeSpans: []*tracepb.ScopeSpans{of},
		SchemaUrl:  res.SchemaURL(),
	}}}
}

// spanMessage leaves out links, which no span here has.
func spanMessage(s sdktrace.ReadOnlySpan) *tracepb.Span {
	of, parent := s.SpanContext(), s.Parent()
	traceID, spanID := of.TraceID(), of.SpanID()
	m := &tracepb.Span{
		TraceId: traceID[:], SpanId: spanID[:], TraceState: of.TraceState().String(), Flags: flags(of, parent),
		Name: s.Name(), Kind: kind(s.SpanKind()),
		StartTimeUnixNano: unixNano(s.StartTime()), EndTimeUnixNano: unixNano(s.EndTime()),
		Attributes: keyValues(s.Attributes()), Status: status(s.Status()),
		DroppedAttributesCount: count(s.DroppedAttributes()), DroppedEventsCount: count(s.DroppedEvents()),
	}
	if id := parent.SpanID(); id.IsValid() {
		m.ParentSpanId = id[:]
	}
	for _, e := range s.Events() {
		m.Events = append(m.Events, &tracepb.Span_Event{
			Name: e.Name, TimeUnixNano: unixNano(e.Time), Attributes: keyValues(e.Attributes),
			DroppedAttributesCount: count(e.DroppedAttributeCount),
		})
	}
	return m
}

// flags are those of W3C, and whether the parent is another process'.
func flags(of, parent trace.SpanContext) uint32 {
	f := uint32(of.TraceFlags()) | uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	if parent.IsRemote() {
		f |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	return f
}

func kind(k trace.SpanKind) tracepb.Span_SpanKind {
	switch k {
	case trace.SpanKindServer:
		return tracepb.Span_SPAN_KIND_SERVER
	case trace.SpanKindClient:
		return tracepb.Span_SPAN_KIND_CLIENT
	default:
		return tracepb.Span_SPAN_KIND_INTERNAL
	}
}

func status(s sdktrace.Status) *tracepb.Status {
	m := &tracepb.Status{Message: s.Description}
	switch s.Code {
	case codes.Ok:
		m.Code = tracepb.Status_STATUS_CODE_OK
	case codes.Error:
		m.Code = tracepb.Status_STATUS_CODE_ERROR
	default: // unset
	}
	return m
}

func unixNano(t time.Time) uint64 {
	return uint64(max(0, t.UnixNano()))
}

func count(n int) uint32 {
	return uint32(min(max(n, 0), 1<<31-1))
}

func keyValues(all []attribute.KeyValue) []*commonpb.KeyValue {
	out := make([]*commonpb.KeyValue, len(all))
	for i, kv := range all {
		out[i] = &commonpb.KeyValue{Key: string(kv.Key), Value: anyValue(kv.Value)}
	}
	return out
}

// anyValue sends as text what is not of the four kinds that spans here have.
func anyValue(v attribute.Value) *commonpb.AnyValue {
	switch v.Type() {
	case attribute.BOOL:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: v.AsBool()}}
	case attribute.INT64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: v.AsInt64()}}
	case attribute.FLOAT64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v.AsFloat64()}}
	default:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v.String()}}
	}
}

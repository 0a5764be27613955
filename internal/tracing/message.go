package tracing

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// The official types of these messages register themselves when the program starts, also where nobody traces: 0.15 ms,
// 20 KiB of memory and 80 KiB of the binary. So messages are written here, field by field, with the numbers of
// opentelemetry/proto; the tests read them with the official types.

// message is what a collector is sent: an ExportTraceServiceRequest. All spans of a Tracer have one resource and one
// scope.
func message(spans []sdktrace.ReadOnlySpan) []byte {
	res, scope := spans[0].Resource(), spans[0].InstrumentationScope()

	var of encoder // ScopeSpans
	of.message(1, func(e *encoder) {
		e.text(1, scope.Name)
		e.text(2, scope.Version)
	})
	for _, s := range spans {
		of.message(2, func(e *encoder) { e.span(s) })
	}
	of.text(3, scope.SchemaURL)

	var all encoder
	all.message(1, func(e *encoder) { // ResourceSpans
		e.message(1, func(e *encoder) { e.attributes(1, res.Attributes()) })
		e.bytes(2, of.b)
		e.text(3, res.SchemaURL())
	})
	return all.b
}

// encoder appends the fields of one message. As in all of proto3, a value that is zero is left out.
type encoder struct{ b []byte }

func (e *encoder) bytes(n protowire.Number, v []byte) {
	e.b = protowire.AppendBytes(protowire.AppendTag(e.b, n, protowire.BytesType), v)
}

func (e *encoder) text(n protowire.Number, v string) {
	if v != "" {
		e.b = protowire.AppendString(protowire.AppendTag(e.b, n, protowire.BytesType), v)
	}
}

func (e *encoder) varint(n protowire.Number, v uint64) {
	if v != 0 {
		e.b = protowire.AppendVarint(protowire.AppendTag(e.b, n, protowire.VarintType), v)
	}
}

func (e *encoder) fixed64(n protowire.Number, v uint64) {
	e.b = protowire.AppendFixed64(protowire.AppendTag(e.b, n, protowire.Fixed64Type), v)
}

// message appends a message within the message, also if it is empty.
func (e *encoder) message(n protowire.Number, fill func(*encoder)) {
	var inner encoder
	fill(&inner)
	e.bytes(n, inner.b)
}

// span appends the fields of a Span, but for links, which no span here has.
func (e *encoder) span(s sdktrace.ReadOnlySpan) {
	of, parent := s.SpanContext(), s.Parent()
	traceID, spanID := of.TraceID(), of.SpanID()
	e.bytes(1, traceID[:])
	e.bytes(2, spanID[:])
	e.text(3, of.TraceState().String())
	if id := parent.SpanID(); id.IsValid() {
		e.bytes(4, id[:])
	}
	e.text(5, s.Name())
	e.varint(6, kind(s.SpanKind()))
	e.fixed64(7, unixNano(s.StartTime()))
	e.fixed64(8, unixNano(s.EndTime()))
	e.attributes(9, s.Attributes())
	e.varint(10, count(s.DroppedAttributes()))
	for _, event := range s.Events() {
		e.message(11, func(e *encoder) {
			e.fixed64(1, unixNano(event.Time))
			e.text(2, event.Name)
			e.attributes(3, event.Attributes)
			e.varint(4, count(event.DroppedAttributeCount))
		})
	}
	e.varint(12, count(s.DroppedEvents()))
	e.message(15, func(e *encoder) {
		e.text(2, s.Status().Description)
		e.varint(3, status(s.Status().Code))
	})
	e.b = protowire.AppendFixed32(protowire.AppendTag(e.b, 16, protowire.Fixed32Type), flags(of, parent))
}

const (
	flagHasIsRemote = 0x100 // whether the next one means anything
	flagIsRemote    = 0x200
)

// flags are those of W3C, and whether the parent is another process'.
func flags(of, parent trace.SpanContext) uint32 {
	f := uint32(of.TraceFlags()) | flagHasIsRemote
	if parent.IsRemote() {
		f |= flagIsRemote
	}
	return f
}

// kind is a Span.SpanKind.
func kind(k trace.SpanKind) uint64 {
	switch k {
	case trace.SpanKindServer:
		return 2
	case trace.SpanKindClient:
		return 3
	default:
		return 1 // internal
	}
}

// status is a Status.StatusCode.
func status(c codes.Code) uint64 {
	switch c {
	case codes.Ok:
		return 1
	case codes.Error:
		return 2
	default:
		return 0 // unset
	}
}

func unixNano(t time.Time) uint64 {
	return uint64(max(0, t.UnixNano()))
}

func count(n int) uint64 {
	return uint64(min(max(n, 0), math.MaxInt32))
}

func (e *encoder) attributes(n protowire.Number, all []attribute.KeyValue) {
	for _, kv := range all {
		e.message(n, func(e *encoder) {
			e.text(1, string(kv.Key))
			e.message(2, func(e *encoder) { e.value(kv.Value) })
		})
	}
}

// value appends the field of an AnyValue, also where it is zero: which one is there says what kind it is. What is not of
// the four kinds that spans here have is sent as text.
func (e *encoder) value(v attribute.Value) {
	switch v.Type() {
	case attribute.BOOL:
		e.b = protowire.AppendVarint(protowire.AppendTag(e.b, 2, protowire.VarintType), protowire.EncodeBool(v.AsBool()))
	case attribute.INT64:
		e.b = protowire.AppendVarint(protowire.AppendTag(e.b, 3, protowire.VarintType), uint64(v.AsInt64()))
	case attribute.FLOAT64:
		e.fixed64(4, math.Float64bits(v.AsFloat64()))
	default:
		e.bytes(1, []byte(v.String()))
	}
}

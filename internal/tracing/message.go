package tracing

import (
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The official types of these messages register themselves when the program starts, also where nobody traces: 0.15 ms,
// 20 KiB of memory and 80 KiB of the binary. So messages are written here, field by field, with the numbers of
// opentelemetry/proto; the tests read them with the official types.

// message is what a collector is sent: an ExportTraceServiceRequest. All spans of a Tracer have one resource, which has
// been encoded before, and one scope.
func message(resource []byte, spans []*span) []byte {
	e := encoder{b: make([]byte, 0, len(resource)+256*(len(spans)+1))}
	e.message(1, func() { // ResourceSpans
		e.bytes(1, resource)
		e.message(2, func() { // ScopeSpans
			e.message(1, func() { e.text(1, "evergate") })
			for _, s := range spans {
				e.message(2, func() { e.span(s) })
			}
		})
		e.text(3, conventions)
	})
	return e.b
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

// message appends a message within the message, also if it is empty. Its length goes before it once that is known.
func (e *encoder) message(n protowire.Number, fill func()) {
	e.b = protowire.AppendTag(e.b, n, protowire.BytesType)
	start := len(e.b)
	fill()
	var length [10]byte
	e.b = slices.Insert(e.b, start, protowire.AppendVarint(length[:0], uint64(len(e.b)-start))...)
}

// span appends the fields of a Span, but for links, which no span here has.
func (e *encoder) span(s *span) {
	e.bytes(1, s.of.trace[:])
	e.bytes(2, s.of.span[:])
	e.text(3, s.of.state)
	if s.parent != (spanID{}) {
		e.bytes(4, s.parent[:])
	}
	e.text(5, s.name())
	e.varint(6, uint64(s.kind))
	e.fixed64(7, unixNano(s.began))
	e.fixed64(8, unixNano(s.began.Add(s.took)))
	e.attributes(s)
	for _, event := range s.again {
		e.message(11, func() {
			e.fixed64(1, unixNano(event.at))
			e.text(2, "sent again")
			e.attribute(3, "evergate.reason", text(event.reason))
		})
	}
	e.varint(12, s.forgotten)
	e.message(15, func() {
		if s.failed {
			e.text(2, s.why)
			e.varint(3, statusError)
		}
	})
	e.b = protowire.AppendFixed32(protowire.AppendTag(e.b, 16, protowire.Fixed32Type), flags(s))
}

// attributes appends what a span says, under the names of the semantic conventions.
func (e *encoder) attributes(s *span) {
	const n = 9
	e.attribute(n, "http.request.method", text(s.method))
	if s.kind == server {
		e.attribute(n, "http.route", text(s.route))
		e.attribute(n, "server.address", text(s.shop))
	}
	if s.waited > 0 {
		e.attribute(n, "evergate.pace.wait", float(s.waited.Seconds()))
	}
	if s.status != 0 {
		e.attribute(n, "http.response.status_code", integer(int64(s.status)))
	}
	if s.code != "" {
		e.attribute(n, "error.type", text(s.code))
	}
}

// statusError is a Status.StatusCode.
const statusError = 2

const (
	flagHasIsRemote = 0x100 // whether the next one means anything
	flagIsRemote    = 0x200
)

// flags are those of W3C, and whether the parent is another process'.
func flags(s *span) uint32 {
	f := uint32(s.of.flags) | flagHasIsRemote
	if s.remote {
		f |= flagIsRemote
	}
	return f
}

func unixNano(t time.Time) uint64 {
	return uint64(max(0, t.UnixNano()))
}

// attribute appends a KeyValue.
func (e *encoder) attribute(n protowire.Number, key string, v value) {
	e.message(n, func() {
		e.text(1, key)
		e.message(2, func() { e.value(v) })
	})
}

// value is one of an attribute, of the kinds that spans here have: n is its field in an AnyValue, bits what a number is sent
// as.
type value struct {
	n    protowire.Number
	text string
	bits uint64
}

func text(v string) value   { return value{n: 1, text: v} }
func integer(v int64) value { return value{n: 3, bits: uint64(v)} }
func float(v float64) value { return value{n: 4, bits: math.Float64bits(v)} }

// value appends the field of an AnyValue, also where it is zero: which one is there says what kind it is.
func (e *encoder) value(v value) {
	switch v.n {
	case 1:
		e.b = protowire.AppendString(protowire.AppendTag(e.b, v.n, protowire.BytesType), v.text)
	case 3:
		e.b = protowire.AppendVarint(protowire.AppendTag(e.b, v.n, protowire.VarintType), v.bits)
	default:
		e.fixed64(v.n, v.bits)
	}
}

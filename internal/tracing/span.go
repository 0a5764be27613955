package tracing

import (
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"time"
)

type (
	traceID [16]byte
	spanID  [8]byte
)

// spanContext is what one process tells the next about a trace (W3C Trace Context).
type spanContext struct {
	trace traceID
	span  spanID
	flags byte
	state string // the tracestate, in which nothing here has an entry of its own
}

// The flags that a traceparent can have.
const (
	flagSampled = 1 << iota
	flagRandom
	knownFlags = flagSampled | flagRandom
)

func (c *spanContext) valid() bool   { return c.trace != traceID{} && c.span != spanID{} }
func (c *spanContext) sampled() bool { return c.flags&flagSampled != 0 }

// child is a context below this one, recorded or not.
func (c *spanContext) child(recorded bool) spanContext {
	below := spanContext{trace: c.trace, span: newSpanID(), flags: c.flags &^ flagSampled, state: c.state}
	if recorded {
		below.flags |= flagSampled
	}
	return below
}

// Ids have to differ, and need not be secret.

func newTraceID() (id traceID) {
	for id == (traceID{}) { // which would be none
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // see above
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // see above
	}
	return id
}

func newSpanID() (id spanID) {
	for id == (spanID{}) {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // see above
	}
	return id
}

// kind is a Span.SpanKind of opentelemetry/proto.
type kind uint64

const (
	server kind = 2
	client kind = 3
)

// span has a field for each thing that a span says, so that nothing else gets into one. It is changed by whoever serves
// the request until it has ended, and by nobody afterwards.
type span struct {
	of     spanContext
	parent spanID // zero: none
	remote bool   // the parent is another process'
	kind   kind
	ended  bool
	failed bool

	method, route, shop string
	code                string // of an answer of Evergate's own
	why                 string // it failed
	status              int    // zero: no answer
	again               []resent
	forgotten           uint64 // of the oldest of again

	began        time.Time
	took, waited time.Duration
}

// resent is an event: the request was sent once more.
type resent struct {
	at     time.Time
	reason string
}

// mostEvents is the specification's default for the events of one span.
const mostEvents = 128

func (s *span) name() string {
	if s.kind == client {
		return "send to Shopify"
	}
	return s.method + " " + s.route
}

func (s *span) addEvent(reason string) {
	if len(s.again) == mostEvents {
		s.again = append(s.again[:0], s.again[1:]...)
		s.forgotten++
	}
	s.again = append(s.again, resent{time.Now(), reason})
}

// answered notes the status of an answer; that of a server's mistake is a failure.
func (s *span) answered(status int, code string) {
	s.status, s.code = status, code
	if status >= http.StatusInternalServerError {
		s.failed, s.why = true, code
	}
}

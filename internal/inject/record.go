package inject

import (
	"net/http"
	"time"

	"evergate/internal/clock"
	"evergate/internal/guard"
	"evergate/internal/limit"
	"evergate/internal/pace"
	"evergate/internal/shopify"
	"evergate/internal/token"
	"evergate/internal/tracing"
)

// record is all that is known of one request: what came in, how far it has got, and what there
// is to tell of it when it has been answered. It ends with ServeHTTP, so nothing that a
// transport may keep for longer points into it.
type record struct {
	in          *http.Request
	passage     guard.Admitted
	shop        *Shop // whose API is called; nil while it is not admitted
	body        requestBody
	stream      *stream   // of a request of HTTP/2; nil: it is none
	out         *outgoing // of the last attempt; nil: there was none
	passer      passer    // the client's, if it is one
	made        *any      // where the header of an attempt is kept; nil: nowhere
	reservation pace.Reservation
	// refused and ended are how many 401s have been met: of tokens that lived, and of such as had ended on their way.
	refused, ended int
	// underway says that Shopify may have got the request and has not answered.
	underway bool

	began  int64         // of clock.Mono
	route  shopify.Route // other, while it is not admitted
	status int
	code   string        // of an answer of Evergate's own
	waited time.Duration // for the rate limit
	answer http.Header   // Shopify's
	span   *tracing.Request
}

// caller tells callers apart for the sake of fairness.
func (r *record) caller() pace.Caller {
	if r.passage.Caller.Key != nil {
		return pace.Caller{Key: r.passage.Caller.Key, Known: r.passage.Caller.Known}
	}
	return pace.Caller{Key: r.in.RemoteAddr} // the server has been told nothing of connections
}

// ownConn is the client's connection where it carries this request alone; nil: it carries others, or is none that is counted.
func (r *record) ownConn() *limit.Conn {
	if r.in.ProtoMajor != 1 {
		return nil
	}
	return limit.FromContext(r.in.Context())
}

// passedLines are the lines of Shopify's answer that the client's side takes as they are; none where it takes none.
func (r *record) passedLines() []byte {
	if r.passer == nil {
		return nil
	}
	return r.out.ctx.Passed()
}

// named is the route that the request named, whether or not it was admitted.
func (r *record) named() shopify.Route {
	if r.route != shopify.RouteOther {
		return r.route
	}
	return r.passage.Target.Route
}

// mostEnded is how often a request is sent again whose token has ended on its way. Tokens live for an hour: it takes a machine that stands still.
const mostEnded = 3

// refuse counts a 401 and reports whether the request is to be sent again for it: once where the token lived, and where it has ended on its way,
// which explains the 401, mostEnded times.
func (r *record) refuse(tok token.Token) bool {
	if tok.EndedBy(time.Now()) {
		r.ended++
		return r.ended <= mostEnded
	}
	r.refused++
	return r.refused == 1
}

// observe tells everybody who keeps account of a request that has been answered.
func (h *Handler) observe(rec *record) {
	took := time.Duration(clock.Mono() - rec.began)
	rec.stream.end(rec.in.Context())
	h.opt.Metrics.RequestDoneInTrace(rec.span.TraceID(), rec.route, rec.in.Method, rec.status, took)
	if rec.code != "" || rec.status >= http.StatusBadRequest {
		h.opt.Metrics.Unsuccessful(rec.named(), rec.status, rec.code, time.Now())
	}
	if rec.waited > 0 {
		h.opt.Metrics.CallerWaited(rec.passage.Caller.Name, rec.waited, time.Now())
	}
	rec.span.Waited(rec.waited)
	rec.span.Done(rec.status, rec.code)
	if h.opt.Access != nil {
		h.opt.Access.write(rec, took)
	}
	rec.answer = nil // which is the transport's again, after this
	rec.reservation.Release()
	switch unused := rec.body.release(rec.out != nil && rec.out.release()); {
	case rec.passer == nil:
	case unused:
		rec.passer.Unused()
	case rec.made != nil:
		*rec.made = nil // which somebody may still look at
	}
}

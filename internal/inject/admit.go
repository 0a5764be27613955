package inject

import (
	"errors"
	"io"
	"net/http"
	"time"

	"evergate/internal/denial"
	"evergate/internal/limit"
	"evergate/internal/metrics"
	"evergate/internal/request"
)

// admit lets a request in, or returns why not: a *denial.Error. Any other error is of a request
// that may pass and has no usable body.
func (h *Handler) admit(rec *record) (err error) {
	view := request.Of(rec.in)
	if rec.passage, err = h.opt.Admission.Admit(&view); err != nil {
		return denial.Of(err)
	}
	limit.FromContext(rec.in.Context()).Hold(rec.passage.Caller.Key, rec.passage.Caller.Known, rec.began)
	if rec.shop, err = h.opt.Shops.Of(rec.in.Context(), rec.passage.Shop); err != nil {
		return err
	}
	rec.route = rec.passage.Target.Route
	rec.span = h.opt.Tracer.Begin(rec.in, rec.route.String(), rec.passage.Shop.Domain())
	// The body first: a client may take its time with it, and a token is not to grow old meanwhile.
	err = h.readBody(rec)
	if _, denied := errors.AsType[*denial.Error](err); !denied {
		h.admitted(rec)
	}
	return err
}

// admitted counts a request that passes, and says what would have been denied.
func (h *Handler) admitted(rec *record) {
	caller := rec.passage.Caller.Name
	if rec.passage.Reported == nil {
		h.opt.Metrics.CallerServed(caller, metrics.Passed)
		return
	}
	reported := denial.Of(rec.passage.Reported)
	h.opt.Metrics.CallerServed(caller, metrics.Reported)
	if h.denials.allow(caller, reported.Code, rec.route) {
		h.opt.Log.WarnContext(rec.in.Context(), "reported: this policy would refuse it", "caller", caller, "code", reported.Code,
			"route", rec.route.String())
	}
}

// deny answers for a request that may not pass. The log has the code and the route, not the
// message, which repeats a part of the request: Shopify's paths name customers.
func (h *Handler) deny(w http.ResponseWriter, rec *record, d *denial.Error) {
	rec.status, rec.code = d.Status, d.Code
	caller := rec.passage.Caller.Name
	h.opt.Metrics.Denied(d.Code)
	h.opt.Metrics.CallerServed(caller, metrics.Denied)
	switch {
	case h.opt.AuditDenials != nil:
		h.audit(rec, d)
	case d.AboutCaller() && h.denials.allow(caller, d.Code, rec.named()):
		h.opt.Log.InfoContext(rec.in.Context(), "denied", "caller", caller, "code", d.Code, "route", rec.named().String())
	}
	if rec.in.Body == nil || rec.in.Body == http.NoBody || rec.in.ProtoMajor != 1 { // net/http ends a stream whose body is not wanted
		d.Answer(w)
		return
	}
	if readsShort(w, rec.in) {
		d.Answer(w)
		return
	}
	drain := worthDraining(rec.in)
	if drain {
		readsOn(w)
	} else {
		w.Header().Set("Connection", "close")
	}
	d.Answer(w)
	if !drain || !drainBody(w, rec.in) {
		rec.ownConn().Linger()
	}
}

// longestAudited is how much of a host is written to the log.
const longestAudited = 100

// audit writes a line for a denial. The host that a forward proxy was asked for is part of it: there is no route, and whoever watches a
// program wants to know where it was going.
func (h *Handler) audit(rec *record, d *denial.Error) {
	method := metrics.MethodName(rec.in.Method)
	if rec.in.Method == http.MethodConnect {
		method = http.MethodConnect
	}
	attrs := []any{"caller", rec.passage.Caller.Name, "code", d.Code, "method", method}
	if d.Code == denial.CodeDeniedConnect {
		attrs = append(attrs, "host", rec.in.Host[:min(len(rec.in.Host), longestAudited)])
	} else {
		attrs = append(attrs, "route", rec.named().String())
	}
	h.opt.AuditDenials.WarnContext(rec.in.Context(), "denied", attrs...)
}

// largestDrained and drainTimeout bound what is read of a body that nobody wants, so that the connection can be
// used again. Beyond them the connection ends, and lingers.
const (
	largestDrained = 4 << 20
	drainTimeout   = 5 * time.Second
)

// worthDraining reports whether r's body may end soon. What a client has asked leave for it does not
// send, as a rule.
func worthDraining(r *http.Request) bool {
	return r.Header["Expect"] == nil && r.ContentLength >= 0 && r.ContentLength <= largestDrained
}

// The most that is read of a body of unknown length before it is denied, and how long that may take.
const (
	shortBody = 256 << 10
	shortRead = time.Second
)

// readsShort reads a body of unknown length to its end if that is near, so that the connection can go on; the server would read it
// itself with the answer, and not tell whether it came to the end.
func readsShort(w http.ResponseWriter, r *http.Request) bool {
	if r.ContentLength >= 0 || r.Header["Expect"] != nil {
		return false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(shortRead)) // the server sets its own for the next request
	_, err := io.CopyN(io.Discard, r.Body, shortBody)
	return errors.Is(err, io.EOF)
}

// drainBody sends the answer and reads what is left of the body. Many clients look for an
// answer only after they have sent everything, and a connection that is closed with bytes
// unread can lose the answer on its way; net/http prevents that in some cases only. It reports
// whether the body has been read to its end.
func drainBody(w http.ResponseWriter, r *http.Request) bool {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTimeout)) // the server sets its own for the next request
	n, err := io.CopyN(io.Discard, r.Body, largestDrained)                          // nobody is left to tell
	return errors.Is(err, io.EOF) || err == nil && n == r.ContentLength
}

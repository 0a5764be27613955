package inject

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"evergate/internal/denial"
	"evergate/internal/netfail"
	"evergate/internal/pace"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// failures are the codes that the metrics announce.
var failures = []string{denial.CodeBadBody, denial.CodeNoToken, denial.CodeRateLimitQueueFull, denial.CodeTooManyConnections, denial.CodeUpstreamUnreachable, denial.CodeUpstreamTimeout}

// statusClientGone is what a request counts as whose client went away; nothing is sent.
const statusClientGone = 499

// fail answers for a request that may pass and has got no answer of Shopify's: the rules' own
// denials, which have their status already, are answered in admit.go.
func (h *Handler) fail(w http.ResponseWriter, rec *record, err error) {
	ctx := rec.in.Context()
	mustLeave := rec.ownConn().MustLeave()
	if ctx.Err() != nil && !mustLeave {
		rec.status = statusClientGone
		panic(http.ErrAbortHandler) // returning would send an empty 200
	}
	if rec.in.ProtoMajor == 1 && rec.body.unread() {
		w.Header().Set("Connection", "close") // see unread
		defer rec.body.dropRest(rec.ownConn())
	}
	var full *pace.QueueFullError
	if mustLeave || errors.As(err, &full) && full.Crowded && rec.in.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // somebody waits for its place
	}
	d := &denial.Error{}
	if mustLeave {
		d = madeRoom(rec)
	} else {
		d = classify(rec.shop, err)
	}
	rec.status, rec.code = d.Status, d.Code
	h.opt.Metrics.Failed(d.Code)
	if (d.Code == denial.CodeRateLimitQueueFull || d.Code == denial.CodeTooManyConnections) && !h.denials.allow(rec.passage.Caller.Name, d.Code, rec.route) {
		d.Answer(w) // a flood is logged once
		return
	}
	h.opt.Log.WarnContext(ctx, "request failed", "caller", rec.passage.Caller.Name, "route", rec.route.String(), "code", d.Code, "status", d.Status, "err", err)
	d.Answer(w)
}

// madeRoom is the answer to a request that has made room for somebody else.
func madeRoom(rec *record) *denial.Error {
	const why = "Every connection that Evergate may have (EVERGATE_MAX_CONNECTIONS) was taken while others waited for one, and this caller had more than its part of them. "
	if rec.underway {
		return &denial.Error{Status: http.StatusGatewayTimeout, Code: denial.CodeTooManyConnections,
			Message: why + "Whether Shopify carried this request out is not known: look before sending a change again."}
	}
	return &denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeTooManyConnections, RetryAfter: retryNoRoom,
		Message: why + "Shopify has not carried this request out. Send fewer requests at a time, or come again after Retry-After."}
}

func classify(shop *Shop, err error) *denial.Error {
	var unavailable *token.UnavailableError
	var full *pace.QueueFullError
	var dial *upstream.DialError
	var network net.Error
	switch {
	case errors.As(err, &unavailable):
		return &denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeNoToken,
			Message: "Evergate has no usable access token for " + shop.Shop.Domain() + " now: " + unavailable.Err.Error(), RetryAfter: max(unavailable.RetryAfter, time.Second)}
	case errors.As(err, &full):
		return &denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeRateLimitQueueFull, RetryAfter: full.RetryAfter,
			Message: "Shopify has not carried this request out: " + full.Error() + ". Send fewer requests at a time, or come again after Retry-After."}
	case errors.Is(err, errClientBody):
		return &denial.Error{Status: http.StatusBadRequest, Code: denial.CodeBadBody,
			Message: "The request's body broke off or is not well-formed HTTP; nothing is wrong with Shopify. Send it again, whole."}
	case errors.As(err, &dial):
		return &denial.Error{Status: http.StatusBadGateway, Code: denial.CodeUpstreamUnreachable,
			Message: "Evergate cannot connect to " + shop.Base.Host + "; nothing was sent: " + dial.Error()}
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return &denial.Error{Status: http.StatusGatewayTimeout, Code: denial.CodeUpstreamTimeout,
			Message: "Shopify did not answer in time. Whether it carried the request out is not known: look before sending a change again."}
	}
	return &denial.Error{Status: http.StatusBadGateway, Code: denial.CodeUpstreamUnreachable,
		Message: "The connection to " + shop.Base.Host + " broke. Whether Shopify carried the request out is not known: " +
			"look before sending a change again. (" + netfail.Say(err) + ")"}
}

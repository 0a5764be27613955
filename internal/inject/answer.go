package inject

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"evergate/internal/guard"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// The codes of Evergate's own answers, beside those of package guard. They go out in
// X-Evergate-Error.
const (
	CodeBadBody             = "bad_request_body"
	CodeNoToken             = "no_token"
	CodeUpstreamUnreachable = "upstream_unreachable"
	CodeUpstreamTimeout     = "upstream_timeout"
)

// failures and replays are the reasons that the metrics know.
var (
	failures = []string{CodeBadBody, CodeNoToken, CodeUpstreamUnreachable, CodeUpstreamTimeout}
	replays  = []string{"401", "429", "throttled"}
)

// statusClientGone is what a request counts as whose client went away; nothing is sent.
const statusClientGone = 499

// fail answers for an error of the request path and returns the status to count and the
// code. It is the only place that turns errors into statuses.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) (status int, code string) {
	if r.Context().Err() != nil {
		return statusClientGone, ""
	}
	refusal := h.classify(err)
	h.opt.Metrics.Failed(refusal.Code)
	var unavailable *token.UnavailableError
	if errors.As(err, &unavailable) {
		w.Header().Set("Retry-After", strconv.Itoa(retrySeconds(unavailable.RetryAfter)))
	}
	h.opt.Log.WarnContext(r.Context(), "request failed", "code", refusal.Code, "status", refusal.Status, "err", err)
	refusal.Answer(w)
	return refusal.Status, refusal.Code
}

func (h *Handler) classify(err error) guard.Refusal {
	var unavailable *token.UnavailableError
	var dial *upstream.DialError
	var network net.Error
	switch {
	case errors.As(err, &unavailable):
		return guard.Refusal{Status: http.StatusServiceUnavailable, Code: CodeNoToken,
			Message: "Evergate has no usable access token for " + h.opt.Shop.Domain() + " now: " + unavailable.Err.Error()}
	case errors.Is(err, errClientBody):
		return guard.Refusal{Status: http.StatusBadRequest, Code: CodeBadBody,
			Message: "The request's body broke off or is not well-formed HTTP; nothing is wrong with Shopify. Send it again, whole."}
	case errors.As(err, &dial):
		return guard.Refusal{Status: http.StatusBadGateway, Code: CodeUpstreamUnreachable,
			Message: "Evergate cannot connect to " + h.opt.Base.Host + "; nothing was sent: " + dial.Error()}
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return guard.Refusal{Status: http.StatusGatewayTimeout, Code: CodeUpstreamTimeout,
			Message: "Shopify did not answer in time. Whether it carried the request out is not known: look before sending a change again."}
	}
	return guard.Refusal{Status: http.StatusBadGateway, Code: CodeUpstreamUnreachable,
		Message: "The connection to " + h.opt.Base.Host + " broke. Whether Shopify carried the request out is not known: " +
			"look before sending a change again. (" + err.Error() + ")"}
}

// retrySeconds rounds up, because several clients read Retry-After as an integer and take
// 0 for "at once".
func retrySeconds(d time.Duration) int {
	return max(1, int(math.Ceil(d.Seconds())))
}

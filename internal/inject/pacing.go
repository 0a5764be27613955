package inject

import (
	"errors"
	"net/http"

	"evergate/internal/guard"
	"evergate/internal/pace"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// forward sends the request when the rate limit has room for it and returns Shopify's
// answer. A refusal for the rate limit means that nothing was carried out, so the request
// waits and is sent again if its body can be, as long as it may wait at all.
func (h *Handler) forward(r *http.Request, body *upload, p guard.Passage, v *visit) (*http.Response, error) {
	// Nobody queues for a call that cannot be made: while there is a token this is an atomic load.
	if _, err := h.opt.Tokens.Token(r.Context()); err != nil {
		return nil, err
	}
	reservation := h.opt.Pace.Reserve(p.Target.API, callerOf(r, p), body.whole)
	for {
		waited, err := reservation.Wait(r.Context())
		v.waited += waited
		if err != nil {
			return nil, err
		}
		resp, err := h.authorised(r, body, p, v)
		if err != nil {
			reservation.Cancel(wasSent(err))
			return nil, err
		}
		var again bool
		resp.Body, again = reservation.Observe(pace.Answer{Status: resp.StatusCode, Header: resp.Header, Body: resp.Body, Length: resp.ContentLength})
		if !again || !body.rewind(r.Context()) {
			return resp, nil
		}
		_ = resp.Body.Close()
		h.opt.Metrics.Replayed(refusalOf(resp))
		v.span.Replayed(refusalOf(resp))
	}
}

// callerOf tells callers apart for the sake of fairness.
func callerOf(r *http.Request, p guard.Passage) any {
	if p.Caller.Key != nil {
		return p.Caller.Key
	}
	return r.RemoteAddr // the server has been told nothing of connections
}

func wasSent(err error) bool {
	var unavailable *token.UnavailableError
	var dial *upstream.DialError
	return !errors.As(err, &unavailable) && !errors.As(err, &dial)
}

// refusalOf is the reason as the metrics call it: GraphQL's refusal has the status 200.
func refusalOf(resp *http.Response) string {
	if resp.StatusCode == http.StatusTooManyRequests {
		return "429"
	}
	return "throttled"
}

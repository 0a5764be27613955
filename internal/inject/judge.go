package inject

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/denial"
	"evergate/internal/guard"
	"evergate/internal/metrics"
	"evergate/internal/policy"
	"evergate/internal/prefixed"
	"evergate/internal/request"
	"evergate/internal/shopify"
)

// takeOver takes over r's body. Where the caller's policy depends on what is in it, it is
// read whole and judged before anything is sent, whatever the size of the replay buffer.
func (h *Handler) takeOver(r *http.Request, p *guard.Passage) (*upload, error) {
	if !p.NeedsBody() {
		return newUpload(r, h.opt.ReplayBuffer)
	}
	body, whole, err := readForJudgement(r)
	if err != nil {
		return nil, errClientBody
	}
	if err := p.JudgeBody(request.Header(r.Header), body, whole); err != nil {
		return nil, err
	}
	if whole && len(body) > 0 {
		return &upload{whole: body, declared: int64(len(body))}, nil
	}
	// On a copy: net/http closes a connection gently only if the body is the one that it made.
	again := *r
	again.Body = &prefixed.Body{Prefix: body, Rest: r.Body}
	return newUpload(&again, h.opt.ReplayBuffer)
}

// readForJudgement reads a body up to the size that is judged, and a byte more of one that
// is longer and has not said so.
func readForJudgement(r *http.Request) (body []byte, whole bool, _ error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0:
		return nil, true, nil
	case r.ContentLength > policy.LargestJudgedBody:
		return nil, false, nil
	case r.ContentLength > 0:
		body = make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, body)
		return body, true, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, policy.LargestJudgedBody+1))
	if err != nil || len(body) <= policy.LargestJudgedBody {
		return body, true, err
	}
	return body, false, nil
}

// refuse answers for a request that may not pass. The log has the code and the route, not the
// message, which repeats a part of the request: Shopify's paths name customers.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, p guard.Passage, v *visit, refusal *denial.Error) {
	v.status, v.code = refusal.Status, refusal.Code
	h.opt.Metrics.Denied(refusal.Code)
	h.opt.Metrics.CallerServed(p.Caller.Name, metrics.Denied)
	if refusal.AboutCaller() && h.told.first(p.Caller.Name, refusal.Code, v.route) {
		h.opt.Log.InfoContext(r.Context(), "denied", "caller", p.Caller.Name, "code", refusal.Code, "route", v.route.String())
	}
	refusal.Answer(w)
	swallow(w, r)
}

// largestSwallowed and swallowWithin bound what is read of a body that nobody wants.
const (
	largestSwallowed = 4 << 20
	swallowWithin    = 5 * time.Second
)

// swallow sends the answer and reads what is left of the body. Many clients look for an
// answer only after they have sent everything, and a connection that is closed with bytes
// unread can lose the answer on its way; net/http cares for that in some cases only.
func swallow(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.Header["Expect"] != nil {
		return // what a client has asked leave for it does not send
	}
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(swallowWithin)) // the server sets its own for the next request
	_, _ = io.CopyN(io.Discard, r.Body, largestSwallowed)                            // nobody is left to tell
}

// admitted counts a request that passes, and says what would have been refused.
func (h *Handler) admitted(r *http.Request, p guard.Passage, route shopify.Route) {
	var reported *denial.Error
	if !errors.As(p.Reported, &reported) {
		h.opt.Metrics.CallerServed(p.Caller.Name, metrics.Passed)
		return
	}
	h.opt.Metrics.CallerServed(p.Caller.Name, metrics.Reported)
	if h.told.first(p.Caller.Name, reported.Code, route) {
		h.opt.Log.WarnContext(r.Context(), "reported: this policy would refuse it", "caller", p.Caller.Name, "code", reported.Code,
			"route", route.String())
	}
}

// toldOf remembers what has been logged of refusals, so that a client that is refused all
// day does not fill the log. Its keys are from closed lists, so it does not grow.
type toldOf struct{ at sync.Map }

type refusedThing struct {
	caller, code string
	route        shopify.Route
}

// sayAgain is how long the log is silent about a caller, a code and a route it has named.
const sayAgain = time.Hour

func (s *toldOf) first(caller, code string, route shopify.Route) bool {
	v, _ := s.at.LoadOrStore(refusedThing{caller, code, route}, new(atomic.Int64))
	last, now := v.(*atomic.Int64), time.Now().UnixNano()
	before := last.Load()
	return (before == 0 || now-before >= int64(sayAgain)) && last.CompareAndSwap(before, now)
}

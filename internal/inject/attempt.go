package inject

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"evergate/internal/clock"
	"evergate/internal/pace"
	"evergate/internal/prefixed"
	"evergate/internal/shopify"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// reason is why a request is sent once more, as the metrics call it. Each of them but the last means
// that Shopify did not carry the request out.
type reason string

const (
	never           reason = ""
	unauthorized    reason = "401"       // the token is replaced; the reservation stays, because nothing was counted
	tooManyRequests reason = "429"       // the request waits until the rate limit has room
	throttled       reason = "throttled" // likewise; GraphQL's refusal has the status 200
	stalled         reason = "stalled"   // a safe request's connection is silent, see upstream
)

// Stalled is the reason for which upstream sends a request once more.
const Stalled = string(stalled)

// replays are the reasons that the metrics announce.
var replays = []string{string(unauthorized), string(tooManyRequests), string(throttled), string(stalled)}

// roundTrip returns Shopify's answer. It is the one loop of attempts: each has a token,
// reserves its place at the rate limit, sends, and learns from the answer whether there is a
// reason for another.
func (h *Handler) roundTrip(rec *record) (*http.Response, error) {
	ctx := rec.in.Context()
	// Nobody queues for a call that cannot be made: while there is a token this is an atomic load.
	tok, err := rec.shop.Tokens.Token(ctx)
	if err != nil {
		return nil, err
	}
	rec.reservation = rec.shop.Pace.Reserve(rec.passage.Target.API, rec.caller(), rec.body.whole)
	for why := never; ; {
		if why != unauthorized {
			if tok, err = h.reserve(rec, tok); err != nil {
				return nil, err
			}
		}
		resp, err := h.attempt(rec, tok)
		if err != nil {
			rec.reservation.Cancel(wasSent(err))
			return nil, err
		}
		if why, tok, err = h.learn(rec, resp, tok); why == never {
			return resp, err
		}
		h.opt.Metrics.Replayed(string(why))
		rec.span.Replayed(string(why))
	}
}

// reserve waits for the rate limit and returns the token that is usable afterwards, which is tok where nothing was waited for: neither here nor for an answer.
func (h *Handler) reserve(rec *record, tok token.Token) (token.Token, error) {
	waited, err := rec.reservation.Wait(rec.in.Context())
	rec.waited += waited
	switch {
	case err != nil:
		return token.Token{}, err
	case waited == 0 && rec.out == nil:
		return tok, nil
	}
	if tok, err = rec.shop.Tokens.Token(rec.in.Context()); err != nil {
		rec.reservation.Cancel(false)
	}
	return tok, err
}

// attempt sends the request once.
func (h *Handler) attempt(rec *record, tok token.Token) (*http.Response, error) {
	out := h.outgoing(rec)
	rec.body.attach(out)
	rec.body.lent = rec.body.lent || rec.out != nil // to an attempt of which nobody asks
	span := rec.span.Send(out.Method, out.Header)
	out.setToken(tok)
	began := clock.Mono()
	rec.underway = true
	resp, err := h.opt.Transport.RoundTrip(&out.Request)
	rec.underway, rec.out = err != nil && wasSent(err), out
	if err != nil {
		span.Failed()
		if rec.body.failed() {
			return nil, errClientBody
		}
		return nil, err
	}
	span.Answered(resp.StatusCode)
	if resp.StatusCode < 200 || resp.StatusCode > 999 {
		_ = resp.Body.Close() // a switch of protocols nobody asked for, or no status at all
		return nil, statusError(resp.StatusCode)
	}
	h.opt.Metrics.UpstreamAnsweredInTrace(rec.span.TraceID(), rec.route, time.Duration(clock.Mono()-began))
	h.opt.Metrics.APIAnswered(rec.passage.Target.Version, first(resp.Header[shopify.HeaderAPIVersion]))
	h.deprecations.look(resp.Header, rec.passage.Target)
	return resp, nil
}

// statusError is an answer whose status is none.
type statusError int

func (s statusError) Error() string { return s.Plain() }

// Plain says that the text quotes nothing.
func (s statusError) Plain() string {
	return fmt.Sprintf("the answer has the status %d, which is none", int(s))
}

// learn says why the request is to be sent again, and with which token: a request is sent again
// for one 401, and a second stands, whatever came between, see refuse. If it is never again, resp is the answer, or there is an error and resp is closed.
func (h *Handler) learn(rec *record, resp *http.Response, tok token.Token) (reason, token.Token, error) {
	ctx := rec.in.Context()
	switch {
	case resp.StatusCode != http.StatusUnauthorized:
		rec.shop.Tokens.Accepted(tok)
		switch {
		case resp.StatusCode == http.StatusForbidden:
			h.watchForbidden(rec, resp, tok)
		case resp.StatusCode < 300 && rec.shop.Unexplained != nil:
			rec.shop.Unexplained.succeeded(rec.route)
		}
	case rec.refuse(tok):
		next, err := rec.shop.Tokens.Replace(ctx, tok)
		if isUnavailable(err) { // the token ended on its way, and there is no other yet: that is no 401
			_ = resp.Body.Close()
			rec.reservation.Cancel(false)
			return never, tok, err
		}
		if err == nil && bufferResponse(resp) && rec.body.rewind(ctx) {
			return unauthorized, next, nil
		}
	}
	var again bool
	resp.Body, again = rec.reservation.Observe(pace.Answer{Status: resp.StatusCode, Header: resp.Header, Body: resp.Body, Length: resp.ContentLength})
	if !again || !rec.body.rewind(ctx) {
		return never, tok, nil
	}
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusTooManyRequests {
		return tooManyRequests, tok, nil
	}
	return throttled, tok, nil
}

func isUnavailable(err error) bool {
	_, unavailable := errors.AsType[*token.UnavailableError](err)
	return unavailable
}

// wasSent reports whether Shopify may have got the request of an attempt that failed.
func wasSent(err error) bool {
	_, notConnected := errors.AsType[*upstream.DialError](err)
	return !isUnavailable(err) && !notConnected
}

// largest401 bounds what is kept of a 401's body while its request is tried again.
const largest401 = 64 << 10

// bufferResponse reads the body of a 401, which is short, so that the connection is free and the
// answer can still be passed on if the request cannot be sent again. It reports false for
// a body that is not short or does not come.
func bufferResponse(resp *http.Response) bool {
	kept := prefixed.Read(resp.Body, largest401+1)
	resp.Body = kept
	if !kept.Whole() {
		return false
	}
	_ = kept.Rest.Close()
	kept.Rest = http.NoBody
	return true
}

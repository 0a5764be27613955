// Package grant obtains tokens: one file per grant, none of which keeps state, and one
// POST (endpoint.go) that all of them share. authorize.go and sessiontoken.go judge what
// comes back through a browser before any of it is sent on.
//
// Invariants: one call is one POST, never retried here, and a second one only where Shopify
// refused the client itself and the client has another secret (secrets.go): a refused client
// was granted nothing and has spent nothing. A secret travels in the body only, never in a
// URL, a log or an error. An error of a POST carries a decision (token.ErrTransient,
// token.ErrConfig, token.ErrReauthorize) and a sentence that says what to do, and never the
// response's body, because some of Shopify's error pages echo the client id.
package grant

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"evergate/internal/netfail"
	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// postTimeout bounds one POST. Shopify's edge waits up to 120 s for its origin, but a token
// that takes that long is better asked for again.
const postTimeout = 30 * time.Second

// Endpoint is one shop's token endpoint. Its fields are set once; its methods are safe
// for concurrent use.
type Endpoint struct {
	// API makes the POST, to the shop whose tokens are asked for.
	API *shopify.Client
	// Client names the app for the next POST. It is called for every POST, so that a
	// secret that was rotated on disk is picked up without a restart.
	Client func() (Client, error)
	// Previous, if set, names the app's other secret while its secrets are being rotated, or
	// an empty one. It is called for every POST and is needed only where the first is refused.
	Previous func() (token.Secret, error)
	// ClockSkew, if set, is told Shopify's clock minus ours after each answer that has a
	// Date header. The header counts whole seconds, so the figure is good to a second or so.
	ClockSkew func(time.Duration)

	refused atomic.Pointer[refusedSecret]
}

// send makes the POST and returns the answer of a 200. Any other outcome is an error that
// wraps one of the decisions of package token.
func (e *Endpoint) send(ctx context.Context, params url.Values, own reading) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, postTimeout, errNoAnswer)
	defer cancel()
	posted, err := e.API.PostToken(ctx, params)
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return answer{}, token.Decide(token.ErrConfig, remedy.New("name its authority's certificate in EVERGATE_UPSTREAM_CA_FILE, or mend EVERGATE_UPSTREAM_URL",
			"the certificate of %s is not trusted (%w)", e.API.Base.Host, err))
	case posted == nil:
		return answer{}, token.Decide(token.ErrTransient, fmt.Errorf("token endpoint: %w", cause(ctx, err)))
	}
	e.noteClock(posted)
	if posted.Status != http.StatusOK {
		return answer{}, e.failure(posted, own)
	}
	if err != nil {
		return answer{}, token.Decide(token.ErrTransient, fmt.Errorf("token endpoint: the answer broke off: %w", cause(ctx, netfail.Plain(err))))
	}
	a, err := parseAnswer(posted.Body)
	if err != nil {
		return answer{}, token.Decide(token.ErrTransient, fmt.Errorf("token endpoint: %w", err))
	}
	a.sent = posted.Sent
	return a, nil
}

var errNoAnswer = errors.New("no answer within 30 seconds")

// cause prefers our own word for a time-out over "context deadline exceeded".
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && errors.Is(c, errNoAnswer) {
		return c
	}
	return err
}

// noteClock tells how Shopify's clock stands, where an answer says so.
func (e *Endpoint) noteClock(a *shopify.Answer) {
	if e.ClockSkew == nil {
		return
	}
	if ahead, ok := shopify.ClockAhead(a.Sent, a.Received, a.Header); ok {
		e.ClockSkew(ahead)
	}
}

// failure turns an answer other than 200 into an EndpointError. The grants' own readings
// come before what a refusal means to all of them.
func (e *Endpoint) failure(a *shopify.Answer, own ...reading) error {
	contentType, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	_, isJSON := parseJSONFailure(a.Body)
	r := refusal{said: parseFailure(contentType, a.Body), status: a.Status, json: isJSON}
	wait := shopify.ParseRetryAfter(a.Header.Get("Retry-After"), time.Now())
	return newEndpointError(a.Status, r.code, wait, judge(e.API, r, a.Header.Get("Location"), own...))
}

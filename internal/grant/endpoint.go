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
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

const (
	// endpointPath is the one token endpoint of every grant; it has no API version.
	endpointPath = "/admin/oauth/access_token"
	// postTimeout bounds one POST. Shopify's edge waits up to 120 s for its origin, but
	// a token that takes that long is better asked for again.
	postTimeout = 30 * time.Second
	// maxAnswer bounds what is read of an answer. A token is under 1 KiB, an error page
	// under 100 KiB.
	maxAnswer = 1 << 20
)

// Endpoint is one shop's token endpoint. Its fields are set once; its methods are safe
// for concurrent use.
type Endpoint struct {
	// Shop is the store whose tokens are asked for; its domain is the Host sent.
	Shop token.Shop
	// Base is where to connect: scheme and authority, no path.
	Base *url.URL
	// Transport carries the POST. It must not follow redirects or retry by itself.
	Transport http.RoundTripper
	// Client names the app for the next POST. It is called for every POST, so that a
	// secret that was rotated on disk is picked up without a restart.
	Client func() (Client, error)
	// Previous, if set, names the app's other secret while its secrets are being rotated, or
	// an empty one. It is called for every POST and is needed only where the first is refused.
	Previous func() (token.Secret, error)
	// UserAgent is sent with every POST.
	UserAgent string
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
	req, err := e.request(ctx, params)
	if err != nil {
		return answer{}, token.Decide(token.ErrConfig, err)
	}
	sent := time.Now()
	resp, err := e.Transport.RoundTrip(req)
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return answer{}, token.Decide(token.ErrConfig, remedy.New("name its authority's certificate in EVERGATE_UPSTREAM_CA_FILE, or mend EVERGATE_UPSTREAM_URL", "the certificate of %s is not trusted (%w)", e.Base.Host, err))
	}
	if err != nil {
		return answer{}, token.Decide(token.ErrTransient, fmt.Errorf("token endpoint: %w", cause(ctx, err)))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	e.noteClock(sent, time.Now(), resp.Header)
	if resp.StatusCode != http.StatusOK {
		return answer{}, e.failure(resp, body, own)
	}
	if err != nil {
		return answer{}, token.Decide(token.ErrTransient, fmt.Errorf("token endpoint: the answer broke off: %w", cause(ctx, err)))
	}
	a, err := parseAnswer(body)
	if err != nil {
		return answer{}, token.Decide(token.ErrTransient, fmt.Errorf("token endpoint: %w", err))
	}
	a.sent = sent
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

func (e *Endpoint) request(ctx context.Context, params url.Values) (*http.Request, error) {
	target := *e.Base
	target.Path = endpointPath
	// A form body, not JSON: the endpoint takes both for every grant, and the form is the
	// encoding that RFC 6749 requires of it.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(params.Encode()))
	if err != nil {
		return nil, err
	}
	req.Host = e.Shop.Domain()
	// Without GetBody no transport can send the body twice: a second POST is ours to decide.
	req.GetBody = nil
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", e.UserAgent)
	return req, nil
}

// noteClock tells how Shopify's clock stands, where an answer says so.
func (e *Endpoint) noteClock(sent, received time.Time, h http.Header) {
	if e.ClockSkew == nil {
		return
	}
	if ahead, ok := shopify.ClockAhead(sent, received, h); ok {
		e.ClockSkew(ahead)
	}
}

// failure turns an answer other than 200 into an EndpointError. The grants' own readings
// come before what a refusal means to all of them.
func (e *Endpoint) failure(resp *http.Response, body []byte, own ...reading) error {
	contentType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	_, isJSON := parseJSONFailure(body)
	r := refusal{said: parseFailure(contentType, body), status: resp.StatusCode, json: isJSON}
	wait := shopify.ParseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	return newEndpointError(resp.StatusCode, r.code, wait, judge(e.Shop, r, resp.Header.Get("Location"), own...))
}

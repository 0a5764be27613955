// Package denial is how Evergate says no to tools: one error for every answer of its own, the closed
// list of its codes, and the one function that writes it.
//
// Invariants: a code is a value of X-Evergate-Error and of a metric's label, so it comes from
// the list below; a message holds nothing of a request but what was quoted and cut short, and
// never a secret.
package denial

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"evergate/internal/brief"
)

// The codes of requests that may not pass.
const (
	CodeAmbiguousRequest = "ambiguous_request"
	CodeAmbiguousPath    = "ambiguous_path"
	CodeDeniedPath       = "denied_path"
	CodeDeniedMethod     = "denied_method"
	CodeDeniedConnect    = "denied_connect"
	CodeMisdirectedHost  = "misdirected_host"
	CodeUnknownShop      = "unknown_shop"
	CodeCrossSite        = "cross_site"

	CodeUnauthenticated  = "unauthenticated"
	CodeDeniedPeer       = "denied_peer"
	CodeDeniedShop       = "denied_shop"
	CodeReadOnly         = "read_only"
	CodeDeniedOperation  = "denied_operation"
	CodeAmbiguousMethod  = "ambiguous_method"
	CodeAmbiguousGraphQL = "ambiguous_graphql"
	CodeMalformedGraphQL = "malformed_graphql"
	CodeGraphQLTooLarge  = "graphql_too_large"
)

// The codes of requests that may pass and cannot be answered.
const (
	CodeBadBody             = "bad_request_body"
	CodeMemoryBudget        = "memory_budget"
	CodeNoToken             = "no_token"
	CodeRateLimitQueueFull  = "rate_limit_queue_full"
	CodeTooManyConnections  = "too_many_connections"
	CodeUpstreamUnreachable = "upstream_unreachable"
	CodeUpstreamTimeout     = "upstream_timeout"
	CodeStopping            = "stopping" // on every listener
)

// The codes of the other listeners: those for operators and for merchants.
const (
	CodeNotFound         = "not_found"
	CodeMethodNotAllowed = "method_not_allowed"
	CodeNotLocal         = "not_local"
	CodeTooManyPages     = "too_many_pages"
	CodeInvalidLogLevel  = "invalid_log_level"
	CodeRefreshFailed    = "refresh_failed"
	CodeMetricsFailed    = "metrics_failed"
	CodeNoLocalCA        = "no_local_ca"
	CodeWrongGrant       = "wrong_grant"

	CodeInvalidSessionToken = "invalid_session_token"
	CodeLoginRefused        = "login_refused"
	CodeLoginFailed         = "login_failed"
)

// Header tells a client, and a person who reads its log, that an answer is Evergate's own and
// not Shopify's. Its value is a code.
const Header = "X-Evergate-Error"

// Error is an answer of Evergate's own that is not a success.
type Error struct {
	// Status is the HTTP status to answer with; 200 has the answer in GraphQL's shape, for an
	// operation that is well understood and not allowed.
	Status int
	// Code is one of the constants.
	Code string
	// Message says what happened and what to do.
	Message string
	// RetryAfter is when it is worth trying again; zero: nobody knows. It is sent in whole
	// seconds, rounded up, because several clients read an integer and take 0 for "at once".
	RetryAfter time.Duration
}

// New returns an *Error without a RetryAfter.
func New(status int, code, message string) error {
	return &Error{Status: status, Code: code, Message: message}
}

// Of returns the denial that err is or wraps; nil for no error at all. An error of another
// kind is a mistake in the code and still no leave to pass, so it becomes a denial, too.
func Of(err error) *Error {
	var d *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &d):
		return d
	}
	return &Error{Status: http.StatusForbidden, Code: CodeDeniedPath, Message: "Evergate cannot tell whether this request may pass, so it does not."}
}

// Quote makes bytes of a stranger fit for a message: escaped, ASCII and short.
func Quote(s string) string {
	const limit = 80
	if len(s) > limit {
		return strconv.QuoteToASCII(s[:limit]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// AboutCaller reports whether another caller might have passed with the same request.
func (e *Error) AboutCaller() bool {
	switch e.Code {
	case CodeUnauthenticated, CodeDeniedPeer, CodeDeniedShop, CodeReadOnly, CodeDeniedOperation,
		CodeAmbiguousMethod, CodeAmbiguousGraphQL, CodeMalformedGraphQL, CodeGraphQLTooLarge:
		return true
	}
	return false
}

// longestMessage is in bytes. A message may hold what an upstream decides, such as the names in its certificate.
const longestMessage = 2 << 10

// Answer sends the denial. Its JSON has the shape of Shopify's own errors, because that is the
// one that clients parse.
func (e *Error) Answer(w http.ResponseWriter) {
	short := *e
	short.Message = brief.Text(e.Message, longestMessage)
	body, err := json.Marshal(short.body())
	if err != nil {
		body = []byte(`{"errors":"refused"}`) // strings always encode; this cannot happen
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set(Header, e.Code)
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(body)
}

type graphQLError struct {
	Message    string            `json:"message"`
	Extensions map[string]string `json:"extensions"`
}

// body is what Shopify's GraphQL answers, with status 200, to an operation that the token
// does not allow; anything else has the shape that both of its APIs use.
func (e *Error) body() any {
	if e.Status == http.StatusOK {
		return map[string]any{"errors": []graphQLError{{e.Message, map[string]string{"code": "ACCESS_DENIED"}}}}
	}
	return map[string]string{"errors": e.Message}
}

package shopsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kind is what goes wrong.
type Kind string

// The kinds of fault.
const (
	FaultNone      Kind = ""           // nothing; what most requests meet
	FaultStatus    Kind = "status"     // answer with Status instead
	FaultDrop      Kind = "drop"       // break the connection without an answer
	FaultDelay     Kind = "delay"      // only wait Delay
	FaultSlowBody  Kind = "slow_body"  // header at once, then the body in Chunks with Pause between
	FaultTruncate  Kind = "truncate"   // the first half of the body, as a complete answer
	FaultCut       Kind = "cut"        // the first half of the body, then the connection breaks
	FaultEmpty     Kind = "empty"      // 200 without a body
	FaultHTML      Kind = "html"       // 200 with a web page
	FaultRedirect  Kind = "redirect"   // 301 to Location
	FaultExpiresIn Kind = "expires_in" // token endpoint: another value for expires_in
)

// Endpoint is where a fault strikes.
type Endpoint string

// The parts of Shopify that can break separately.
const (
	AnyEndpoint   Endpoint = ""
	TokenEndpoint Endpoint = "token"
	API           Endpoint = "api" // everything but the token endpoint
	REST          Endpoint = "rest"
	GraphQL       Endpoint = "graphql"
)

// Fault makes something go wrong for the requests that it matches. A request
// meets at most one fault: the first injected that matches and has not run out.
type Fault struct {
	// Kind is what goes wrong. Required.
	Kind Kind

	// Endpoint, Grant, Method and Shop limit which requests are hit; Grant to
	// token requests that ask for it. Default: all.
	Endpoint Endpoint
	Grant    Grant
	Method   string
	Shop     string

	// Count is how many requests are hit before the fault is over. 0: all, until cleared.
	Count int

	// Skip lets that many matching requests through first.
	Skip int

	// Probability hits a share of the matching requests, chosen by the seeded
	// generator. 0: all of them.
	Probability float64

	// AfterCommit lets the request take effect first: the token is minted, the
	// product created, and only the answer is lost. It matters to Kinds status,
	// drop, delay, empty, html and redirect.
	AfterCommit bool

	// Delay is waited before the header of the answer; before the effect too
	// unless AfterCommit. It goes with any Kind.
	Delay time.Duration

	// Status is the status of FaultStatus (required) and FaultRedirect (301).
	Status int

	// Body and ContentType replace the default body of FaultStatus.
	Body        string
	ContentType string

	// RetryAfter is sent as it is; RetryAfterDate as an HTTP date that far ahead.
	RetryAfter     string
	RetryAfterDate time.Duration

	// Location is where FaultRedirect points. Default: the same path on another host.
	Location string

	// Chunks and Pause shape FaultSlowBody. Default: 4 and one second.
	Chunks int
	Pause  time.Duration

	// ContentLength has FaultSlowBody announce the length at once.
	ContentLength bool

	// ExpiresIn is the JSON that FaultExpiresIn sends, such as 0, -1, "86399",
	// 3600.5, 1e300 or null. Empty: the member is missing.
	ExpiresIn string
}

// armedFault is an injected fault with what is left of it.
type armedFault struct {
	Fault
	id   int
	skip int
	left int // -1: no end
	hits int
}

// Validate reports everything that is wrong with the fault at once.
func (f Fault) Validate() error {
	var errs []error
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(!slices.Contains([]Kind{FaultStatus, FaultDrop, FaultDelay, FaultSlowBody, FaultTruncate, FaultCut,
		FaultEmpty, FaultHTML, FaultRedirect, FaultExpiresIn}, f.Kind), "fault kind %q does not exist: want status, drop, "+
		"delay, slow_body, truncate, cut, empty, html, redirect or expires_in", f.Kind)
	bad(!slices.Contains([]Endpoint{AnyEndpoint, TokenEndpoint, API, REST, GraphQL}, f.Endpoint),
		"endpoint %q does not exist: want token, api, rest, graphql or nothing", f.Endpoint)
	bad(f.Grant != "" && f.Endpoint != AnyEndpoint && f.Endpoint != TokenEndpoint,
		"a fault with a grant can only strike the token endpoint")
	bad(f.Kind == FaultStatus && (f.Status < 200 || f.Status > 999), "status %d: want 200 to 999", f.Status)
	bad(f.Kind == FaultRedirect && f.Status != 0 && f.Status/100 != 3, "status %d: a redirect wants 3xx", f.Status)
	bad(f.Kind == FaultDelay && f.Delay == 0, "a delay fault needs a delay")
	bad(f.Count < 0 || f.Skip < 0 || f.Chunks < 0, "count, skip and chunks must not be negative")
	bad(f.Delay < 0 || f.Pause < 0, "delay and pause must not be negative")
	bad(f.Probability < 0 || f.Probability > 1, "probability %g: want 0 to 1", f.Probability)
	bad(f.Kind == FaultExpiresIn && f.Endpoint != AnyEndpoint && f.Endpoint != TokenEndpoint,
		"an expires_in fault can only strike the token endpoint")
	bad(f.ExpiresIn != "" && !json.Valid([]byte(f.ExpiresIn)), "expires_in %q is not JSON", f.ExpiresIn)
	return errors.Join(append(errs, oneOf("grant", f.Grant, GrantClientCredentials, GrantCode, GrantRefresh,
		GrantExchange, GrantMigration), headerSafe("retry_after", f.RetryAfter), headerSafe("location", f.Location),
		headerSafe("content_type", f.ContentType))...)
}

// Inject arms a fault. It panics on one that Validate refuses and on an unknown
// shop: a test whose fault never strikes would pass for the wrong reason.
func (s *Sim) Inject(f Fault) {
	if err := f.Validate(); err != nil {
		panic(fmt.Sprintf("shopsim: %v", err))
	}
	if _, err := s.arm(f); err != nil {
		panic(fmt.Sprintf("shopsim: %v", err))
	}
}

// arm adds a valid fault and returns its number.
func (s *Sim) arm(f Fault) (id int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.findShop(f.Shop); err != nil {
		return 0, err
	}
	st := s.state
	st.faultSeq++
	a := &armedFault{Fault: f, id: st.faultSeq, skip: f.Skip, left: f.Count}
	if f.Count == 0 {
		a.left = -1
	}
	st.faults = append(st.faults, a)
	return a.id, nil
}

// ClearFaults removes all faults.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.faults = nil
}

// pickFault takes the first fault that wants this request; the zero Fault if none does.
func (st *state) pickFault(q *request) Fault {
	for i, a := range st.faults {
		if !a.matches(q) {
			continue
		}
		if a.skip > 0 {
			a.skip--
			continue
		}
		if a.Probability > 0 && st.rng.Float64() >= a.Probability {
			continue
		}
		a.hits++
		if a.left--; a.left == 0 {
			st.faults = slices.Delete(st.faults, i, i+1)
		}
		return a.Fault
	}
	return Fault{}
}

func (f Fault) matches(q *request) bool {
	if f.Method != "" && !strings.EqualFold(f.Method, q.Method) {
		return false
	}
	if f.Shop != "" && (q.shop == nil || q.shop.domain != shopDomain(f.Shop)) {
		return false
	}
	if f.Grant != "" && f.Grant != q.grant {
		return false
	}
	switch f.Endpoint {
	case TokenEndpoint:
		return q.route.name == routeToken
	case API:
		return q.route.name != routeToken
	case REST:
		return q.route.isREST()
	case GraphQL:
		return q.route.name == routeGraphQL
	}
	return f.Kind != FaultExpiresIn || q.route.name == routeToken
}

// before is the answer of a fault that keeps the request from taking effect;
// nil if the request is to be processed.
func (f Fault) before(q *request) *response {
	if f.AfterCommit {
		return nil
	}
	return f.instead(q)
}

// after turns the true answer into what the fault makes of it.
func (f Fault) after(q *request, answer *response) *response {
	if resp := f.instead(q); resp != nil {
		return resp
	}
	if f.Kind == FaultTruncate {
		answer.body = answer.body[:len(answer.body)/2]
	}
	return answer
}

// instead is the answer that takes the place of the true one, nil if the true
// one is sent in some form.
func (f Fault) instead(q *request) *response {
	var resp *response
	switch f.Kind {
	case FaultDrop:
		return &response{}
	case FaultStatus:
		resp = f.statusAnswer(q)
	case FaultEmpty:
		resp = newResponse(http.StatusOK, "application/json; charset=utf-8", nil)
	case FaultHTML:
		resp = htmlPage(http.StatusOK, "Just a moment...", "Checking your browser", "This is not JSON.")
	case FaultRedirect:
		resp = htmlPage(orDefault(f.Status, http.StatusMovedPermanently), "Moved", "Moved", "")
		resp.header.Set("Location", orDefault(f.Location, "https://elsewhere.example"+q.URL.RequestURI()))
	default:
		return nil
	}
	if resp.status < 520 { // beyond that the edge answers, which has not asked Shopify
		resp.header.Set("X-Request-Id", q.id)
	}
	if f.RetryAfter != "" {
		resp.header.Set("Retry-After", f.RetryAfter)
	}
	if f.RetryAfterDate != 0 {
		resp.header.Set("Retry-After", time.Now().Add(f.RetryAfterDate).UTC().Format(http.TimeFormat))
	}
	return resp
}

// statusAnswer has the body that comes with the status in real life: the edge
// talks text, Shopify JSON.
func (f Fault) statusAnswer(q *request) *response {
	var resp *response
	switch {
	case f.Status == http.StatusTooManyRequests && q.route.name == routeToken:
		resp = oauthJSON(f.Status, "too_many_requests", "Too many requests")
	case f.Status == http.StatusTooManyRequests:
		resp = jsonErrors(f.Status, fmt.Sprintf(tooManyCallsText, 2.0))
	case f.Status == http.StatusUnauthorized:
		resp = jsonErrors(f.Status, badTokenText)
	case f.Status == http.StatusInternalServerError:
		resp = jsonErrors(f.Status, "An unexpected error occurred")
	case f.Status >= 502 && f.Status <= 504:
		text := fmt.Sprintf("%d %s", f.Status, http.StatusText(f.Status))
		resp = htmlPage(f.Status, text, text, "cloudflare")
	case f.Status >= 520 && f.Status <= 530:
		resp = newResponse(f.Status, "text/plain; charset=UTF-8", fmt.Appendf(nil, "error code: %d", f.Status))
	default:
		resp = jsonErrors(f.Status, orDefault(http.StatusText(f.Status), "Error"))
	}
	if f.Body != "" {
		resp.body = []byte(f.Body)
	}
	if f.ContentType != "" {
		resp.header.Set("Content-Type", f.ContentType)
	}
	return resp
}

// expiresIn is the value of expires_in in a token answer.
func (f Fault) expiresIn(seconds int64) json.RawMessage {
	if f.Kind != FaultExpiresIn {
		return fmt.Appendf(nil, "%d", seconds)
	}
	return json.RawMessage(f.ExpiresIn)
}

// keepsAnswer tells whether the true answer reaches the client whole.
func (f Fault) keepsAnswer() bool {
	return slices.Contains([]Kind{FaultNone, FaultDelay, FaultSlowBody, FaultExpiresIn}, f.Kind)
}

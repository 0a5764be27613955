package grant

import (
	"encoding/json"
	"errors"
	"html"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"evergate/internal/remedy"
)

// EndpointError is a refusal by the token endpoint. It matches the decision it asks for
// with errors.Is (token.ErrTransient, token.ErrConfig or token.ErrReauthorize), and ErrCode
// or ErrSubjectToken beside it where that is what was refused.
type EndpointError struct {
	// Status is the HTTP status.
	Status int
	// Code is the OAuth error code (RFC 6749 section 5.2, or one of Shopify's), or "".
	Code string
	// RetryAfter is how long Shopify asked us to wait, or zero.
	RetryAfter time.Duration
	// Err says what Shopify answered and what a person must do. It holds nothing of the body.
	Err *remedy.Error

	verdict verdict
}

// newEndpointError makes the error of an answer that was judged.
func newEndpointError(status int, code string, wait time.Duration, v verdict) *EndpointError {
	answer := "token endpoint answered " + strconv.Itoa(status)
	if code != "" {
		answer += " " + code
	}
	if v.what != "" {
		answer += ": " + v.what
	}
	return &EndpointError{
		Status: status, Code: code, RetryAfter: wait, verdict: v,
		Err: &remedy.Error{Err: errors.New(answer), Remedy: v.remedy},
	}
}

// Error implements error.
func (e *EndpointError) Error() string { return e.Err.Error() }

// Unwrap returns what was answered with the remedy beside it.
func (e *EndpointError) Unwrap() error { return e.Err }

// Is reports whether target is the decision this failure asks for, or what was refused.
func (e *EndpointError) Is(target error) bool {
	return target == e.verdict.decision || target == e.verdict.subject
}

// Wait is how long Shopify asked us to wait before the next attempt, or zero.
func (e *EndpointError) Wait() time.Duration { return e.RetryAfter }

// said is what could be read of a failed answer.
type said struct{ code, description string }

// Shopify answers failures as JSON or as a page whose title and text hold
// "Oauth error CODE: SENTENCE", whatever the Accept header asked for. Compiled at the first failure: the counted repetitions
// take 3 ms and 650 KB.
var (
	oauthError = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`Oauth error ([a-z_]{1,64})\b(?::\s*([^<]{0,1000}))?`)
	})
	pageTitle = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?is)<title[^>]*>([^<]{0,200})`) })
	codeShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z_]{1,64}$`) })
)

// parseFailure reads the code and the sentence out of a failed answer of any shape. It
// never fails: what cannot be read is empty.
func parseFailure(contentType string, body []byte) said {
	if s, ok := parseJSONFailure(body); ok {
		return s
	}
	var best said
	text := string(body)
	for _, m := range oauthError().FindAllStringSubmatch(text, -1) {
		if best.code == "" || len(m[1])+len(m[2]) > len(best.code)+len(best.description) {
			best = said{m[1], strings.TrimSpace(html.UnescapeString(m[2]))}
		}
	}
	if best.code != "" {
		return best
	}
	if m := pageTitle().FindStringSubmatch(text); m != nil && contentType != "application/json" {
		return said{description: strings.TrimSpace(html.UnescapeString(m[1]))}
	}
	return said{}
}

// parseJSONFailure reads RFC 6749's {"error","error_description"} and Shopify's
// {"errors": string or object}.
func parseJSONFailure(body []byte) (said, bool) {
	var v struct {
		Error       json.RawMessage `json:"error"`
		Description json.RawMessage `json:"error_description"`
		Errors      json.RawMessage `json:"errors"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return said{}, false
	}
	s := said{code: jsonString(v.Error), description: jsonString(v.Description)}
	if s.code == "" && s.description == "" {
		s.description = jsonString(v.Errors)
		if m := oauthError().FindStringSubmatch(s.description); m != nil {
			s = said{m[1], strings.TrimSpace(m[2])}
		}
	}
	if !codeShape().MatchString(s.code) {
		s.code = "" // it may be printed, so only a code's own alphabet gets through
	}
	return s, true
}

func jsonString(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

package grant

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"evergate/internal/token"
)

// EndpointError is a refusal by the token endpoint. It matches the decision it asks for
// with errors.Is (token.ErrTransient, token.ErrConfig or token.ErrReauthorize).
type EndpointError struct {
	// Status is the HTTP status.
	Status int
	// Code is the OAuth error code (RFC 6749 section 5.2, or one of Shopify's), or "".
	Code string
	// RetryAfter is how long Shopify asked us to wait, or zero.
	RetryAfter time.Duration

	decision error
	remedy   string
}

// Error says what Shopify answered and what a person must do. It holds nothing of the body.
func (e *EndpointError) Error() string {
	var b strings.Builder
	b.WriteString("token endpoint answered ")
	b.WriteString(strconv.Itoa(e.Status))
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.remedy != "" {
		b.WriteString(": " + e.remedy)
	}
	return b.String()
}

// Is reports whether target is the decision this failure asks for.
func (e *EndpointError) Is(target error) bool { return target == e.decision }

// Wait is how long Shopify asked us to wait before the next attempt, or zero.
func (e *EndpointError) Wait() time.Duration { return e.RetryAfter }

// said is what could be read of a failed answer.
type said struct{ code, description string }

// Shopify answers failures as JSON or as a page whose title and text hold
// "Oauth error CODE: SENTENCE", whatever the Accept header asked for.
var (
	oauthError = regexp.MustCompile(`Oauth error ([a-z_]{1,64})(?::\s*([^<]{0,1000}))?`)
	pageTitle  = regexp.MustCompile(`(?is)<title[^>]*>([^<]{0,200})`)
	codeShape  = regexp.MustCompile(`^[a-z_]{1,64}$`)
)

// parseFailure reads the code and the sentence out of a failed answer of any shape. It
// never fails: what cannot be read is empty.
func parseFailure(contentType string, body []byte) said {
	if s, ok := parseJSONFailure(body); ok {
		return s
	}
	var best said
	text := string(body)
	for _, m := range oauthError.FindAllStringSubmatch(text, -1) {
		if best.code == "" || len(m[1])+len(m[2]) > len(best.code)+len(best.description) {
			best = said{m[1], strings.TrimSpace(html.UnescapeString(m[2]))}
		}
	}
	if best.code != "" {
		return best
	}
	if m := pageTitle.FindStringSubmatch(text); m != nil && contentType != "application/json" {
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
		if m := oauthError.FindStringSubmatch(s.description); m != nil {
			s = said{m[1], strings.TrimSpace(m[2])}
		}
	}
	if !codeShape.MatchString(s.code) {
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

// judge decides what a failure asks for and says it in one sentence for a person. The
// order matters: a code is worth more than a status.
func judge(shop token.Shop, resp *http.Response, s said) (remedy string, decision error) {
	switch {
	case isTransient(resp.StatusCode):
		return "Shopify is busy or erring; this passes by itself", token.ErrTransient
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return redirectRemedy(shop, resp.Header.Get("Location")), token.ErrConfig
	}
	if strings.Contains(s.description, "Could not find Shopify API application") {
		s.code = "application_cannot_be_found" // older wording of the same refusal
	}
	if remedy, ok := codeRemedy(shop, s.code); ok {
		return remedy, token.ErrConfig
	}
	switch resp.StatusCode {
	case http.StatusPaymentRequired, http.StatusForbidden, http.StatusLocked:
		return fmt.Sprintf("%s is frozen, locked or closed: someone with access to its admin must look; this recovers by itself", shop), token.ErrConfig
	case http.StatusNotFound:
		return fmt.Sprintf("there is no shop %s: check SHOPIFY_SHOP", shop), token.ErrConfig
	case http.StatusUnauthorized:
		return "Shopify does not accept this client: check SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET", token.ErrConfig
	}
	return "check SHOPIFY_CLIENT_ID, SHOPIFY_CLIENT_SECRET and that the app is installed on " + shop.Domain(), token.ErrConfig
}

// isTransient reports the statuses that mean "the same again, later": 520 to 530 are the
// edge that gets no answer from its origin.
func isTransient(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// codeRemedy says what a person must do about the code of a client-credentials refusal.
func codeRemedy(shop token.Shop, code string) (string, bool) {
	switch code {
	case "shop_not_permitted":
		return fmt.Sprintf("the app and %s are in different organisations (or the app is not installed there), and client "+
			"credentials work only within one: use the offline grant", shop), true
	case "app_not_installed":
		return fmt.Sprintf("the app is not installed on %s: install it from the Dev Dashboard; this recovers by itself", shop), true
	case "application_cannot_be_found":
		return "no app has this client id: check SHOPIFY_CLIENT_ID (an app made a moment ago takes a little to be known)", true
	case "invalid_request":
		return fmt.Sprintf("the client secret is wrong, or the app is not installed on %s: check SHOPIFY_CLIENT_SECRET, then the installation", shop), true
	case "invalid_client":
		return "the client id and the client secret do not belong together: check SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET", true
	case "unauthorized_client", "unsupported_grant_type":
		return "this app may not use client credentials: use the offline grant", true
	}
	return "", false
}

func redirectRemedy(shop token.Shop, location string) string {
	if u, err := url.Parse(location); err == nil && u.Host != "" && u.Host != shop.Domain() {
		return fmt.Sprintf("%s has moved to %.100q: set SHOPIFY_SHOP to the shop's permanent myshopify.com name", shop, u.Host)
	}
	return fmt.Sprintf("%s redirects: set SHOPIFY_SHOP to the shop's permanent myshopify.com name", shop)
}

// maxRetryAfter bounds what ParseRetryAfter believes.
const maxRetryAfter = 24 * time.Hour

// ParseRetryAfter reads a Retry-After header: seconds, which Shopify writes with decimals
// ("2.0"), or a date (RFC 9110 section 10.2.3). What cannot be read, or lies in the past,
// is zero.
func ParseRetryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if seconds, err := strconv.ParseFloat(v, 64); err == nil {
		if !(seconds > 0) { // also NaN
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	if date, err := http.ParseTime(v); err == nil {
		return min(max(date.Sub(now.Round(0)), 0), maxRetryAfter)
	}
	return 0
}

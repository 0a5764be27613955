package shopify

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The header fields of Shopify's own, in canonical form, so that they are also the keys of
// an http.Header.
const (
	// HeaderAccessToken carries the token of a request.
	HeaderAccessToken = "X-Shopify-Access-Token"
	// HeaderAPIVersion names the version that served an answer.
	HeaderAPIVersion = "X-Shopify-Api-Version"
	// HeaderVersionWarning says that another version served than was asked for.
	HeaderVersionWarning = "X-Shopify-Api-Version-Warning"
	// HeaderDeprecatedReason says that a call is deprecated, and why.
	HeaderDeprecatedReason = "X-Shopify-Api-Deprecated-Reason"
	// HeaderCallLimit tells of REST's rate limit: "32/40".
	HeaderCallLimit = "X-Shopify-Shop-Api-Call-Limit"
)

// nonExpiringRefused stands at the start of the body of a 403.
const nonExpiringRefused = "Non-expiring access tokens are no longer accepted"

// RefusesNonExpiring knows, by its body, the one 403 that is about the kind of token: since
// 2026, and for all public apps from January 2027 on, Shopify refuses tokens that do not
// expire. A compressed body is not looked into.
func RefusesNonExpiring(status int, body []byte) bool {
	return status == http.StatusForbidden && bytes.Contains(body, []byte(nonExpiringRefused))
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

// ClockAhead is Shopify's clock minus ours, by the Date of an answer and the middle of the
// exchange. The header counts whole seconds, so the figure is good to a second or so. False:
// the answer tells no time.
func ClockAhead(sent, received time.Time, h http.Header) (ahead time.Duration, ok bool) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false
	}
	middle := sent.Add(received.Sub(sent) / 2)
	return date.Sub(middle.Round(0)), true
}

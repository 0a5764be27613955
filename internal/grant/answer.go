package grant

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"evergate/internal/token"
)

const (
	// assumedLife is used for a grant that expires when Shopify names no life that can be
	// believed: under the shortest documented one (3600 s), so that we are never late.
	assumedLife = 50 * time.Minute
	minLife     = time.Second
	maxLife     = 366 * 24 * time.Hour
)

// answer is a successful response of the token endpoint.
type answer struct {
	sent      time.Time
	access    token.Secret
	scopes    []string
	expiresIn time.Duration // zero: missing or unbelievable
	expires   bool          // Shopify named an end, believable or not

	refresh        token.Secret  // empty: missing or unusable
	refreshes      bool          // Shopify named a refresh token, usable or not
	refreshExpires time.Duration // zero: missing or unbelievable
}

var (
	errEmpty    = errors.New("a 200 without a body")
	errNotJSON  = errors.New("a 200 whose body is not the JSON of a token")
	errNoAccess = errors.New("a 200 without a usable access_token")

	errNoRefresh = errors.New("an answer without a refresh token, which would end the grant if it were kept")
)

// parseAnswer reads the JSON of a 200. A value of the wrong type is treated as missing,
// because Shopify has been seen to write numbers as strings; only the access token must be right.
func parseAnswer(body []byte) (answer, error) {
	if len(strings.TrimSpace(string(body))) == 0 {
		return answer{}, errEmpty
	}
	var v struct {
		AccessToken    string          `json:"access_token"`
		Scope          json.RawMessage `json:"scope"`
		ExpiresIn      json.RawMessage `json:"expires_in"`
		RefreshToken   json.RawMessage `json:"refresh_token"`
		RefreshExpires json.RawMessage `json:"refresh_token_expires_in"`
	}
	// The decoder's own error is dropped: it may quote the body.
	if err := json.Unmarshal(body, &v); err != nil {
		return answer{}, errNotJSON
	}
	if !isHeaderSafe(v.AccessToken) {
		return answer{}, errNoAccess
	}
	a := answer{
		access:    token.NewSecret(v.AccessToken),
		scopes:    splitScopes(jsonString(v.Scope)),
		expiresIn: parseLife(v.ExpiresIn),
		expires:   isPresent(v.ExpiresIn),

		refreshes:      isPresent(v.RefreshToken),
		refreshExpires: parseLife(v.RefreshExpires),
	}
	if refresh := jsonString(v.RefreshToken); isHeaderSafe(refresh) {
		a.refresh = token.NewSecret(refresh)
	}
	return a, nil
}

// isPresent reports whether a member was there: null says the same as nothing.
func isPresent(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// longestHeaderValue is far longer than any token, and short enough to be sent: it goes with every request.
const longestHeaderValue = 16 << 10

// isHeaderSafe reports whether s can travel as a header's value: visible ASCII, not empty, not too long.
// Nothing else is asked of a token, which is opaque.
func isHeaderSafe(s string) bool {
	if len(s) > longestHeaderValue {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// splitScopes returns nil when Shopify did not say, or more than can be.
func splitScopes(s string) []string {
	if s == "" {
		return nil
	}
	return token.BelievableScopes(strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }))
}

// parseLife reads expires_in, a number or a number in a string, in seconds. What is
// missing, unreadable, not positive or beyond a year is zero.
func parseLife(raw json.RawMessage) time.Duration {
	text := strings.TrimSpace(string(raw))
	if s := jsonString(raw); s != "" {
		text = strings.TrimSpace(s)
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || seconds < minLife.Seconds() || seconds > maxLife.Seconds() {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// expiring makes the token of a grant whose tokens always expire. A life that cannot be
// believed becomes 50 minutes and is marked as assumed; it is never infinite. longest caps it.
func (a answer) expiring(longest time.Duration) token.Token {
	t := token.Token{Access: a.access, Scopes: a.scopes, Issued: a.sent, Life: min(a.expiresIn, longest)}
	if t.Life <= 0 {
		t.Life, t.Assumed = assumedLife, true
	}
	return t
}

// pair makes the pair of a grant that renews itself. A life that cannot be believed becomes
// 50 minutes, as for expiring.
func (a answer) pair() (token.Pair, error) {
	if a.refresh.Empty() {
		return token.Pair{}, errNoRefresh
	}
	p := token.Pair{Token: a.expiring(maxLife), Refresh: a.refresh}
	if a.refreshExpires > 0 {
		p.RefreshExpires = a.sent.Round(0).Add(a.refreshExpires)
	}
	return p, nil
}

// pairOrPermanent makes the pair of a grant whose token may also be a permanent one: the one
// that has neither an end nor a refresh token. One that has an end and cannot be renewed is
// neither (it belongs to a person's session in the admin), and is refused as pair does.
func (a answer) pairOrPermanent() (token.Pair, error) {
	if a.refreshes || a.expires {
		return a.pair()
	}
	return token.Pair{Token: token.Token{Access: a.access, Scopes: a.scopes, Issued: a.sent}}, nil
}

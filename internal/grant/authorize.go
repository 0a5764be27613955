package grant

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"evergate/internal/token"
)

// The refusals of a callback. None of their messages repeats what the query said, which a
// stranger may have written, except for the name of a shop that Shopify has signed.
var (
	// ErrMalformed says that the query is not one that Shopify writes.
	ErrMalformed = errors.New("this is not a callback of Shopify's: copy the whole address that the browser was sent to")
	// ErrHMAC says that the callback is not signed with any of the app's secrets.
	ErrHMAC = errors.New("the callback is not signed with this app's client secret: the address was not copied whole, or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET do not belong together")
	// ErrState says that the callback is not the answer to this login.
	ErrState = errors.New("the callback belongs to another login: use the newest link only")
	// ErrShop says that the callback is about another shop.
	ErrShop = errors.New("the callback is of another shop than the login")
	// ErrStale says that the callback was not made just now.
	ErrStale = errors.New("the callback is more than five minutes old or ahead of this machine's clock: set the clock, then start the login again")
	// ErrDeclined says that the merchant did not agree, or that Shopify did not ask.
	ErrDeclined = errors.New("the app was not authorised: someone who may install apps on the shop must agree; start the login again")
)

// callbackTolerance is how far a callback's timestamp may be from our clock. Shopify makes
// it when it sends the browser back, not when the login starts, so it is seconds old however
// long the merchant hesitated; the rest is for clocks. It need not be tight: what keeps a
// callback from being used twice is the state, which is good for one login, and the code,
// which is good for one exchange.
const callbackTolerance = 5 * time.Minute

// maxCallback bounds the query that is looked at. A real one has about 400 bytes.
const maxCallback = 16 << 10

// AuthorizeURL is where the merchant's browser begins a login. Without scopes the app's own
// configuration at Shopify decides them. Nothing else is sent: offline is what Shopify does
// by default, and whether the token expires is said at the exchange of the code.
func AuthorizeURL(shop token.Shop, clientID, redirectURI string, scopes []string, state string) string {
	q := url.Values{"client_id": {clientID}, "redirect_uri": {redirectURI}, "state": {state}}
	if len(scopes) > 0 {
		q.Set("scope", strings.Join(scopes, ","))
	}
	u := url.URL{Scheme: "https", Host: shop.Domain(), Path: "/admin/oauth/authorize", RawQuery: q.Encode()}
	return u.String()
}

// Callback is what a callback must agree with.
type Callback struct {
	// Shop is the shop that the login was started for.
	Shop token.Shop
	// State is the value that the login sent along to tie the callback to itself.
	State string
	// Secrets are the app's. While they are being rotated there are two, and Shopify signs
	// with the oldest that is not revoked.
	Secrets []token.Secret
	// Now is the time of the callback's arrival.
	Now time.Time
}

// VerifyCallback checks the query of a callback and returns its authorization code.
//
// The state comes first, because nobody else knows it: ErrState, and ErrMalformed, may be
// anybody's doing and need not end a login that waits; every other error is this login's.
// Then the signature, which covers every parameter, with one exception: it is not
// documented whether Shopify signs a merchant's refusal, so one without a signature counts.
// All it can do is end the login whose state it knows.
func VerifyCallback(rawQuery string, want Callback) (token.Secret, error) {
	got, err := parseCallback(rawQuery)
	if err != nil {
		return token.Secret{}, err
	}
	if want.State == "" || subtle.ConstantTimeCompare([]byte(got["state"]), []byte(want.State)) != 1 {
		return token.Secret{}, ErrState
	}
	_, hasSignature := got["hmac"]
	_, isDeclined := got["error"]
	if (hasSignature || !isDeclined) && !got.isSignedWith(want.Secrets) {
		return token.Secret{}, ErrHMAC
	}
	if isDeclined {
		return token.Secret{}, ErrDeclined
	}
	if err := got.isAbout(want.Shop); err != nil {
		return token.Secret{}, err
	}
	if !got.isRecent(want.Now) {
		return token.Secret{}, ErrStale
	}
	if !isHeaderSafe(got["code"]) {
		return token.Secret{}, ErrMalformed
	}
	return token.NewSecret(got["code"]), nil
}

// callback is the decoded parameters of a callback.
type callback map[string]string

// parseCallback is stricter than url.ParseQuery: a parameter that comes twice has two
// readings, and one of them might be signed.
func parseCallback(rawQuery string) (callback, error) {
	if len(rawQuery) > maxCallback {
		return nil, ErrMalformed
	}
	got := callback{}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(rawKey)
		if err != nil || key == "" {
			return nil, ErrMalformed
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, ErrMalformed
		}
		if _, twice := got[key]; twice {
			return nil, ErrMalformed
		}
		got[key] = value
	}
	return got, nil
}

// isSignedWith checks the hmac parameter, which covers every other one. Shopify's libraries
// disagree on how the values are written in the signed message, and the difference shows
// where a value holds more than letters and digits, as "host" does. Both ways are taken: no
// two sets of parameters share a message, in one way or across them, and both need the secret.
func (c callback) isSignedWith(secrets []token.Secret) bool {
	messages := []string{c.message(escapeKey.Replace, escapeValue.Replace), c.message(encodeComponent, encodeComponent)}
	signed := 0
	for _, secret := range secrets {
		if secret.Empty() {
			continue // a key that everybody knows
		}
		for _, message := range messages {
			want := hex.EncodeToString(hmacSHA256(secret, message))
			signed |= subtle.ConstantTimeCompare([]byte(want), []byte(c["hmac"]))
		}
	}
	return signed == 1
}

func hmacSHA256(secret token.Secret, message string) []byte {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

// The decoded way escapes just enough that the message can be read in one way only.
var (
	escapeValue = strings.NewReplacer("%", "%25", "&", "%26")
	escapeKey   = strings.NewReplacer("%", "%25", "&", "%26", "=", "%3D")
)

// asComponent turns Go's query encoding into that of JavaScript's encodeURIComponent.
var asComponent = strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")

func encodeComponent(s string) string { return asComponent.Replace(url.QueryEscape(s)) }

// message is what is signed: all parameters but the signatures, sorted by name.
func (c callback) message(key, value func(string) string) string {
	var pairs []string
	for _, k := range c.sortedKeys() {
		if k != "hmac" && k != "signature" { // the latter is an obsolete one
			pairs = append(pairs, key(k)+"="+value(c[k]))
		}
	}
	return strings.Join(pairs, "&")
}

func (c callback) sortedKeys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (c callback) isAbout(want token.Shop) error {
	shop, ok := shopByDomain(c["shop"])
	switch {
	case !ok:
		return fmt.Errorf("%w: it names none", ErrShop)
	case shop != want:
		return fmt.Errorf("%w: %s was authorised, not %s; if both are the same shop, the first is its permanent name: set SHOPIFY_SHOP to it",
			ErrShop, shop, want)
	}
	return nil
}

// isRecent takes whole seconds since 1970; 40 bits of them are enough and cannot overflow.
func (c callback) isRecent(now time.Time) bool {
	seconds, err := strconv.ParseUint(c["timestamp"], 10, 40)
	age := now.Sub(time.Unix(int64(seconds), 0))
	return err == nil && age >= -callbackTolerance && age <= callbackTolerance
}

// domainPattern is the one Shopify documents for a shop in its own messages.
var domainPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com$`) })

// shopByDomain reads a shop in a message of Shopify's, where it is always the whole domain.
// What token.ParseShop also takes, because people write it, is refused here.
func shopByDomain(domain string) (token.Shop, bool) {
	if !domainPattern().MatchString(domain) {
		return token.Shop{}, false
	}
	shop, err := token.ParseShop(domain)
	return shop, err == nil
}

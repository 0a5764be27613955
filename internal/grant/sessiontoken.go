package grant

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"evergate/internal/token"
)

// ErrSessionToken is what every refusal of VerifySessionToken wraps.
var ErrSessionToken = errors.New("the session token is not accepted")

const (
	// sessionLeeway is what the clocks may differ by: a session token lives one minute.
	sessionLeeway = 10 * time.Second
	// maxSessionToken bounds what is looked at. A real one has under 1 KiB.
	maxSessionToken = 8 << 10
)

// VerifySessionToken checks the session token that Shopify gives to the page of an app in
// the admin, and returns the shop it was made for. Secrets are the app's, two while they
// are being rotated.
//
// A session token is a JWT (RFC 7519), of which Shopify uses one algorithm and one shape.
// That is why there is no library behind this: what a JWT library adds (other algorithms,
// keys from elsewhere, encryption) is what a verifier must refuse, and where theirs have failed.
func VerifySessionToken(raw token.Secret, clientID string, secrets []token.Secret, now time.Time) (token.Shop, error) {
	shop, err := verifySession(raw.Reveal(), clientID, secrets, now)
	if err != nil {
		return token.Shop{}, fmt.Errorf("%w: %w", ErrSessionToken, err)
	}
	return shop, nil
}

var (
	errNotJWT      = errors.New("it is not a JWT as Shopify writes them")
	errSignature   = errors.New("it is not signed with this app's client secret")
	errAlgorithm   = errors.New("its algorithm is not HS256")
	errAudience    = errors.New("it was made for another app")
	errDestination = errors.New("it names no shop, or two")
	errTooOld      = errors.New("it has expired: the page must ask for a new one")
	errTooNew      = errors.New("it is not valid yet: set this machine's clock")
)

// verifySession believes nothing before the signature has been found good, and parses nothing.
func verifySession(raw, clientID string, secrets []token.Secret, now time.Time) (token.Shop, error) {
	if len(raw) > maxSessionToken {
		return token.Shop{}, errNotJWT
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return token.Shop{}, errNotJWT
	}
	if !isSession(parts[0]+"."+parts[1], parts[2], secrets) {
		return token.Shop{}, errSignature
	}
	header, ok := parsePart(parts[0])
	if !ok {
		return token.Shop{}, errNotJWT
	}
	// An extension in "crit" must be understood (RFC 7515 section 4.1.11), and we know none.
	if _, critical := header["crit"]; critical || jsonString(header["alg"]) != "HS256" {
		return token.Shop{}, errAlgorithm
	}
	claims, ok := parsePart(parts[1])
	if !ok {
		return token.Shop{}, errNotJWT
	}
	return claims.accept(clientID, now)
}

// isSession compares the signature as it is written. Decoded, several spellings would be
// equal: Go's base64 skips line feeds.
func isSession(message, signature string, secrets []token.Secret) bool {
	signed := 0
	for _, secret := range secrets {
		if secret.Empty() {
			continue // a key that everybody knows
		}
		want := base64.RawURLEncoding.EncodeToString(hmacSHA256(secret, message))
		signed |= subtle.ConstantTimeCompare([]byte(want), []byte(signature))
	}
	return signed == 1
}

// members is a JSON object whose names are each there once, in exactly this spelling.
type members map[string]json.RawMessage

// ClaimedShop returns the shop that a session token says it is of. Nothing of it has been verified: it tells with which app's
// secret VerifySessionToken has to look.
func ClaimedShop(raw token.Secret) (token.Shop, error) {
	parts := strings.Split(raw.Reveal(), ".")
	if len(raw.Reveal()) > maxSessionToken || len(parts) != 3 {
		return token.Shop{}, fmt.Errorf("%w: %w", ErrSessionToken, errNotJWT)
	}
	claims, ok := parsePart(parts[1])
	if !ok {
		return token.Shop{}, fmt.Errorf("%w: %w", ErrSessionToken, errNotJWT)
	}
	domain, isHTTPS := strings.CutPrefix(jsonString(claims["dest"]), "https://")
	shop, ok := shopByDomain(domain)
	if !ok || !isHTTPS {
		return token.Shop{}, fmt.Errorf("%w: %w", ErrSessionToken, errDestination)
	}
	return shop, nil
}

// parsePart reads a part of a JWT. Decoding into a struct would not do: there the last of
// two equal names wins, and names match in any case.
func parsePart(part string) (members, bool) {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || !utf8.Valid(text) {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	m := members{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, false
		}
		key, ok := name.(string)
		if _, twice := m[key]; !ok || twice {
			return nil, false
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil, false
		}
		m[key] = value
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, false
	}
	_, err = dec.Token()
	return m, errors.Is(err, io.EOF)
}

// accept checks the claims: whom the token is for, which shop it is from, and when.
func (m members) accept(clientID string, now time.Time) (token.Shop, error) {
	if clientID == "" || jsonString(m["aud"]) != clientID {
		return token.Shop{}, errAudience
	}
	destination := jsonString(m["dest"])
	domain, isHTTPS := strings.CutPrefix(destination, "https://")
	shop, ok := shopByDomain(domain)
	// The issuer is the same shop's admin.
	if !ok || !isHTTPS || !strings.HasPrefix(jsonString(m["iss"])+"/", destination+"/") {
		return token.Shop{}, errDestination
	}
	if expires, ok := m.time("exp"); !ok || !now.Before(expires.Add(sessionLeeway)) {
		return token.Shop{}, errTooOld
	}
	if _, has := m["nbf"]; has {
		if begins, ok := m.time("nbf"); !ok || now.Before(begins.Add(-sessionLeeway)) {
			return token.Shop{}, errTooNew
		}
	}
	return shop, nil
}

// time reads a NumericDate (RFC 7519 section 2): seconds since 1970, possibly with a fraction.
func (m members) time(name string) (time.Time, bool) {
	var seconds float64
	if json.Unmarshal(m[name], &seconds) != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

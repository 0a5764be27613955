package grant

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"evergate/internal/token"
)

const (
	jwtHeader   = `{"alg":"HS256","typ":"JWT"}`
	sessionTime = 1_795_305_600
)

// claims is the text of a session token's claims with one replaced, added or, if the new
// value is empty, left out.
func claims(name, value string) string {
	all := [][2]string{
		{"iss", `"https://acme.myshopify.com/admin"`}, {"dest", `"https://acme.myshopify.com"`}, {"aud", `"` + clientID + `"`}, {"sub", `"902541635"`},
		{"exp", fmt.Sprint(sessionTime + 50)}, {"nbf", fmt.Sprint(sessionTime - 10)}, {"iat", fmt.Sprint(sessionTime - 10)}, {"jti", `"f8912129"`}, {"sid", `"aaea182f"`}, {"sig", `"f07cf3740270"`},
	}
	var members []string
	for _, m := range all {
		if m[0] == name {
			if m[1], name = value, ""; value == "" {
				continue
			}
		}
		members = append(members, `"`+m[0]+`":`+m[1])
	}
	if name != "" {
		members = append(members, `"`+name+`":`+value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// signJWT makes a token with the test's own code.
func signJWT(header, payload, secret string) string {
	message := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(message))
	return message + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func verify(raw string) (token.Shop, error) {
	secrets := []token.Secret{token.NewSecret("shpss_new"), {}, token.NewSecret("shpss_old")}
	return VerifySessionToken(token.NewSecret(raw), clientID, secrets, time.Unix(sessionTime, 0))
}

func TestSessionTokenNamesItsShopUnderEitherSecret(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"shpss_new", "shpss_old"} {
		for _, header := range []string{jwtHeader, `{"typ":"JWT","alg":"HS256"}`, ` { "alg" : "HS256" } `, `{"alg":"HS256","kid":"1"}`} {
			for _, payload := range []string{
				claims("iss", `"https://acme.myshopify.com/admin"`), claims("iss", `"https://acme.myshopify.com"`), claims("nbf", ""), claims("sub", ""),
				claims("exp", "1795305600.5"), claims("exp", "1795305590.5"), claims("exp", "1.7953056e9"), claims("exp", fmt.Sprint(sessionTime-9)), claims("nbf", fmt.Sprint(sessionTime+10)),
				claims("more", `{"a":1,"a":2}`),
			} {
				if shop, err := verify(signJWT(header, payload, secret)); err != nil || shop.Domain() != "acme.myshopify.com" {
					t.Errorf("%s %s: %v, %v", header, payload, shop, err)
				}
			}
		}
	}
}

func TestSessionTokenThatIsNotRightIsRefused(t *testing.T) {
	t.Parallel()
	const key = "shpss_new"
	good := claims("sid", `"`+leaked+`"`)
	valid := signJWT(jwtHeader, good, key)
	parts := strings.Split(valid, ".")
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	sha512ed := func() string {
		mac := hmac.New(sha512.New, []byte(key))
		mac.Write([]byte(part(`{"alg":"HS512"}`) + "." + parts[1]))
		return part(`{"alg":"HS512"}`) + "." + parts[1] + "." + part(string(mac.Sum(nil)))
	}
	for _, tc := range []struct {
		name, raw string
		want      error
	}{
		{"empty", "", errNotJWT},
		{"two_parts", parts[0] + "." + parts[1], errNotJWT},
		{"four_parts", valid + ".", errNotJWT},
		{"five_parts", valid + ".a.b", errNotJWT},
		{"too_long", signJWT(jwtHeader, claims("x", `"`+strings.Repeat("x", maxSessionToken)+`"`), key), errNotJWT},
		{"line_feed_at_the_end", valid + "\n", errSignature},
		{"line_feed_within", parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:], errSignature},
		{"padded", valid + "=", errSignature},

		{"no_signature", parts[0] + "." + parts[1] + ".", errSignature},
		{"short_signature", parts[0] + "." + parts[1] + "." + parts[2][:40], errSignature},
		{"other_secret", signJWT(jwtHeader, good, "shpss_other"), errSignature},
		{"empty_secret", signJWT(jwtHeader, good, ""), errSignature},
		{"other_claims", parts[0] + "." + part(claims("sub", `"1"`)) + "." + parts[2], errSignature},
		{"other_header", part(`{"alg":"HS256"}`) + "." + parts[1] + "." + parts[2], errSignature},
		{"unsigned", part(`{"alg":"none"}`) + "." + parts[1] + ".", errSignature},
		{"hs512", sha512ed(), errSignature},

		{"none_but_signed", signJWT(`{"alg":"none"}`, good, key), errAlgorithm},
		{"hs512_but_signed_hs256", signJWT(`{"alg":"HS512"}`, good, key), errAlgorithm},
		{"rs256", signJWT(`{"alg":"RS256"}`, good, key), errAlgorithm},
		{"lower_case", signJWT(`{"alg":"hs256"}`, good, key), errAlgorithm},
		{"no_algorithm", signJWT(`{"typ":"JWT"}`, good, key), errAlgorithm},
		{"algorithm_in_capitals", signJWT(`{"ALG":"HS256"}`, good, key), errAlgorithm},
		{"algorithms", signJWT(`{"alg":["HS256"]}`, good, key), errAlgorithm},
		{"critical", signJWT(`{"alg":"HS256","crit":["exp"]}`, good, key), errAlgorithm},
		{"two_algorithms", signJWT(`{"alg":"HS256","alg":"none"}`, good, key), errNotJWT},

		{"header_no_object", signJWT(`["HS256"]`, good, key), errNotJWT},
		{"header_list_of_pairs", signJWT(`["alg","HS256"]`, good, key), errNotJWT},
		{"header_no_json", signJWT(leaked, good, key), errNotJWT},
		{"claims_no_object", signJWT(jwtHeader, `"`+leaked+`"`, key), errNotJWT},
		{"claims_cut", signJWT(jwtHeader, good[:len(good)-1], key), errNotJWT},
		{"claims_named_by_a_number", signJWT(jwtHeader, "{1:2}", key), errNotJWT},
		{"claims_named_by_a_list", signJWT(jwtHeader, `{["aud"]:2}`, key), errNotJWT},
		{"claims_and_more", signJWT(jwtHeader, good+"{}", key), errNotJWT},
		{"claims_twice", signJWT(jwtHeader, strings.Replace(good, "{", `{"aud":"`+leaked+`",`, 1), key), errNotJWT},
		{"claims_twice_in_other_letters", signJWT(jwtHeader, strings.Replace(good, "{", `{"\u0061ud":"x",`, 1), key), errNotJWT},
		{"claims_not_utf8", signJWT(jwtHeader, claims("sid", "\"\xff\""), key), errNotJWT},
		{"claims_empty", signJWT(jwtHeader, "", key), errNotJWT},
		{"nested_for_ever", signJWT(jwtHeader, claims("x", strings.Repeat("[", 5000)), key), errNotJWT},

		{"no_audience", signJWT(jwtHeader, claims("aud", ""), key), errAudience},
		{"other_audience", signJWT(jwtHeader, claims("aud", `"`+leaked+`"`), key), errAudience},
		{"audience_in_capitals", signJWT(jwtHeader, strings.Replace(good, `"aud"`, `"AUD"`, 1), key), errAudience},
		{"audiences", signJWT(jwtHeader, claims("aud", `["`+clientID+`"]`), key), errAudience},

		{"no_destination", signJWT(jwtHeader, claims("dest", ""), key), errDestination},
		{"destination_http", signJWT(jwtHeader, claims("dest", `"http://acme.myshopify.com"`), key), errDestination},
		{"destination_bare", signJWT(jwtHeader, claims("dest", `"acme.myshopify.com"`), key), errDestination},
		{"both_bare", signJWT(jwtHeader, strings.ReplaceAll(good, "https://", ""), key), errDestination},
		{"destination_short", signJWT(jwtHeader, claims("dest", `"https://acme"`), key), errDestination},
		{"destination_with_path", signJWT(jwtHeader, claims("dest", `"https://acme.myshopify.com/admin"`), key), errDestination},
		{"destination_elsewhere", signJWT(jwtHeader, claims("dest", `"https://acme.myshopify.com.evil.test"`), key), errDestination},
		{"no_issuer", signJWT(jwtHeader, claims("iss", ""), key), errDestination},
		{"issuer_of_another_shop", signJWT(jwtHeader, claims("iss", `"https://other.myshopify.com/admin"`), key), errDestination},
		{"issuer_that_begins_alike", signJWT(jwtHeader, claims("iss", `"https://acme.myshopify.com.evil.test/admin"`), key), errDestination},
		{"issuer_http", signJWT(jwtHeader, claims("iss", `"http://acme.myshopify.com/admin"`), key), errDestination},

		{"no_end", signJWT(jwtHeader, claims("exp", ""), key), errTooOld},
		{"expired", signJWT(jwtHeader, claims("exp", fmt.Sprint(sessionTime-10)), key), errTooOld},
		{"end_as_text", signJWT(jwtHeader, claims("exp", `"1795305650"`), key), errTooOld},
		{"end_null", signJWT(jwtHeader, claims("exp", "null"), key), errTooOld},
		{"end_in_milliseconds", signJWT(jwtHeader, claims("exp", "1795305650000"), key), errTooOld},
		{"end_never", signJWT(jwtHeader, claims("exp", "1e300"), key), errTooOld},
		{"not_yet", signJWT(jwtHeader, claims("nbf", fmt.Sprint(sessionTime+11)), key), errTooNew},
		{"begin_as_text", signJWT(jwtHeader, claims("nbf", `"0"`), key), errTooNew},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			shop, err := verify(tc.raw)
			if !errors.Is(err, ErrSessionToken) || !errors.Is(err, tc.want) || !shop.IsZero() {
				t.Fatalf("%v, %v, want %v", shop, err, tc.want)
			}
			mustKeepSecret(t, err)
		})
	}
}

func TestSessionTokenHasOneSpelling(t *testing.T) {
	t.Parallel()
	valid := signJWT(jwtHeader, claims("sub", `"1"`), "shpss_new")
	for i := range len(valid) {
		for _, c := range []byte("A/+-_=.B\n ") {
			if valid[i] == c {
				continue
			}
			if _, err := verify(valid[:i] + string(c) + valid[i+1:]); err == nil {
				t.Fatalf("accepted with %q at %d", c, i)
			}
		}
	}
}

func TestSessionTokenNeedsSomethingToCompareWith(t *testing.T) {
	t.Parallel()
	now := time.Unix(sessionTime, 0)
	for _, secrets := range [][]token.Secret{nil, {{}}, {token.NewSecret("")}} {
		if _, err := VerifySessionToken(token.NewSecret(signJWT(jwtHeader, claims("sub", `"1"`), "")), clientID, secrets, now); !errors.Is(err, errSignature) {
			t.Errorf("with %d secrets: %v", len(secrets), err)
		}
	}
	for _, payload := range []string{claims("aud", ""), claims("aud", `""`)} {
		if _, err := VerifySessionToken(token.NewSecret(signJWT(jwtHeader, payload, "s")), "", []token.Secret{token.NewSecret("s")}, now); !errors.Is(err, errAudience) {
			t.Errorf("without a client id: %v", err)
		}
	}
}

// The fuzzer writes header and claims, and its own parts or a signature over them.
func FuzzSessionToken(f *testing.F) {
	good := claims("sub", `"1"`)
	for _, seed := range [][2]string{
		{jwtHeader, good}, {`{"alg":"none"}`, good}, {`{"alg":"HS256","ALG":"none"}`, good}, {jwtHeader, claims("exp", "1e18")}, {jwtHeader, claims("aud", "[]")},
		{jwtHeader, good + " "}, {jwtHeader, strings.Replace(good, "{", `{"dest":"x",`, 1)}, {"", ""},
	} {
		f.Add(seed[0], seed[1], "", true)
		f.Add(seed[0], seed[1], signJWT(seed[0], seed[1], "shpss_old"), false)
	}
	f.Fuzz(func(t *testing.T, header, payload, raw string, sign bool) {
		if sign {
			raw = signJWT(header, payload, "shpss_old")
		}
		shop, err := verify(raw)
		if err != nil {
			if !errors.Is(err, ErrSessionToken) || !shop.IsZero() || len(err.Error()) > 200 {
				t.Fatalf("%v, %v", shop, err)
			}
			return
		}
		// Whatever is accepted is, byte for byte, what one of the two secrets signs.
		parts := strings.Split(raw, ".")
		h, _ := base64.RawURLEncoding.DecodeString(parts[0])
		p, _ := base64.RawURLEncoding.DecodeString(parts[1])
		if raw != signJWT(string(h), string(p), "shpss_old") && raw != signJWT(string(h), string(p), "shpss_new") {
			t.Fatalf("accepted: %q", raw)
		}
		var head, body map[string]any
		if json.Unmarshal(h, &head) != nil || json.Unmarshal(p, &body) != nil {
			t.Fatalf("accepted, and not JSON: %q", raw)
		}
		exp, _ := body["exp"].(float64)
		if head["alg"] != "HS256" || body["aud"] != clientID || exp <= sessionTime-10 || !strings.EqualFold(fmt.Sprint(body["dest"]), "https://"+shop.Domain()) {
			t.Fatalf("accepted: %s %s", h, p)
		}
	})
}

package grant

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/token"
)

func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	const redirect = "http://127.0.0.1:3456/callback?a=b c&d"
	for _, scopes := range [][]string{nil, {}, {"read_products"}, {"read_products", "write_orders"}} {
		raw := AuthorizeURL(parseShop(t, "acme"), clientID, redirect, scopes, "st+te")
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.Host != "acme.myshopify.com" || u.Path != "/admin/oauth/authorize" || u.Fragment != "" {
			t.Fatalf("%s: %v", raw, err)
		}
		want := url.Values{"client_id": {clientID}, "redirect_uri": {redirect}, "state": {"st+te"}}
		if len(scopes) > 0 {
			want.Set("scope", strings.Join(scopes, ","))
		}
		if got, err := url.ParseQuery(u.RawQuery); err != nil || got.Encode() != want.Encode() {
			t.Errorf("%v: %v, want exactly %v", err, got, want)
		}
	}
}

func TestStateIsLongRandomAndFitForAURL(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		s := newState()
		if b, err := base64.RawURLEncoding.DecodeString(s); err != nil || len(b) != 32 || url.QueryEscape(s) != s || seen[s] {
			t.Fatalf("%q: %v", s, err)
		}
		seen[s] = true
	}
}

// The published and the measured examples of Shopify's signature.
func TestSignatureOfKnownCallbacks(t *testing.T) {
	t.Parallel()
	const finch = "code=9f1c2ab34d5e6f708192a3b4c5d6e7f8&host=YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvYmx1ZS1maW5ja%s&shop=blue-finch.myshopify.com&state=b7d2a1c4e9&timestamp=1795305600"
	for _, tc := range []struct {
		name, secret, query, mac, shop, state, code string
		now                                         int64
	}{
		{"documented", "hush", "code=0907a61c0c8d55e99db179b68161bc00&shop=some-shop.myshopify.com&state=0.6784241404160823&timestamp=1337178173",
			"700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf", "some-shop", "0.6784241404160823", "0907a61c0c8d55e99db179b68161bc00", 1337178173},
		{"unpadded_host", clientSecret, fmt.Sprintf(finch, "A"), "76b632f0d8a1335c2bb0a81853841825e1cc38dea4d73c8183b1a346fe45de40", "blue-finch", "b7d2a1c4e9", "9f1c2ab34d5e6f708192a3b4c5d6e7f8", 1795305600},
		{"raw_padding_signed_decoded", clientSecret, fmt.Sprintf(finch, "A=="), "e1c2bd5085ede87c16b9cd1ce8790fa5a6f57c93851419f817295e6c065da73f", "blue-finch", "b7d2a1c4e9", "9f1c2ab34d5e6f708192a3b4c5d6e7f8", 1795305600},
		{"raw_padding_signed_encoded", clientSecret, fmt.Sprintf(finch, "A=="), "67ff8cdeb9aa16ff21a57fad57659617aff1d8719a37720da3dbf13ac2d28761", "blue-finch", "b7d2a1c4e9", "9f1c2ab34d5e6f708192a3b4c5d6e7f8", 1795305600},
		{"encoded_padding_signed_decoded", clientSecret, fmt.Sprintf(finch, "A%3D%3D"), "e1c2bd5085ede87c16b9cd1ce8790fa5a6f57c93851419f817295e6c065da73f", "blue-finch", "b7d2a1c4e9", "9f1c2ab34d5e6f708192a3b4c5d6e7f8", 1795305600},
		{"encoded_padding_signed_encoded", clientSecret, fmt.Sprintf(finch, "A%3D%3D"), "67ff8cdeb9aa16ff21a57fad57659617aff1d8719a37720da3dbf13ac2d28761", "blue-finch", "b7d2a1c4e9", "9f1c2ab34d5e6f708192a3b4c5d6e7f8", 1795305600},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			want := Callback{Shop: parseShop(t, tc.shop), State: tc.state, Secrets: []token.Secret{token.NewSecret(tc.secret)}, Now: time.Unix(tc.now+10, 0)}
			for _, query := range []string{tc.query + "&hmac=" + tc.mac, "hmac=" + tc.mac + "&" + tc.query, tc.query + "&signature=obsolete&hmac=" + tc.mac} {
				if code, err := VerifyCallback(query, want); err != nil || code.Reveal() != tc.code {
					t.Errorf("%s: %v", query, err)
				}
			}
			for _, mac := range []string{"", tc.mac[:63], tc.mac + "0", strings.ToUpper(tc.mac), strings.Repeat("0", 64)} {
				if _, err := VerifyCallback(tc.query+"&hmac="+mac, want); !errors.Is(err, ErrHMAC) {
					t.Errorf("with %q: %v", mac, err)
				}
			}
			if _, err := VerifyCallback(tc.query, want); !errors.Is(err, ErrHMAC) {
				t.Errorf("without hmac: %v", err)
			}
		})
	}
}

const callbackTime = 1_795_305_600

func callbackWant(t testing.TB) Callback {
	t.Helper()
	return Callback{
		Shop: parseShop(t, "acme"), State: "b7d2a1c4e9-_", Now: time.Unix(callbackTime, 0),
		Secrets: []token.Secret{token.NewSecret("shpss_new"), {}, token.NewSecret("shpss_old")},
	}
}

// params are the parameters of a callback in their order.
type params [][2]string

func goodCallback() params {
	return params{{"code", "c0de"}, {"host", "YWRtaW4+/w=="}, {"shop", "acme.myshopify.com"}, {"state", "b7d2a1c4e9-_"}, {"timestamp", fmt.Sprint(callbackTime - 3)}}
}

// with replaces a parameter or adds one.
func (p params) with(key, value string) params {
	q := slices.Clone(p)
	for i := range q {
		if q[i][0] == key {
			q[i][1] = value
			return q
		}
	}
	return append(q, [2]string{key, value})
}

func (p params) without(key string) params {
	return slices.DeleteFunc(slices.Clone(p), func(kv [2]string) bool { return kv[0] == key })
}

// query encodes every byte that it need not, too, so that both spellings are met.
func (p params) query() string {
	var parts []string
	for _, kv := range p {
		parts = append(parts, url.QueryEscape(kv[0])+"="+url.QueryEscape(kv[1]))
	}
	return strings.Join(parts, "&")
}

// signed is the query with a signature made by the test's own code.
func (p params) signed(secret string, encoded bool) string {
	return p.query() + "&hmac=" + signature(p, secret, encoded)
}

// signature is what Shopify's documentation says, in a byte-by-byte form that shares
// nothing with the code under test.
func signature(p params, secret string, encoded bool) string {
	sorted := slices.Clone(p)
	slices.SortFunc(sorted, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	var m strings.Builder
	for _, kv := range sorted {
		if kv[0] == "hmac" || kv[0] == "signature" {
			continue
		}
		if m.Len() > 0 {
			m.WriteByte('&')
		}
		spell(&m, kv[0], "%&=", encoded)
		m.WriteByte('=')
		spell(&m, kv[1], "%&", encoded)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(m.String()))
	return hex.EncodeToString(mac.Sum(nil))
}

func spell(m *strings.Builder, s, reserved string, encoded bool) {
	for i := range len(s) {
		c := s[i]
		isPlain := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-_.!~*'()", c) >= 0
		if encoded && !isPlain || !encoded && strings.IndexByte(reserved, c) >= 0 {
			fmt.Fprintf(m, "%%%02X", c)
			continue
		}
		m.WriteByte(c)
	}
}

func TestCallbackIsAcceptedUnderEitherSecretInEitherEncoding(t *testing.T) {
	t.Parallel()
	more := goodCallback().with("a new & odd=parameter%", "100% é\x00+(it's)*~!").with("locale", "")
	for _, p := range []params{goodCallback(), more, goodCallback().with("shop", "ACME.myshopify.com")} {
		for _, secret := range []string{"shpss_new", "shpss_old"} {
			for _, encoded := range []bool{false, true} {
				if code, err := VerifyCallback(p.signed(secret, encoded), callbackWant(t)); err != nil || code.Reveal() != "c0de" {
					t.Errorf("%s, encoded %t: %v", secret, encoded, err)
				}
			}
		}
	}
}

// The order in which the checks are made decides what a stranger can find out or end.
func TestEachRefusalOfACallbackHasItsOwnName(t *testing.T) {
	t.Parallel()
	good := goodCallback()
	const key = "shpss_new"
	at := func(offset time.Duration) string { return fmt.Sprint(callbackTime + int64(offset/time.Second)) }
	for _, tc := range []struct {
		name, query string
		want        error
	}{
		{"empty", "", ErrMalformed},
		{"lone_percent", good.signed(key, false) + "&x=%", ErrMalformed},
		{"bad_key", good.signed(key, false) + "&%zz=1", ErrMalformed},
		{"nameless", good.signed(key, false) + "&=1", ErrMalformed},
		{"trailing_separator", good.signed(key, false) + "&", ErrMalformed},
		{"too_long", good.with("x", strings.Repeat("x", maxCallback)).signed(key, false), ErrMalformed},
		{"code_twice", good.signed(key, false) + "&code=other", ErrMalformed},
		{"same_code_twice", good.signed(key, false) + "&code=c0de", ErrMalformed},
		{"code_twice_in_other_letters", good.signed(key, false) + "&%63ode=other", ErrMalformed},
		{"hmac_twice", good.signed(key, false) + "&hmac=" + signature(good, key, true), ErrMalformed},
		{"state_twice", good.signed(key, false) + "&state=b7d2a1c4e9-_", ErrMalformed},
		{"error_twice", good.signed(key, false) + "&error=a&error=b", ErrMalformed},

		{"no_state", good.without("state").signed(key, false), ErrState},
		{"empty_state", good.with("state", "").signed(key, false), ErrState},
		{"other_state", good.with("state", "b7d2a1c4e9-").signed(key, false), ErrState},
		{"app_launch", good.without("state").without("code").signed(key, false), ErrState},
		{"stranger", "code=x&shop=acme.myshopify.com", ErrState},
		{"strangers_error", "error=access_denied&shop=acme.myshopify.com&state=guess", ErrState},
		{"strangers_error_without_state", "error=access_denied", ErrState},
		{"signed_error_without_state", good.without("state").with("error", "access_denied").signed(key, false), ErrState},

		{"no_hmac", good.query(), ErrHMAC},
		{"empty_hmac", good.query() + "&hmac=", ErrHMAC},
		{"other_secret", good.signed("shpss_other", false), ErrHMAC},
		{"empty_secret", good.signed("", false), ErrHMAC},
		{"parameter_added", good.signed(key, false) + "&locale=en", ErrHMAC},
		{"parameter_dropped", good.with("locale", "en").without("locale").query() + "&hmac=" + signature(good.with("locale", "en"), key, false), ErrHMAC},
		{"code_exchanged", good.with("code", "evil").query() + "&hmac=" + signature(good, key, false), ErrHMAC},
		{"smuggled_in_a_value", good.without("code").with("host", "x&code=evil").query() + "&hmac=" + signature(good.without("code").with("host", "x").with("code", "evil"), key, false), ErrHMAC},
		{"signed_as_app_proxies_are", good.query() + "&signature=" + signature(good, key, false), ErrHMAC},
		{"error_with_a_false_hmac", good.with("error", "access_denied").query() + "&hmac=" + signature(good, key, false), ErrHMAC},

		{"declined", "error=access_denied&error_description=" + leaked + "&state=b7d2a1c4e9-_", ErrDeclined},
		{"declined_and_signed", good.without("code").with("error", "access_denied").signed(key, false), ErrDeclined},
		{"declined_with_a_code", good.with("error", "").signed(key, true), ErrDeclined},

		{"no_shop", good.without("shop").signed(key, false), ErrShop},
		{"other_shop", good.with("shop", "other.myshopify.com").signed(key, false), ErrShop},
		{"short_shop", good.with("shop", "acme").signed(key, false), ErrShop},
		{"shop_with_a_scheme", good.with("shop", "https://acme.myshopify.com").signed(key, false), ErrShop},
		{"shop_with_a_space", good.with("shop", " acme.myshopify.com").signed(key, false), ErrShop},
		{"shop_with_a_line_feed", good.with("shop", "acme.myshopify.com\n").signed(key, false), ErrShop},
		{"shop_elsewhere", good.with("shop", "acme.myshopify.com.evil.test").signed(key, false), ErrShop},
		{"shop_in_other_letters", good.with("shop", "\u212Acme.myshopify.com").signed(key, false), ErrShop},

		{"no_timestamp", good.without("timestamp").signed(key, false), ErrStale},
		{"timestamp_no_number", good.with("timestamp", "now").signed(key, false), ErrStale},
		{"timestamp_negative", good.with("timestamp", "-1").signed(key, false), ErrStale},
		{"timestamp_huge", good.with("timestamp", "9223372036854775807").signed(key, false), ErrStale},
		{"timestamp_far", good.with("timestamp", "1099511627775").signed(key, false), ErrStale},
		{"timestamp_zero", good.with("timestamp", "0").signed(key, false), ErrStale},
		{"timestamp_fraction", good.with("timestamp", "1795305600.5").signed(key, false), ErrStale},
		{"too_old", good.with("timestamp", at(-5*time.Minute-time.Second)).signed(key, false), ErrStale},
		{"too_new", good.with("timestamp", at(5*time.Minute+time.Second)).signed(key, false), ErrStale},
		{"just_old_enough", good.with("timestamp", at(-5*time.Minute)).signed(key, false), nil},
		{"just_new_enough", good.with("timestamp", at(5*time.Minute)).signed(key, false), nil},

		{"no_code", good.without("code").signed(key, false), ErrMalformed},
		{"empty_code", good.with("code", "").signed(key, false), ErrMalformed},
		{"code_with_a_space", good.with("code", "a b").signed(key, false), ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, err := VerifyCallback(tc.query, callbackWant(t))
			if !errors.Is(err, tc.want) || (err == nil) == code.Empty() {
				t.Fatalf("%v, want %v", err, tc.want)
			}
			if err != nil {
				mustKeepSecret(t, err)
			}
		})
	}
}

func TestAliasOfAShopIsToldItsPermanentName(t *testing.T) {
	t.Parallel()
	_, err := VerifyCallback(goodCallback().with("shop", "acme-2.myshopify.com").signed("shpss_new", false), callbackWant(t))
	if !errors.Is(err, ErrShop) || !strings.Contains(err.Error(), "acme-2.myshopify.com was authorised, not acme.myshopify.com") || !strings.Contains(err.Error(), "set SHOPIFY_SHOP") {
		t.Errorf("%v", err)
	}
}

// A login that was never started, or an app whose secret is not known, accepts nothing.
func TestNothingToCompareWithAcceptsNothing(t *testing.T) {
	t.Parallel()
	want := callbackWant(t)
	want.State = ""
	if _, err := VerifyCallback(goodCallback().with("state", "").signed("shpss_new", false), want); !errors.Is(err, ErrState) {
		t.Errorf("without a state: %v", err)
	}
	for _, secrets := range [][]token.Secret{nil, {{}}, {token.NewSecret("")}} {
		want := callbackWant(t)
		want.Secrets = secrets
		if _, err := VerifyCallback(goodCallback().signed("", false), want); !errors.Is(err, ErrHMAC) {
			t.Errorf("with %d secrets: %v", len(secrets), err)
		}
	}
	want = callbackWant(t)
	want.Shop = token.Shop{}
	for _, p := range []params{goodCallback(), goodCallback().without("shop")} {
		if _, err := VerifyCallback(p.signed("shpss_new", false), want); !errors.Is(err, ErrShop) {
			t.Errorf("without a shop: %v", err)
		}
	}
}

// newState makes a value that ties a callback to its login.
func newState() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

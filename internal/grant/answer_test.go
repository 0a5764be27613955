package grant

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/token"
)

func TestLifeOfAClientCredentialsToken(t *testing.T) {
	t.Parallel()
	const assumed = -1
	for in, want := range map[string]time.Duration{
		`86399`: 86399 * time.Second, `"86399"`: 86399 * time.Second, `" 3600 "`: time.Hour, `3600.5`: time.Hour + time.Second/2, `1e3`: 1000 * time.Second,
		`1`: time.Second, `"1"`: time.Second, `1.0`: time.Second, `10`: 10 * time.Second, `59`: 59 * time.Second,
		`90000`: 25 * time.Hour, `90001`: 25 * time.Hour, `31622400`: 25 * time.Hour, // exactly 366 days

		``: assumed, `0`: assumed, `-1`: assumed, `-86399`: assumed, `0.5`: assumed, `0.999`: assumed, `1e300`: assumed, `-1e300`: assumed, `31622401`: assumed, `9223372036854775808`: assumed,
		`null`: assumed, `true`: assumed, `{}`: assumed, `{"seconds":5}`: assumed, `[]`: assumed, `[3600]`: assumed,
		`""`: assumed, `" "`: assumed, `"soon"`: assumed, `"Infinity"`: assumed, `"NaN"`: assumed, `"24h"`: assumed, `"1,000"`: assumed,
	} {
		body := `{"access_token":"shpat_x","scope":"read_products","expires_in":` + in + `}`
		if in == "" {
			body = `{"access_token":"shpat_x","scope":"read_products"}`
		}
		tok, err := ask(t, &canned{status: 200, body: body})
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		life := want
		if want == assumed {
			life = 50 * time.Minute
		}
		if tok.Life != life || tok.Assumed != (want == assumed) || !tok.Expires() {
			t.Errorf("%s: %v, assumed %t; want %v", in, tok.Life, tok.Assumed, life)
		}
	}
}

func TestScopesAreSplit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		`"read_products"`:                   {"read_products"},
		`"read_products,write_orders"`:      {"read_products", "write_orders"},
		`"read_products, write_orders , ,"`: {"read_products", "write_orders"},
		`"read_products write_orders"`:      {"read_products", "write_orders"},
	} {
		tok, err := ask(t, &canned{status: 200, body: `{"access_token":"x","scope":` + in + `}`})
		if err != nil || !slices.Equal(tok.Scopes, want) {
			t.Errorf("%s: %q, %v, want %q", in, tok.Scopes, err, want)
		}
	}
}

// token.Token promises nil when Shopify did not say; whoever compares scopes relies on it.
func TestScopesAreNilWhenShopifyDoesNotSay(t *testing.T) {
	t.Parallel()
	for _, in := range []string{``, `,"scope":null`, `,"scope":7`, `,"scope":[]`, `,"scope":{}`} {
		tok, err := ask(t, &canned{status: 200, body: `{"access_token":"x"` + in + `}`})
		if err != nil || tok.Scopes != nil {
			t.Errorf("%s: %#v, %v, want nil", in, tok.Scopes, err)
		}
	}
}

func TestTokenIsOpaque(t *testing.T) {
	t.Parallel()
	for _, access := range []string{"x", "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", "0123456789abcdef0123456789abcdef", "!~$%&'*+-.^_`|:;/?@[]{}()<>=,#", strings.Repeat("t", 5000)} {
		tok, err := ask(t, &canned{status: 200, body: `{"access_token":"` + access + `","token_type":"bearer","extra":[1]}`})
		if err != nil || tok.Access.Reveal() != access {
			t.Errorf("%.40s: %v", access, err)
		}
	}
}

func TestSuccessThatIsNoneIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, say string }{
		{"empty", "", "a 200 without a body"},
		{"blank", " \r\n\t ", "a 200 without a body"},
		{"truncated", `{"access_token":"` + leaked, "not the JSON of a token"},
		{"truncated_after_the_token", `{"access_token":"` + leaked + `",`, "not the JSON of a token"},
		{"two_values", `{"access_token":"` + leaked + `"} {}`, "not the JSON of a token"},
		{"web_page", page("Just a moment...", leaked), "not the JSON of a token"},
		{"array", `["` + leaked + `"]`, "not the JSON of a token"},
		{"string", `"` + leaked + `"`, "not the JSON of a token"},
		{"number_as_token", `{"access_token":7}`, "not the JSON of a token"},
		{"object_as_token", `{"access_token":{"` + leaked + `":1}}`, "not the JSON of a token"},
		{"null", "null", "without a usable access_token"},
		{"no_token", `{"scope":"` + leaked + `"}`, "without a usable access_token"},
		{"null_token", `{"access_token":null}`, "without a usable access_token"},
		{"empty_token", `{"access_token":""}`, "without a usable access_token"},
		{"refusal_in_a_200", `{"error":"invalid_client","error_description":"` + leaked + `"}`, "without a usable access_token"},
		{"space_in_token", `{"access_token":"a ` + leaked + `"}`, "without a usable access_token"},
		{"line_feed_in_token", `{"access_token":"a\r\nX-Injected: ` + leaked + `"}`, "without a usable access_token"},
		{"nul_in_token", `{"access_token":"a\u0000` + leaked + `"}`, "without a usable access_token"},
		{"delete_in_token", `{"access_token":"a\u007f` + leaked + `"}`, "without a usable access_token"},
		{"accent_in_token", `{"access_token":"é` + leaked + `"}`, "without a usable access_token"},
		{"not_utf8_in_token", "{\"access_token\":\"a\xff" + leaked + "\"}", "without a usable access_token"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := ask(t, &canned{status: 200, body: tc.body})
			mustRefuse(t, err, token.ErrTransient, tc.say)
		})
	}
}

func TestAnswerBeyondAllReasonIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	c := &canned{status: 200, body: `{"access_token":"x","scope":"` + strings.Repeat(leaked+",", 2<<20/len(leaked)) + `"}`}
	_, err := ask(t, c)
	mustRefuse(t, err, token.ErrTransient, "not the JSON of a token")
	if len(c.body) < 2<<20 || c.read > 1<<20+64<<10 {
		t.Errorf("%d bytes of %d were read", c.read, len(c.body))
	}
}

func TestStaticTokenIsReadAnewEachTime(t *testing.T) {
	t.Parallel()
	var reads int
	g := Static{Read: func() (token.Secret, error) { reads++; return token.NewSecret(strings.Repeat("t", reads)), nil }}
	for n := 1; n <= 3; n++ {
		before := time.Now()
		tok, err := g.Grant(t.Context())
		if err != nil || tok.Access.Reveal() != strings.Repeat("t", n) || tok.Expires() || tok.Assumed || tok.Scopes != nil || tok.Issued.Before(before) {
			t.Errorf("%+v, %v", tok, err)
		}
	}
}

func TestStaticTokenThatCannotBeOneIsAConfigurationError(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "two words " + leaked, "line\nfeed" + leaked, "“quoted”" + leaked, "nul\x00" + leaked} {
		_, err := Static{Read: func() (token.Secret, error) { return token.NewSecret(value), nil }}.Grant(t.Context())
		mustRefuse(t, err, token.ErrConfig, "SHOPIFY_ACCESS_TOKEN", "copy it again")
	}
	unreadable := errors.New("SHOPIFY_ACCESS_TOKEN_FILE: gone")
	_, err := Static{Read: func() (token.Secret, error) { return token.Secret{}, unreadable }}.Grant(t.Context())
	if mustRefuse(t, err, token.ErrConfig); !errors.Is(err, unreadable) {
		t.Errorf("%v", err)
	}
}

func TestGrantsAreNamedAsInTheConfiguration(t *testing.T) {
	t.Parallel()
	if (ClientCredentials{}).Name() != "client_credentials" || (Static{}).Name() != "static" {
		t.Error("a name has changed; it is API, in EVERGATE_GRANT and in metrics")
	}
}

func TestWhatAnAnswerMakesUsKeepIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ scope, access string }{
		"many scopes":  {strings.Repeat("a,", 400_000), "shpat_x"},
		"a long scope": {strings.Repeat("a", 900_000), "shpat_x"},
		"a long token": {"read_products", strings.Repeat("a", 900_000)},
	} {
		tok, err := ask(t, &canned{status: 200, body: `{"access_token":"` + c.access + `","scope":"` + c.scope + `","expires_in":3600}`})
		if len(c.access) > longestHeaderValue {
			if err == nil || len(err.Error()) > 1000 {
				t.Errorf("%s: %.200v", name, err)
			}
			continue
		}
		if err != nil || tok.Scopes != nil {
			t.Errorf("%s: %d scopes, %v", name, len(tok.Scopes), err)
		}
	}
}

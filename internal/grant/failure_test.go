package grant

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// leaked stands in every failed answer for what must not get into an error.
const leaked = "7LEAKED7"

func page(title, text string) string {
	return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>` + title + `</title></head>
<body class="` + leaked + `"><main><h1>400</h1><h2>` + text + `</h2><p>api_key ` + clientID + ` ` + leaked + `</p></main></body></html>`
}

func mustRefuse(t *testing.T, err, decision error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("granted")
	}
	for _, d := range []error{token.ErrTransient, token.ErrConfig, token.ErrReauthorize} {
		if errors.Is(err, d) != errors.Is(decision, d) {
			t.Errorf("%v: is %q: %t", err, d, errors.Is(err, d))
		}
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v: does not say %q", err, part)
		}
	}
	mustKeepSecret(t, err)
}

var (
	asPage = http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	asText = http.Header{"Content-Type": {"text/plain; charset=UTF-8"}}
)

func to(location string) http.Header { return http.Header{"Location": {location}} }

func TestEveryKnownRefusalSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const sentence = " with api_key " + clientID + " " + leaked
	for _, tc := range []struct {
		name   string
		status int
		header http.Header
		body   string
		parts  []string
	}{
		{"not_permitted_page", 400, asPage, page("400 - Oauth error shop_not_permitted", "Oauth error shop_not_permitted: Client credentials cannot be performed on this shop."),
			[]string{"400 shop_not_permitted: ", "acme.myshopify.com are in different organisations", "use the offline grant"}},
		{"not_permitted_json", 400, nil, `{"error":"shop_not_permitted","error_description":"Client credentials cannot be performed on this shop. ` + leaked + `"}`, []string{"400 shop_not_permitted: ", "different organisations"}},
		{"not_permitted_json_401", 401, nil, `{"error":"shop_not_permitted"}`, []string{"401 shop_not_permitted: ", "different organisations"}},
		{"not_installed_page", 400, asPage, page("400 - Oauth error app_not_installed", "Oauth error app_not_installed: The app isn&#39;t installed on &quot;"+leaked+"&quot;"),
			[]string{"400 app_not_installed: ", "not installed on acme.myshopify.com", "Dev Dashboard"}},
		{"not_installed_title_only", 400, asPage, page("400 - Oauth error app_not_installed", ""), []string{"400 app_not_installed: "}},
		{"not_installed_page_without_a_type", 400, http.Header{}, page("400 - Oauth error app_not_installed", ""), []string{"400 app_not_installed: "}},
		{"unknown_client_page", 400, asPage, page("400 - Oauth error application_cannot_be_found", "Oauth error application_cannot_be_found: Could not find Shopify API application"+sentence),
			[]string{"400 application_cannot_be_found: ", "no app has this client id: check SHOPIFY_CLIENT_ID"}},
		{"unknown_client_older_wording", 400, asPage, page("400 - Oauth error invalid_request", "Oauth error invalid_request: Could not find Shopify API application"+sentence), []string{"no app has this client id"}},
		{"unknown_client_with_entities", 400, asPage, page("x", "Oauth error invalid_request: Could not find Shopify&#32;API application with api_key &quot;"+leaked+"&quot;"), []string{"no app has this client id"}},
		{"unknown_client_json", 400, nil, `{"error":"invalid_request","error_description":"Could not find Shopify API application` + sentence + `"}`, []string{"no app has this client id"}},
		{"wrong_secret_page", 400, asPage, page("400 - Oauth error invalid_request", "Oauth error invalid_request: "+leaked), []string{"400 invalid_request: ", "client secret is wrong, or the app is not installed on acme.myshopify.com"}},
		{"invalid_client_401", 401, nil, `{"error":"invalid_client","error_description":"` + leaked + `"}`, []string{"401 invalid_client: ", "do not belong together"}},
		{"invalid_client_400", 400, nil, `{"error":"invalid_client"}`, []string{"400 invalid_client: ", "SHOPIFY_CLIENT_SECRET"}},
		{"unauthorized_client", 400, nil, `{"error":"unauthorized_client"}`, []string{"may not use client credentials"}},
		{"unsupported_grant_type", 400, nil, `{"error":"unsupported_grant_type"}`, []string{"may not use client credentials"}},
		{"dead_refresh_token_is_not_ours", 401, nil, `{"error":"invalid_request","error_description":"This request requires an active refresh_token"}`, []string{"401 invalid_request: "}},
		{"invalid_grant", 400, nil, `{"error":"invalid_grant","error_description":"` + leaked + `"}`, []string{"400 invalid_grant: ", "check SHOPIFY_CLIENT_ID, SHOPIFY_CLIENT_SECRET and that the app is installed"}},
		{"invalid_subject_token", 400, nil, `{"error":"invalid_subject_token"}`, []string{"400 invalid_subject_token: "}},

		{"title_only", 400, asPage, "<html><head><TITLE lang=en>" + leaked + "</TITLE>", []string{"400: check SHOPIFY_CLIENT_ID"}},
		{"errors_string", 400, nil, `{"errors":"` + leaked + `"}`, []string{"400: check SHOPIFY_CLIENT_ID"}},
		{"errors_string_with_a_code", 400, nil, `{"errors":"Oauth error app_not_installed: ` + leaked + `"}`, []string{"400 app_not_installed: "}},
		{"errors_object", 400, nil, `{"errors":{"base":["` + leaked + `"]}}`, []string{"400: check SHOPIFY_CLIENT_ID"}},
		{"error_that_is_no_code", 400, nil, `{"error":"` + leaked + ` is wrong","error_description":7}`, []string{"400: check SHOPIFY_CLIENT_ID"}},
		{"json_of_another_shape", 400, nil, `["` + leaked + `"]`, []string{"400: check SHOPIFY_CLIENT_ID"}},
		{"json_in_a_page_type", 400, asPage, `{"error":"invalid_client"}`, []string{"400 invalid_client: "}},
		{"text", 400, asText, leaked, []string{"400: check SHOPIFY_CLIENT_ID"}},
		{"empty", 400, nil, "", []string{"400: check SHOPIFY_CLIENT_ID"}},
		{"not_acceptable", 406, nil, leaked, []string{"406: check SHOPIFY_CLIENT_ID"}},
		{"unauthorized", 401, nil, `{"errors":"[API] Invalid API key or access token ` + leaked + `"}`, []string{"401: Shopify does not accept this client: check SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET"}},
		{"payment_required", 402, nil, leaked, []string{"402: acme.myshopify.com is frozen, locked or closed", "recovers by itself"}},
		{"forbidden", 403, nil, leaked, []string{"403: acme.myshopify.com is frozen, locked or closed"}},
		{"locked", 423, nil, leaked, []string{"423: acme.myshopify.com is frozen, locked or closed"}},
		{"no_shop", 404, asPage, page("Store unavailable", leaked), []string{"404: there is no shop acme.myshopify.com: check SHOPIFY_SHOP"}},
		{"moved", 301, to("https://www.acme.example/admin/" + leaked), page("301", leaked), []string{`acme.myshopify.com has moved to "www.acme.example": set SHOPIFY_SHOP`}},
		{"found", 302, to("//other.myshopify.com/" + leaked), "", []string{`has moved to "other.myshopify.com"`}},
		{"moved_with_a_password", 301, to("https://user:" + leaked + "@www.acme.example/"), "", []string{`has moved to "www.acme.example"`}},
		{"moved_to_itself", 307, to("/" + leaked), "", []string{"acme.myshopify.com redirects: set SHOPIFY_SHOP"}},
		{"moved_nowhere", 308, nil, leaked, []string{"redirects: set SHOPIFY_SHOP"}},
		{"moved_to_nonsense", 301, to("%zz" + leaked), "", []string{"redirects: set SHOPIFY_SHOP"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := ask(t, &canned{status: tc.status, header: tc.header, body: tc.body})
			mustRefuse(t, err, token.ErrConfig, tc.parts...)
			var e *EndpointError
			if !errors.As(err, &e) || e.Status != tc.status || e.Wait() != 0 {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestFailuresThatPassByThemselves(t *testing.T) {
	t.Parallel()
	statuses := []int{408, 425, 429, 500, 501, 502, 503, 504, 505, 598, 783}
	for s := 520; s <= 530; s++ {
		statuses = append(statuses, s)
	}
	for _, status := range statuses {
		for _, body := range []string{
			"", fmt.Sprintf("error code: %d %s", status, leaked), page("x", leaked),
			`{"error":"shop_not_permitted","error_description":"` + leaked + `"}`, // a busy server's word is not taken for it
			page("400 - Oauth error app_not_installed", leaked),
		} {
			_, err := ask(t, &canned{status: status, header: asPage, body: body})
			mustRefuse(t, err, token.ErrTransient, fmt.Sprint(status), "passes by itself")
		}
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for header, want := range map[string]time.Duration{
			"2.0": 2 * time.Second, "2": 2 * time.Second, "0.5": 500 * time.Millisecond, "": 0, "soon": 0, "-1": 0, "0": 0, "1e9": 24 * time.Hour,
			time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second,
			time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat):       0,
			time.Now().Add(48 * time.Hour).UTC().Format(http.TimeFormat):   24 * time.Hour,
		} {
			for _, status := range []int{429, 503, 400} {
				_, err := ask(t, &canned{status: status, header: http.Header{"Retry-After": {header}}})
				var e *EndpointError
				if !errors.As(err, &e) || e.Wait() != want || e.RetryAfter != want {
					t.Errorf("%d with %q: %v, want %v", status, header, e.Wait(), want)
				}
			}
		}
	})
}

func TestFailedAnswerIsRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, contentType, body string
		want                    said
	}{
		{"json", "application/json", `{"error":"invalid_client","error_description":"No & never"}`, said{"invalid_client", "No & never"}},
		{"json_without_description", "", `{"error":"invalid_client"}`, said{"invalid_client", ""}},
		{"errors", "", `{"errors":"Not Found"}`, said{"", "Not Found"}},
		{"errors_beside_error", "", `{"error":"a","errors":"b"}`, said{"a", ""}},
		{"entities", "text/html", `<h2>Oauth error app_not_installed: it isn&#39;t &lt;there&gt; &amp; so on  </h2>`, said{"app_not_installed", "it isn't <there> & so on"}},
		{"longest_wins", "text/html", `<title>400 - Oauth error invalid_request</title><h2>Oauth error invalid_request: a sentence</h2><p>Oauth error invalid_request: a</p>`, said{"invalid_request", "a sentence"}},
		{"title", "text/html", "<title>\n Bad &amp; worse </title>", said{"", "Bad & worse"}},
		{"title_in_no_page", "application/json", "<title>Bad</title>", said{}},
		{"null", "application/json", "null", said{}},
		{"code_of_other_letters", "", `{"error":"Bad-Code"}`, said{}},
		{"code_too_long", "", `{"error":"` + strings.Repeat("a", 65) + `"}`, said{}},
		{"numbers", "", `{"error":1,"error_description":{},"errors":[]}`, said{}},
		{"nothing", "", "", said{}},
	} {
		if got := parseFailure(tc.contentType, []byte(tc.body)); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestHugeErrorPageIsReadInPart(t *testing.T) {
	t.Parallel()
	c := &canned{status: 400, header: asPage, body: "<p>Oauth error a: " + leaked + strings.Repeat("<p>"+leaked, 300_000)}
	_, err := ask(t, c)
	mustRefuse(t, err, token.ErrConfig)
	if len(c.body) < 2<<20 || c.read > 1<<20+64<<10 {
		t.Errorf("%d bytes of %d were read", c.read, len(c.body))
	}
}

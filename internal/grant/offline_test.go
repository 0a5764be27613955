package grant

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// offlineCall is one method of Offline with the form that it must send.
type offlineCall struct {
	name string
	do   func(Offline, context.Context) (token.Pair, error)
	form url.Values
	// permanent says that the answer may be a permanent token.
	permanent bool
}

const opaque = "o p&a=q+u%e"

func offlineCalls() []offlineCall {
	secret := token.NewSecret(opaque)
	exchange := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {opaque}, "expiring": {"1"},
		"requested_token_type": {"urn:shopify:params:oauth:token-type:offline-access-token"},
	}
	of := func(kind string) url.Values {
		form := url.Values{"subject_token_type": {kind}}
		for k, v := range exchange {
			form[k] = v
		}
		return form
	}
	return []offlineCall{
		{"refresh", func(g Offline, ctx context.Context) (token.Pair, error) { return g.Refresh(ctx, secret) },
			url.Values{"grant_type": {"refresh_token"}, "refresh_token": {opaque}}, false},
		{"code", func(g Offline, ctx context.Context) (token.Pair, error) { return g.ExchangeCode(ctx, secret, true) },
			url.Values{"code": {opaque}, "expiring": {"1"}}, true},
		{"code_permanent", func(g Offline, ctx context.Context) (token.Pair, error) { return g.ExchangeCode(ctx, secret, false) },
			url.Values{"code": {opaque}}, true},
		{"session", func(g Offline, ctx context.Context) (token.Pair, error) { return g.ExchangeSession(ctx, secret) },
			of("urn:ietf:params:oauth:token-type:id_token"), true},
		{"migrate", func(g Offline, ctx context.Context) (token.Pair, error) { return g.Migrate(ctx, secret) },
			of("urn:shopify:params:oauth:token-type:offline-access-token"), false},
	}
}

// askPair makes a call and checks what holds for every outcome.
func (c offlineCall) askPair(t *testing.T, answers *canned) (token.Pair, error) {
	t.Helper()
	p, err := c.do(Offline{endpoint(t, answers)}, t.Context())
	if len(answers.requests) != 1 || answers.err == nil && !answers.closed {
		t.Errorf("%s: %d POSTs, body closed: %t", c.name, len(answers.requests), answers.closed)
	}
	if err != nil && !reflect.DeepEqual(p, token.Pair{}) || err == nil && p.Token.Access.Empty() {
		t.Errorf("%s: error %v together with the pair %+v", c.name, err, p)
	}
	return p, err
}

const pairBody = `{"access_token":"shpat_a","scope":"read_products,write_orders","expires_in":3600,"refresh_token":"shprt_r","refresh_token_expires_in":7776000}`

func TestEachOfflineMethodIsOneFormPOST(t *testing.T) {
	t.Parallel()
	for _, c := range offlineCalls() {
		answers := &canned{status: 200, body: pairBody}
		p, err := c.askPair(t, answers)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		c.form.Set("client_id", clientID)
		c.form.Set("client_secret", clientSecret)
		r := answers.requests[0]
		form, err := url.ParseQuery(answers.sent[0])
		if err != nil || !reflect.DeepEqual(form, c.form) {
			t.Errorf("%s: %v\nwant %v", c.name, form, c.form)
		}
		if r.URL.String() != "https://acme.myshopify.com/admin/oauth/access_token" || r.Header.Get("Accept") != "application/json" || r.GetBody != nil {
			t.Errorf("%s: %s %v", c.name, r.URL, r.Header)
		}
		if p.Token.Access.Reveal() != "shpat_a" || p.Refresh.Reveal() != "shprt_r" || !slices.Equal(p.Token.Scopes, []string{"read_products", "write_orders"}) {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

// slow answers after a while of a bubble's time.
type slow struct {
	after time.Duration
	canned
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(s.after)
	return s.canned.RoundTrip(r)
}

func TestBothLivesCountFromTheSendingOfTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range offlineCalls() {
			began := time.Now()
			p, err := c.do(Offline{endpoint(t, &slow{10 * time.Second, canned{status: 200, body: pairBody}})}, t.Context())
			if err != nil || !p.Token.Issued.Equal(began) || p.Token.Life != time.Hour || p.Token.Assumed || !p.RefreshExpires.Equal(began.Add(90*24*time.Hour)) {
				t.Errorf("%s: %+v, %v", c.name, p, err)
			}
		}
	})
}

func TestLivesOfAPair(t *testing.T) {
	t.Parallel()
	const assumed, day = -1, 24 * time.Hour
	for in, want := range map[string]time.Duration{
		`3600`: time.Hour, `"3600"`: time.Hour, `10`: 10 * time.Second, `1`: time.Second, `86399`: 86399 * time.Second, `31622400`: 366 * day,
		`null`: assumed, `0`: assumed, `-1`: assumed, `0.5`: assumed, `31622401`: assumed, `"soon"`: assumed, `{}`: assumed, ``: assumed,
	} {
		body := `{"access_token":"a","refresh_token":"r"`
		if in != "" {
			body += `,"expires_in":` + in + `,"refresh_token_expires_in":` + in
		}
		for _, c := range offlineCalls() {
			p, err := c.askPair(t, &canned{status: 200, body: body + "}"})
			life := want
			if want == assumed {
				life = 50 * time.Minute
			}
			if err != nil || p.Token.Life != life || p.Token.Assumed != (want == assumed) {
				t.Errorf("%s: %q: %v, assumed %t, %v", c.name, in, p.Token.Life, p.Token.Assumed, err)
			}
			if p.RefreshExpires.IsZero() != (want == assumed) {
				t.Errorf("%s: %q: the refresh token ends %v", c.name, in, p.RefreshExpires)
			}
			if p.RefreshExpires != p.RefreshExpires.Round(0) {
				t.Errorf("%s: the refresh token's end would stand still while the machine sleeps", c.name)
			}
		}
	}
}

// To keep an answer without a refresh token would be to lose the grant.
func TestAnswerThatWouldEndTheChainIsNoPair(t *testing.T) {
	t.Parallel()
	for _, member := range []string{
		`,"refresh_token":""`, `,"refresh_token":" "`, `,"refresh_token":7`, `,"refresh_token":{}`, `,"refresh_token":"a\nb"`, `,"refresh_token":"é"`,
		`,"refresh_token":"","expires_in":3600`, `,"expires_in":3600`, `,"expires_in":"3600","refresh_token":null`, `,"expires_in":0`,
		`,"expires_in":86399,"associated_user":{"id":902541635}`,
	} {
		for _, c := range offlineCalls() {
			_, err := c.askPair(t, &canned{status: 200, body: `{"access_token":"` + leaked + `"` + member + `}`})
			if mustRefuse(t, err, token.ErrTransient, "without a refresh token"); t.Failed() {
				t.Fatalf("%s: %s", c.name, member)
			}
		}
	}
}

func TestTokenWithoutAnEndIsPermanentWhereOneWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"access_token":"a","scope":"x"}`, `{"access_token":"a","scope":"x","expires_in":null,"refresh_token":null}`} {
		for _, c := range offlineCalls() {
			p, err := c.askPair(t, &canned{status: 200, body: body})
			if !c.permanent {
				mustRefuse(t, err, token.ErrTransient, "without a refresh token")
				continue
			}
			if err != nil || p.Token.Expires() || p.Token.Assumed || !p.Refresh.Empty() || !p.RefreshExpires.IsZero() || p.Token.Issued.IsZero() || !slices.Equal(p.Token.Scopes, []string{"x"}) {
				t.Errorf("%s: %+v, %v", c.name, p, err)
			}
		}
	}
}

func jsonError(code, description string) string {
	return fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, description)
}

const deadSentence = "This request requires an active refresh_token"

// The answers that end a chain, in answer to a refresh.
var deadAnswers = []struct {
	status int
	body   string
}{
	{401, jsonError("invalid_request", deadSentence)},
	{401, jsonError("invalid_request", deadSentence+".")},
	{401, jsonError("invalid_request", leaked+" requires an Active Refresh_Token, "+leaked)},
	{401, jsonError("invalid_request", "The refresh token is inactive")},
	{401, jsonError("invalid_request", "refresh_token is not active")},
	{401, jsonError("invalid_request", "The refresh_token has been revoked")},
	{401, `{"errors":"` + deadSentence + `"}`},
	{401, `{"errors":"Oauth error invalid_request: ` + deadSentence + `"}`},
	{401, jsonError("invalid_grant", leaked)},
	{400, jsonError("invalid_grant", "")},
}

func TestDeadRefreshTokenAsksForALogin(t *testing.T) {
	t.Parallel()
	refresh := offlineCalls()[0]
	for _, a := range deadAnswers {
		_, err := refresh.askPair(t, &canned{status: a.status, body: a.body})
		if mustRefuse(t, err, token.ErrReauthorize, fmt.Sprint(a.status), "refresh token is no longer active", "acme.myshopify.com", "`evergate login`"); t.Failed() {
			t.Fatal(a.body)
		}
	}
}

// Whatever is taken for the end of a chain costs a merchant a login, so nothing but the end is.
func TestNothingElseEndsAChain(t *testing.T) {
	t.Parallel()
	refresh := offlineCalls()[0]
	for _, a := range []struct {
		status   int
		header   http.Header
		body     string
		decision error
	}{
		{400, nil, jsonError("invalid_request", deadSentence), token.ErrConfig},
		{403, nil, jsonError("invalid_request", deadSentence), token.ErrConfig},
		{403, nil, jsonError("invalid_grant", ""), token.ErrConfig},
		{404, nil, jsonError("invalid_grant", ""), token.ErrConfig},
		{401, asPage, page("401 - Oauth error invalid_request", "Oauth error invalid_request: "+deadSentence), token.ErrConfig},
		{401, asPage, page("401 - Oauth error invalid_grant", ""), token.ErrConfig},
		{401, asText, deadSentence, token.ErrConfig},
		{401, nil, jsonError("invalid_request", ""), token.ErrConfig},
		{401, nil, jsonError("invalid_request", "Missing required parameter: refresh_token"), token.ErrConfig},
		{401, nil, jsonError("invalid_request", "This app is not active"), token.ErrConfig},
		{401, nil, jsonError("invalid_client", deadSentence), token.ErrConfig},
		{400, nil, jsonError("invalid_client", ""), token.ErrConfig},
		{401, nil, jsonError("unauthorized_client", "refresh_token"), token.ErrConfig},
		{401, nil, jsonError("invalid_request", "Could not find Shopify API application with api_key x and an active refresh_token"), token.ErrConfig},
		{400, asPage, page("400 - Oauth error invalid_request", "Oauth error invalid_request: "+leaked), token.ErrConfig},
		{400, asPage, page("400 - Oauth error application_cannot_be_found", ""), token.ErrConfig},
		{400, asPage, page("400 - Oauth error app_not_installed", ""), token.ErrConfig},
		{401, nil, `{"errors":"[API] Invalid API key or access token"}`, token.ErrConfig},
		{401, nil, "", token.ErrConfig},
		{404, asPage, page("Store unavailable", ""), token.ErrConfig},
		{402, nil, "", token.ErrConfig},
		{302, to("/password"), "", token.ErrConfig},
		{429, nil, jsonError("invalid_grant", ""), token.ErrTransient},
		{500, nil, jsonError("invalid_request", deadSentence), token.ErrTransient},
		{520, asText, "error code: 520", token.ErrTransient},
		{200, nil, jsonError("invalid_grant", deadSentence), token.ErrTransient},
		{200, asPage, page("Just a moment...", ""), token.ErrTransient},
	} {
		_, err := refresh.askPair(t, &canned{status: a.status, header: a.header, body: a.body})
		if mustRefuse(t, err, a.decision); t.Failed() {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for _, broken := range []error{context.DeadlineExceeded, errors.New("connection reset")} {
		_, err := refresh.askPair(t, &canned{err: broken})
		mustRefuse(t, err, token.ErrTransient)
	}
}

func TestNoOtherMethodAsksForALogin(t *testing.T) {
	t.Parallel()
	for _, c := range offlineCalls()[1:] {
		for _, a := range deadAnswers {
			_, err := c.askPair(t, &canned{status: a.status, body: a.body})
			mustRefuse(t, err, token.ErrConfig)
		}
	}
}

func TestRefusedSubjectIsNamedInTheGrantsOwnWords(t *testing.T) {
	t.Parallel()
	refresh, code, session, migrate := offlineCalls()[0], offlineCalls()[1], offlineCalls()[3], offlineCalls()[4]
	const used = "The authorization code was not found or was already used " + leaked
	for _, tc := range []struct {
		name    string
		call    offlineCall
		status  int
		header  http.Header
		body    string
		subject error
		say     string
	}{
		{"code", code, 400, nil, jsonError("invalid_request", used), ErrCode, "start the login again"},
		{"code_in_a_page", code, 400, asPage, page("400", "Oauth error invalid_request: "+used), ErrCode, "start the login again"},
		{"code_not_acceptable", code, 406, nil, jsonError("invalid_request", used), ErrCode, "start the login again"},
		{"code_in_oauth_words", code, 400, nil, jsonError("invalid_grant", leaked), ErrCode, "start the login again"},
		{"code_without_a_sentence", code, 400, nil, `{"error":"invalid_request"}`, ErrCode, "start the login again"},
		{"code_or_secret", code, 400, asPage, page("400 - Oauth error invalid_request", ""), nil, "check SHOPIFY_CLIENT_SECRET, then start the login again"},
		{"code_of_no_app", code, 400, asPage, page("400", "Oauth error invalid_request: Could not find Shopify API application with api_key x"), nil, "no app has this client id"},
		{"code_wrong_secret", code, 401, nil, jsonError("invalid_client", leaked), nil, "do not belong together"},
		{"code_not_installed", code, 400, asPage, page("400 - Oauth error app_not_installed", ""), nil, "install it, then authorise it there"},
		{"code_not_allowed", code, 400, nil, jsonError("unsupported_grant_type", leaked), nil, "check SHOPIFY_CLIENT_ID and EVERGATE_GRANT"},
		{"session", session, 400, nil, jsonError("invalid_subject_token", leaked), ErrSubjectToken, "open the app in the shop's admin again"},
		{"session_in_oauth_words", session, 400, nil, jsonError("invalid_grant", leaked), ErrSubjectToken, "open the app in the shop's admin again"},
		{"migrate", migrate, 400, nil, jsonError("invalid_subject_token", leaked), ErrSubjectToken, "cannot be migrated"},
		{"migrate_wrong_secret", migrate, 400, nil, jsonError("invalid_client", leaked), nil, "do not belong together"},
		{"refresh_has_no_subject", refresh, 400, nil, jsonError("invalid_subject_token", leaked), nil, "check SHOPIFY_CLIENT_ID"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := tc.call.askPair(t, &canned{status: tc.status, header: tc.header, body: tc.body})
			mustRefuse(t, err, token.ErrConfig, tc.say)
			for _, subject := range []error{ErrCode, ErrSubjectToken} {
				if errors.Is(err, subject) != errors.Is(tc.subject, subject) {
					t.Errorf("%v: is %q: %t", err, subject, errors.Is(err, subject))
				}
			}
			if strings.Contains(err.Error(), "client credentials") {
				t.Errorf("%v: speaks of another grant", err)
			}
		})
	}
}

func TestOfflineGrantIsNamedAsInTheConfiguration(t *testing.T) {
	t.Parallel()
	if (Offline{}).Name() != "offline" {
		t.Error("the name has changed; it is API, in EVERGATE_GRANT and in metrics")
	}
}

package login

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"evergate/internal/denial"
	"evergate/internal/shopsim"
)

// post sends a body to the exchange.
func (r *rig) post(log *bytes.Buffer, contentType, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "http://localhost:9090/-/token-exchange", strings.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	r.flow.ExchangeHandler(slog.New(slog.NewTextHandler(log, nil))).ServeHTTP(w, req)
	return w
}

func TestSessionTokenIsExchangedAndTheGrantStored(t *testing.T) {
	t.Parallel()
	for _, form := range []bool{false, true} {
		r := newRig(t, func(o *Options) { o.Scopes = []string{"write_products", "read_orders"} })
		session := r.sim.SessionToken("", "")
		contentType, body := "application/json; charset=utf-8", `{"session_token": "`+session+`"}`
		if form {
			contentType, body = "application/x-www-form-urlencoded", url.Values{"session_token": {session}}.Encode()
		}
		var log bytes.Buffer
		w := r.post(&log, contentType, body)
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		expires, err := time.Parse(time.RFC3339, got["expires"].(string))
		if len(got) != 4 || got["shop"] != shopsim.DefaultShop || len(got["scopes"].([]any)) != 2 || len(got["missing_scopes"].([]any)) != 1 || err != nil || time.Until(expires) < 59*time.Minute {
			t.Errorf("%v", got)
		}
		rec := r.record(t)
		for _, secret := range []string{session, rec.Current.Token.Access.Reveal(), rec.Current.Refresh.Reveal()} {
			if secret == "" || strings.Contains(w.Body.String()+log.String(), secret) {
				t.Error("a token is in the answer or the log, or nothing is stored")
			}
		}
		if w.Header().Get("Cache-Control") != "no-store" || !r.sim.ChainAlive("", "") {
			t.Errorf("%v", w.Header())
		}
	}
}

func TestWhatIsNoSessionTokenIsNotExchanged(t *testing.T) {
	t.Parallel()
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	r := newRig(t)
	good := r.sim.SessionToken("", "")
	edited := func(edit func(*shopsim.SessionClaims)) string {
		return `{"session_token":"` + r.sim.SessionToken("", "", edit) + `"}`
	}
	for _, tc := range []struct {
		name, contentType, body string
		want                    int
	}{
		{"nothing", asJSON, "", 400},
		{"empty_object", asJSON, "{}", 400},
		{"empty_token", asJSON, `{"session_token":""}`, 400},
		{"not_json", asJSON, "session_token=" + good, 400},
		{"not_a_form", asForm, `{"session_token":"` + good + `"}`, 400},
		{"twice", asForm, "session_token=" + good + "&session_token=" + good, 400},
		{"no_type", "", `{"session_token":"` + good + `"}`, 400},
		{"text", "text/plain", `{"session_token":"` + good + `"}`, 400}, // what a web page may send without asking
		{"too_large", asJSON, `{"session_token":"` + good + `","x":"` + strings.Repeat("x", maxSessionBody) + `"}`, 400},
		{"forged", asJSON, `{"session_token":"` + good[:len(good)-4] + `AAAA"}`, 400},
		{"expired", asJSON, edited(func(c *shopsim.SessionClaims) { c.Expires -= 3600 }), 400},
		{"other_app", asJSON, edited(func(c *shopsim.SessionClaims) { c.Audience = "x" }), 400},
		{"other_shop", asJSON, `{"session_token":"` + r.sim.SessionToken("other-shop", "") + `"}`, 403},
	} {
		var log bytes.Buffer
		w := r.post(&log, tc.contentType, tc.body)
		var answer struct{ Errors string }
		code := map[int]string{400: denial.CodeInvalidSessionToken, 403: denial.CodeDeniedShop}[tc.want]
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != tc.want || w.Header().Get(denial.Header) != code || answer.Errors == "" || !strings.Contains(log.String(), "not exchanged") {
			t.Errorf("%s: %d %s", tc.name, w.Code, w.Body)
		}
	}
	if r.posts() != 0 || !r.isEmpty(t) {
		t.Error("something was exchanged")
	}
}

func TestShopifysRefusalOfASessionTokenIsPassedOn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fault shopsim.Fault
		want  int
	}{
		{shopsim.Fault{Kind: shopsim.FaultStatus, Status: 502}, 503},
		{shopsim.Fault{Kind: shopsim.FaultStatus, Status: 400, ContentType: "application/json", Body: `{"error":"invalid_subject_token"}`}, 400},
		{shopsim.Fault{Kind: shopsim.FaultStatus, Status: 404}, 503},
	} {
		r := newRig(t)
		tc.fault.Endpoint = shopsim.TokenEndpoint
		r.sim.Inject(tc.fault)
		var log bytes.Buffer
		if w := r.post(&log, "application/json", `{"session_token":"`+r.sim.SessionToken("", "")+`"}`); w.Code != tc.want || !r.isEmpty(t) {
			t.Errorf("%+v: %d %s", tc.fault, w.Code, w.Body)
		}
	}
}

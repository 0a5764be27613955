package shopsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// params are the parameters of a token request, whichever way they came.
type params map[string]string

// grantNames are the values of grant_type. A code may come without one.
var grantNames = map[string]Grant{
	"":                   GrantCode,
	"authorization_code": GrantCode,
	"client_credentials": GrantClientCredentials,
	"refresh_token":      GrantRefresh,
	"urn:ietf:params:oauth:grant-type:token-exchange": GrantExchange,
}

// grant is what the parameters ask for.
func (p params) grant() Grant {
	g, ok := grantNames[p["grant_type"]]
	switch {
	case !ok:
		return grantOther
	case g == GrantExchange && p["subject_token_type"] == offlineType:
		return GrantMigration
	}
	return g
}

// expiring tells whether the parameters ask for a token that expires.
func (p params) expiring() bool { return p["expiring"] == "1" || p["expiring"] == "true" }

// tokenEndpoint answers POST /admin/oauth/access_token. The order of the checks
// is observable and has been measured in part: the app is looked up before
// anything else about the request matters.
func (s *Sim) tokenEndpoint(q *request, f Fault) *response {
	p := q.params
	a := s.state.apps[p["client_id"]]
	switch {
	case q.Method != http.MethodPost:
		return methodNotAllowed(http.MethodPost)
	case q.paramsErr != nil:
		return oauthJSON(http.StatusBadRequest, "invalid_request", q.paramsErr.Error())
	case a == nil:
		return unknownApp(p["client_id"])
	case q.grant == GrantClientCredentials:
		return s.clientCredentials(q, a, f)
	case q.grant == grantOther:
		return oauthJSON(http.StatusBadRequest, "unsupported_grant_type",
			fmt.Sprintf("The grant type %q is not supported", p["grant_type"]))
	case !slices.Contains(a.secrets, p["client_secret"]):
		return wrongSecret(s.state.settings.WrongSecretOther)
	}
	switch q.grant {
	case GrantRefresh:
		return s.refreshGrant(q, a, f)
	case GrantExchange:
		return s.exchangeGrant(q, a, f)
	case GrantMigration:
		return s.migrationGrant(q, a, f)
	default:
		return s.codeGrant(q, a, f)
	}
}

func unknownApp(clientID string) *response {
	return oauthHTML("application_cannot_be_found", "Could not find Shopify API application with api_key "+clientID)
}

func missing(parameter string) *response {
	return oauthJSON(http.StatusBadRequest, "invalid_request", "Missing required parameter: "+parameter)
}

// parseParams reads a JSON or form body. Parameters in the URL do not count.
func parseParams(contentType string, body []byte) (params, error) {
	if media, _, _ := mime.ParseMediaType(contentType); media == "application/json" {
		return parseJSONParams(body)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("the form could not be parsed: %w", err)
	}
	p := params{}
	for name := range form {
		p[name] = form.Get(name)
	}
	return p, nil
}

// parseJSONParams takes strings, numbers and booleans alike ("1", 1 and true
// are all sent for the same parameter by one client or another); other values
// cannot be meant for us and are ignored, like all unknown parameters.
func parseJSONParams(body []byte) (params, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, fmt.Errorf("the JSON could not be parsed: %w", err)
	}
	p := params{}
	for name, v := range object {
		switch v := v.(type) {
		case string:
			p[name] = v
		case json.Number:
			p[name] = v.String()
		case bool:
			p[name] = strconv.FormatBool(v)
		}
	}
	return p, nil
}

// clientCredentials is the grant of apps whose organisation also owns the shop.
func (s *Sim) clientCredentials(q *request, a *app, f Fault) *response {
	secret := q.params["client_secret"]
	switch {
	case !slices.Contains(a.secrets, secret):
		return wrongSecret(s.state.settings.WrongSecret)
	case q.shop.otherOrg:
		return s.notPermitted()
	case !q.shop.installed[a.id]:
		return oauthHTML("app_not_installed", "The app is not installed on this shop.")
	}
	t, repeated := s.clientCredentialsToken(q, grantKey{a, q.shop}, secret)
	return s.handOver(q, t, nil, repeated, f)
}

func (s *Sim) clientCredentialsToken(q *request, k grantKey, secret string) (t *token, repeated bool) {
	c := s.state.settings
	switch c.Repeat {
	case RepeatSame:
		old := s.state.newest(k, q.now)
		if old != nil && old.expires.Sub(q.now) > c.SameWhile {
			return old, true
		}
	case RepeatReplace:
		s.state.endTokens(func(t *token) bool { return t.grantKey == k && t.kind == kindShort })
	}
	return s.state.mint(token{grantKey: k, kind: kindShort, scopes: k.app.scopes, secret: secret}, c.TokenLife, q.now), false
}

func wrongSecret(form ErrorForm) *response {
	if form == ErrorJSON {
		return oauthJSON(http.StatusUnauthorized, "invalid_client", "Client authentication failed")
	}
	return oauthHTML("invalid_request", "The client credentials are invalid.")
}

func (s *Sim) notPermitted() *response {
	const text = "Client credentials cannot be performed on this shop."
	if s.state.settings.NotPermitted == ErrorJSON {
		return oauthJSON(http.StatusBadRequest, "shop_not_permitted", text)
	}
	return oauthHTML("shop_not_permitted", text)
}

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
	"strings"
)

// params are the parameters of a token request, whichever way they came.
type params map[string]string

// tokenEndpoint answers POST /admin/oauth/access_token. The order of the checks
// is observable and has been measured in part: the app is looked up before
// anything else about the request matters.
func (s *Sim) tokenEndpoint(q *request, f Fault) *response {
	if q.Method != http.MethodPost {
		return methodNotAllowed(http.MethodPost)
	}
	p, err := parseParams(q.Header.Get("Content-Type"), q.body)
	if err != nil {
		return oauthJSON(http.StatusBadRequest, "invalid_request", err.Error())
	}
	a := s.state.apps[p["client_id"]]
	if a == nil {
		return oauthHTML("application_cannot_be_found",
			"Could not find Shopify API application with api_key "+p["client_id"])
	}
	switch p["grant_type"] {
	case "client_credentials":
		return s.clientCredentials(q, a, p, f)
	case "":
		return oauthJSON(http.StatusBadRequest, "invalid_request", "Missing required parameter: grant_type")
	}
	return oauthJSON(http.StatusBadRequest, "unsupported_grant_type",
		fmt.Sprintf("The grant type %q is not supported", p["grant_type"]))
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
func (s *Sim) clientCredentials(q *request, a *app, p params, f Fault) *response {
	switch {
	case !slices.Contains(a.secrets, p["client_secret"]):
		return s.wrongSecret()
	case q.shop.otherOrg:
		return s.notPermitted()
	case !q.shop.installed[a.id]:
		return oauthHTML("app_not_installed", "The app is not installed on this shop.")
	}
	t, repeated := s.clientCredentialsToken(q, a, p["client_secret"])
	life := t.expires.Sub(q.now)
	q.minted = &TokenEvent{Time: q.now, Shop: q.shop.domain, ClientID: a.id, Grant: "client_credentials",
		Token: t.value, Life: life, Repeated: repeated}
	return jsonResponse(http.StatusOK, tokenAnswer{
		AccessToken: t.value,
		Scope:       strings.Join(t.scopes, ","),
		ExpiresIn:   f.expiresIn(int64(life.Seconds())),
	})
}

// tokenAnswer is the success of the token endpoint.
type tokenAnswer struct {
	AccessToken string          `json:"access_token"`
	Scope       string          `json:"scope"`
	ExpiresIn   json.RawMessage `json:"expires_in,omitempty"`
}

func (s *Sim) clientCredentialsToken(q *request, a *app, secret string) (t *token, repeated bool) {
	c := s.state.settings
	switch c.Repeat {
	case RepeatSame:
		old := s.state.newest(a, q.shop, q.now)
		if old != nil && !old.expires.IsZero() && old.expires.Sub(q.now) > c.SameWhile {
			return old, true
		}
	case RepeatReplace:
		s.state.dropTokens(func(t *token) bool { return t.app == a && t.shop == q.shop && !t.expires.IsZero() })
	}
	return s.mint(a, q.shop, secret, c.TokenLife, q.now), false
}

func (s *Sim) wrongSecret() *response {
	if s.state.settings.WrongSecret == ErrorJSON {
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

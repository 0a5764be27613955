package shopify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"evergate/internal/netfail"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// ClientVersion is the API version that the calls on our own account ask for: the latest stable one when this was
// written. Shopify serves a later one once it is retired.
const ClientVersion = "2026-10"

const (
	// tokenPath is the one token endpoint of every grant; it has no API version.
	tokenPath     = "/admin/oauth/access_token"
	uninstallPath = "/admin/api_permissions/current.json"
	shopPath      = apiPrefix + ClientVersion + "/shop.json"
	graphQLPath   = apiPrefix + ClientVersion + "/graphql.json"

	// maxAnswer bounds what is read of an answer. A list of scopes has a few KiB, an error page
	// under 100 KiB.
	maxAnswer = 1 << 20
)

// Client makes the few calls that Evergate makes on its own account: to obtain a token, to
// check one, and to end an app's access. A token travels in one header, to the shop and
// to nobody else; no redirect is followed and nothing is sent twice; no error holds a token
// or a piece of an answer. Its fields are set once; its methods are safe for concurrent use
// and wait no longer than their ctx.
type Client struct {
	// Shop is the store that is called; its domain is the Host sent.
	Shop token.Shop
	// Base is where to connect: scheme and authority, no path.
	Base *url.URL
	// Transport carries the calls. It must not follow redirects or retry by itself.
	Transport http.RoundTripper
	// UserAgent is sent with every call.
	UserAgent string
	// Remedies writes the commands that errors name.
	Remedies remedy.Shop
}

// Greeting is what a shop answers to a call without a token.
type Greeting struct {
	Status int
	// ClockAhead is Shopify's clock minus ours, good to a second or so; nil when it told no time.
	ClockAhead *time.Duration
}

// Greet calls the shop without a token. Of a shop that exists the status is 401. The error
// is a *CallError when the shop is not to be found here.
func (c *Client) Greet(ctx context.Context) (Greeting, error) {
	a, err := c.call(ctx, http.MethodGet, shopPath, token.Secret{}, nil)
	if err != nil {
		return Greeting{}, err
	}
	g := Greeting{Status: a.Status}
	if ahead, ok := ClockAhead(a.Sent, a.Received, a.Header); ok {
		g.ClockAhead = &ahead
	}
	if a.Status == http.StatusNotFound || a.Status >= 300 && a.Status < 400 {
		return g, c.callError(a)
	}
	return g, nil
}

// Scopes returns the scopes that the token has, as Shopify writes them. The error is a
// *CallError when Shopify did not want to say.
func (c *Client) Scopes(ctx context.Context, access token.Secret) ([]string, error) {
	var v struct {
		Scopes []struct {
			Handle string `json:"handle"`
		} `json:"access_scopes"`
	}
	if _, err := c.ask(ctx, ScopesPath, access, nil, &v); err != nil {
		return nil, err
	}
	scopes := []string{}
	for _, s := range v.Scopes {
		scopes = append(scopes, s.Handle)
	}
	if token.BelievableScopes(scopes) == nil {
		return nil, remedy.New("see whether EVERGATE_UPSTREAM_URL leads to Shopify", "the answer names more scopes than an app can have")
	}
	return scopes, nil
}

// An answer may name more versions, and longer ones, than Shopify has; those are left out.
const (
	mostVersions   = 32
	longestVersion = len("2026-10") + 8
)

// Versions is what is known of the API's versions.
type Versions struct {
	// Served is the version that answered a call for ClientVersion.
	Served string
	// Supported are the stable ones, oldest first; nil when Shopify did not say.
	Supported []string
}

// Versions asks for the API's versions. Where the question is not answered, what served
// it is known all the same.
func (c *Client) Versions(ctx context.Context, access token.Secret) (Versions, error) {
	var v struct {
		Data struct {
			Versions []struct {
				Handle    string `json:"handle"`
				Supported bool   `json:"supported"`
			} `json:"publicApiVersions"`
		} `json:"data"`
	}
	a, err := c.ask(ctx, graphQLPath, access, []byte(`{"query":"{ publicApiVersions { handle supported } }"}`), &v)
	if err != nil {
		return Versions{}, err
	}
	var out Versions
	if served := a.Header.Get(HeaderAPIVersion); len(served) <= longestVersion {
		out.Served = served
	}
	for _, version := range v.Data.Versions {
		if version.Supported && len(version.Handle) <= longestVersion && len(out.Supported) < mostVersions {
			out.Supported = append(out.Supported, version.Handle)
		}
	}
	return out, nil
}

// Uninstall removes the app that the token is of from the shop, and ends every token that
// it has there.
func (c *Client) Uninstall(ctx context.Context, access token.Secret) error {
	a, err := c.call(ctx, http.MethodDelete, uninstallPath, access, nil)
	if err != nil {
		return err
	}
	if a.Status/100 != 2 {
		return c.callError(a)
	}
	return nil
}

// ask makes a call whose answer is to be JSON with status 200: a POST if there is a body.
func (c *Client) ask(ctx context.Context, path string, access token.Secret, body []byte, into any) (*Answer, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	a, err := c.call(ctx, method, path, access, body)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, c.callError(a)
	}
	// The decoder's own error is dropped: it may quote the body.
	if json.Unmarshal(a.Body, into) != nil {
		return nil, remedy.New("something between here and Shopify answers in its place; see EVERGATE_UPSTREAM_URL", "the answer is not JSON")
	}
	return a, nil
}

// PostToken posts a form to the token endpoint, where the answer counts whatever its status. The
// error is the transport's own. Where the answer broke off, there is an Answer beside it.
//
// The body is a form, not JSON: the endpoint takes both for every grant, and the form is the
// encoding that RFC 6749 requires of it.
func (c *Client) PostToken(ctx context.Context, form url.Values) (*Answer, error) {
	return c.roundTrip(ctx, http.MethodPost, tokenPath, token.Secret{}, "application/x-www-form-urlencoded", []byte(form.Encode()))
}

// Answer is what came back.
type Answer struct {
	Status         int
	Header         http.Header
	Body           []byte // the first MiB
	Sent, Received time.Time
}

// call makes a call whose body, if there is one, is JSON.
func (c *Client) call(ctx context.Context, method, path string, access token.Secret, body []byte) (*Answer, error) {
	a, err := c.roundTrip(ctx, method, path, access, "application/json", body)
	switch {
	case a == nil:
		return nil, fmt.Errorf("no answer of %s: %w", c.Shop, cause(ctx, err))
	case err != nil && a.Status == http.StatusOK:
		return nil, fmt.Errorf("the answer of %s broke off: %w", c.Shop, cause(ctx, netfail.Plain(err)))
	}
	return a, nil
}

// roundTrip is every call there is. Without an answer the Answer is nil.
func (c *Client) roundTrip(ctx context.Context, method, path string, access token.Secret, contentType string, body []byte) (*Answer, error) {
	target := *c.Base
	target.Path = path
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Host = c.Shop.Domain()
	req.GetBody = nil // without it no transport can send a body twice: a second POST is the caller's to decide
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if !access.Empty() {
		req.Header.Set(HeaderAccessToken, access.Reveal())
	}
	a := &Answer{Sent: time.Now()}
	resp, err := c.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a.Status, a.Header = resp.StatusCode, resp.Header
	a.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	a.Received = time.Now()
	return a, err
}

// cause prefers the reason of a context's end over "context deadline exceeded".
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

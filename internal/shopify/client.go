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

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// ClientVersion is the API version that the calls on our own account ask for: the latest stable one when this was
// written. Shopify serves a later one once it is retired.
const ClientVersion = "2026-10"

const (
	uninstallPath = "/admin/api_permissions/current.json"
	shopPath      = apiPrefix + ClientVersion + "/shop.json"
	graphQLPath   = apiPrefix + ClientVersion + "/graphql.json"

	// maxAnswer bounds what is read of an answer. A list of scopes has a few KiB.
	maxAnswer = 1 << 20
)

// Client makes the few calls to the Admin API that Evergate makes on its own account: to
// check a token, and to end an app's access. A token travels in one header, to the shop and
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
	g := Greeting{Status: a.status}
	if ahead, ok := ClockAhead(a.sent, a.received, a.header); ok {
		g.ClockAhead = &ahead
	}
	if a.status == http.StatusNotFound || a.status >= 300 && a.status < 400 {
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
	return scopes, nil
}

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
	out := Versions{Served: a.header.Get(HeaderAPIVersion)}
	for _, version := range v.Data.Versions {
		if version.Supported {
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
	if a.status/100 != 2 {
		return c.callError(a)
	}
	return nil
}

// ask makes a call whose answer is to be JSON with status 200: a POST if there is a body.
func (c *Client) ask(ctx context.Context, path string, access token.Secret, body []byte, into any) (*answer, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	a, err := c.call(ctx, method, path, access, body)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, c.callError(a)
	}
	// The decoder's own error is dropped: it may quote the body.
	if json.Unmarshal(a.body, into) != nil {
		return nil, remedy.New("something between here and Shopify answers in its place; see EVERGATE_UPSTREAM_URL", "the answer is not JSON")
	}
	return a, nil
}

// answer is what came back.
type answer struct {
	status         int
	header         http.Header
	body           []byte
	sent, received time.Time
}

func (c *Client) call(ctx context.Context, method, path string, access token.Secret, body []byte) (*answer, error) {
	target := *c.Base
	target.Path = path
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Host = c.Shop.Domain()
	req.GetBody = nil // without it no transport can send a body twice
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !access.Empty() {
		req.Header.Set(HeaderAccessToken, access.Reveal())
	}
	a := &answer{sent: time.Now()}
	resp, err := c.Transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("no answer of %s: %w", c.Shop, cause(ctx, err))
	}
	defer resp.Body.Close()
	a.status, a.header, a.received = resp.StatusCode, resp.Header, time.Now()
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil && a.status == http.StatusOK {
		return nil, fmt.Errorf("the answer of %s broke off: %w", c.Shop, cause(ctx, err))
	}
	return a, nil
}

// cause prefers the reason of a context's end over "context deadline exceeded".
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

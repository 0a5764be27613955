package grant

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"evergate/internal/token"
)

// Client is the app's identity at the token endpoint (RFC 6749 section 2.3.1).
type Client struct {
	ID     string
	Secret token.Secret
}

// refusedFor is how long a secret that was refused stands behind the other one. Not for
// ever: a secret made a moment ago takes a little to be known, and when the old secret is
// revoked, every token goes with it that was not renewed with the new one before.
const refusedFor = time.Hour

// refusedSecret remembers that Shopify refused the client's secret and took the previous one.
type refusedSecret struct {
	secret token.Secret
	until  time.Time
}

// post sends the grant's parameters together with the client's. While the app has two
// secrets and Shopify refuses the client with one, it sends them again with the other.
//
// That is not a retry of a grant: who the client is comes before what it asks for, so a
// refused client was granted nothing, and neither its code nor its refresh token is spent.
// Every other failure, above all a lost answer, ends the call.
func (e *Endpoint) post(ctx context.Context, params url.Values, own reading) (answer, error) {
	client, err := e.Client()
	if err != nil {
		return answer{}, token.Decide(token.ErrConfig, err)
	}
	secrets, unread := e.secrets(client)
	params.Set("client_id", client.ID)
	var refused error
	for i, secret := range secrets {
		params.Set("client_secret", secret.Reveal())
		a, err := e.send(ctx, params, own)
		if !refusesClient(err) {
			if err == nil {
				e.remember(client.Secret, secret, i > 0)
			}
			return a, err
		}
		refused = err
	}
	if unread != nil {
		return answer{}, fmt.Errorf("%w; the previous secret could not be tried: %w", refused, unread)
	}
	return answer{}, refused
}

// secrets returns the one or two secrets to try, the likelier first. A previous one that
// cannot be read is no obstacle as long as the first is taken: at the end of a rotation
// somebody removes its file.
func (e *Endpoint) secrets(client Client) (list []token.Secret, unread error) {
	list = []token.Secret{client.Secret}
	if e.Previous == nil {
		return list, nil
	}
	previous, err := e.Previous()
	if err != nil || previous.Empty() || previous.Equal(client.Secret) {
		return list, err
	}
	if m := e.refused.Load(); m != nil && m.secret.Equal(client.Secret) && time.Now().Before(m.until) {
		return []token.Secret{previous, client.Secret}, nil
	}
	return append(list, previous), nil
}

// remember notes which secret Shopify took. Only a fresh refusal of the current one starts
// the hour, so that success with the previous one does not prolong it.
func (e *Endpoint) remember(current, taken token.Secret, afterRefusal bool) {
	switch {
	case taken.Equal(current):
		e.refused.Store(nil)
	case afterRefusal:
		e.refused.Store(&refusedSecret{secret: current, until: time.Now().Add(refusedFor)})
	}
}

func refusesClient(err error) bool {
	var refused *EndpointError
	return errors.As(err, &refused) && refused.verdict.client
}

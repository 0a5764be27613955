// Package login obtains an offline grant with a merchant's consent: the authorization-code
// flow, behind a listener on this machine or behind a public address, and the exchange of a
// session token.
//
// Invariants:
//
//   - A state is good for one callback, for ten minutes, and for whoever began with it: the
//     command that printed the link, or the browser that was sent to it. It is signed and not
//     kept, so strangers who begin logins take nothing of anybody's.
//   - A callback that is refused changes nothing. The state it names, if any, goes on waiting,
//     so a stranger cannot end a login.
//   - What Shopify hands out is stored under the lease, which has time left for that when it is asked; and once a code is on its way to
//     Shopify neither a browser that leaves nor a shutdown stops it: a code works once, and
//     the pair it brings retires the one before.
//   - No page, answer, log line or error holds a token, a code or a secret.
package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"evergate/internal/grant"
	"evergate/internal/store"
	"evergate/internal/token"
)

const (
	// Life is how long a merchant may take from the link to the answer.
	Life = 10 * time.Minute
	// finishWithin bounds what follows a callback: the wait for a refresh under way, the
	// POST with either secret, and the write. It is a stop for what cannot happen.
	finishWithin = 3 * time.Minute
	// storeTries is how often a grant in hand is stored against writers that are faster.
	storeTries = 5
)

// ErrClosing says that the process is about to end.
var ErrClosing = errors.New("Evergate is shutting down: start the login again in a moment")

// Options configures New. Grant is required, and Store or Open.
type Options struct {
	// Grant is the app and the shop whose merchant is asked.
	Grant grant.Offline
	// Store is where the grant will rest.
	Store token.Store
	// Open opens that place for a grant that is about to come; nil: Store is it.
	Open func() (token.Store, error)
	// Stored is told that a new grant rests there; nil: nobody has to know.
	Stored func()
	// Scopes are asked for; without any the app's configuration at Shopify decides.
	Scopes []string
	// AppName is the name by which merchants know the app; empty: the pages call it the app.
	AppName string
	// Permanent asks for a token that does not expire. Shopify is about to end those.
	Permanent bool
}

// Flow is the logins of one app on one shop. Its methods are safe for concurrent use.
type Flow struct {
	Options
	turns
	states *states
}

// turns are for grants that are being obtained.
type turns struct {
	exchanging chan struct{} // holds one for each grant that is being obtained
	closed     chan struct{}
}

func newTurns(most int) turns { return turns{make(chan struct{}, most), make(chan struct{})} }

// Granted is what a person may know of a new grant.
type Granted struct {
	Shop token.Shop
	// Scopes are those that were granted; nil when Shopify did not say.
	Scopes []string
	// MissingScopes were asked for and not granted.
	MissingScopes []string
	// Expires is when the access token ends, RefreshExpires when the grant ends if it is
	// not used. Zero: never, or not known.
	Expires, RefreshExpires time.Time
}

// New returns a flow. Logins that another one began are none of its.
func New(o Options) *Flow {
	return &Flow{o, newTurns(1), newStates(o.Grant.Endpoint.API.Shop.Domain())}
}

// Begin starts a login that will end at redirectURI. It returns where the merchant's
// browser goes now, and the state that Finish must be given.
func (f *Flow) Begin(redirectURI string) (authorizeURL, state string, err error) {
	client, err := f.Grant.Endpoint.Client()
	if err != nil {
		return "", "", err
	}
	state = f.states.issue(time.Now())
	return grant.AuthorizeURL(f.Grant.Endpoint.API.Shop, client.ID, redirectURI, f.Scopes, state), state, nil
}

// Finish takes the query of the callback to the login that began with state, exchanges its
// code and stores what comes. Unless the error IsOver, the login goes on waiting.
func (f *Flow) Finish(ctx context.Context, state, rawQuery string) (Granted, error) {
	client, secrets, err := f.client()
	if err != nil {
		return Granted{}, err
	}
	if !f.states.waits(state, time.Now()) {
		state = "" // which no callback matches
	}
	code, err := grant.VerifyCallback(rawQuery, grant.Callback{Shop: f.Grant.Endpoint.API.Shop, State: state, Secrets: secrets, Now: time.Now()})
	if err != nil && !errors.Is(err, grant.ErrDeclined) {
		return Granted{}, err
	}
	if !f.states.use(state, time.Now()) {
		return Granted{}, grant.ErrState
	}
	if err != nil {
		return Granted{}, err
	}
	return f.acquire(ctx, client.ID, func(ctx context.Context) (token.Pair, error) {
		return f.Grant.ExchangeCode(ctx, code, !f.Permanent)
	})
}

// IsOver reports whether an error of Finish ended its login. What anybody could have sent
// does not, nor does what was spoilt on the way.
func IsOver(err error) bool {
	for _, refusal := range []error{grant.ErrMalformed, grant.ErrState, grant.ErrHMAC, grant.ErrShop, grant.ErrStale} {
		if errors.Is(err, refusal) {
			return false
		}
	}
	return err != nil
}

// client returns the app and its secrets as they are now. As at the token endpoint, a
// previous secret that cannot be read is no obstacle.
func (f *Flow) client() (grant.Client, []token.Secret, error) {
	e := f.Grant.Endpoint
	client, err := e.Client()
	if err != nil {
		return grant.Client{}, nil, err
	}
	secrets := []token.Secret{client.Secret}
	if e.Previous != nil {
		if previous, err := e.Previous(); err == nil {
			secrets = append(secrets, previous)
		}
	}
	return client, secrets, nil
}

// acquire obtains a pair and stores it in place of whatever is stored. A failure to obtain
// one stores nothing. A pair in hand is the newest there is, so it is stored against whoever
// writes at the same time.
func (f *Flow) acquire(ctx context.Context, clientID string, obtain func(context.Context) (token.Pair, error)) (Granted, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	select {
	case f.exchanging <- struct{}{}:
		defer func() { <-f.exchanging }()
	case <-f.closed:
		return Granted{}, ErrClosing
	}
	place := f.Store
	if f.Open != nil {
		var err error
		if place, err = f.Open(); err != nil {
			return Granted{}, err
		}
	}
	var pair token.Pair
	inHand := false
	edit := func(token.Record) (next token.Record, err error) {
		if !inHand {
			if pair, err = obtain(ctx); err != nil {
				return token.Record{}, err
			}
			inHand = true
		}
		return token.Begin(token.Record{Shop: f.Grant.Endpoint.API.Shop.Domain(), ClientID: clientID, Grant: f.Grant.Name(), Current: pair}), nil
	}
	err := store.Replace(ctx, place, edit)
	for n := 1; n < storeTries && inHand && errors.Is(err, token.ErrConflict); n++ {
		err = store.Keep(ctx, place, edit)
	}
	if err != nil && inHand {
		return Granted{}, fmt.Errorf("Shopify granted it, but it cannot be stored: %w; mend that, then start the login again", err)
	}
	if err != nil {
		return Granted{}, err
	}
	if f.Stored != nil {
		f.Stored()
	}
	return f.granted(pair), nil
}

func (f *Flow) granted(p token.Pair) Granted {
	g := Granted{Shop: f.Grant.Endpoint.API.Shop, Scopes: p.Token.Scopes, RefreshExpires: p.RefreshExpires}
	if p.Token.Scopes != nil {
		g.MissingScopes = token.MissingScopes(f.Scopes, p.Token.Scopes)
	}
	if p.Token.Expires() {
		g.Expires = p.Token.Issued.Round(0).Add(p.Token.Life)
	}
	return g
}

// Close waits for the grants that are being obtained and lets no other begin. It is called once.
func (t turns) Close() {
	for range cap(t.exchanging) {
		t.exchanging <- struct{}{}
	}
	close(t.closed)
}

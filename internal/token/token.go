// Package token is the vocabulary of the house: what a token, a secret and a shop are,
// and the decisions an error can ask for. Of Evergate it imports only remedy.
//
// Invariants: a Secret cannot be printed; a Shop has passed validation; a Token is
// immutable once made.
package token

import (
	"errors"
	"time"
)

// The decisions that an error from a grant can ask for. Match them with errors.Is.
var (
	// ErrTransient asks to try the same again after a pause: the network, a time-out,
	// a 429 or 5xx, an answer cut short.
	ErrTransient = errors.New("temporary failure")
	// ErrConfig asks a person to change the configuration, here or at Shopify. Trying
	// again is harmless and, now and then, right: a new app takes a while to spread.
	ErrConfig = errors.New("configuration error")
	// ErrReauthorize says that the grant is dead and a person must authorise anew.
	ErrReauthorize = errors.New("the grant must be authorised anew")
)

// Decide makes err ask for one of the decisions. The text stays err's own, which is for
// people: they are to read what happened, not what the program does about it.
func Decide(decision, err error) error { return &decided{decision, err} }

type decided struct{ decision, err error }

// Error implements error.
func (e *decided) Error() string { return e.err.Error() }

// Unwrap lets errors.Is and errors.As find both.
func (e *decided) Unwrap() []error { return []error{e.decision, e.err} }

// Token is one access token and what is known of its life.
type Token struct {
	// Access is the value for X-Shopify-Access-Token: an opaque string of any length.
	Access Secret
	// Scopes are the scopes Shopify granted, as it wrote them; nil when it did not say.
	Scopes []string
	// Issued is when the request that obtained the token was sent, by this machine's
	// clock: the life counts from then, so that a slow answer never makes us late.
	Issued time.Time
	// Life is how long the token lives from Issued on; zero means that it does not expire.
	Life time.Duration
	// Assumed says that the life is our assumption, because Shopify named none that can be believed.
	Assumed bool
}

// Expires reports whether the token has an end.
func (t Token) Expires() bool { return t.Life > 0 }

// EndedBy reports whether the token's life was over at a moment, by the wall clock or by the monotonic one, which stands still while a machine sleeps.
func (t Token) EndedBy(at time.Time) bool {
	end := t.Issued.Add(t.Life)
	return t.Expires() && (!at.Before(end) || !at.Round(0).Before(end))
}

// UnavailableError says that there is no usable token now. It wraps why.
type UnavailableError struct {
	// Err is why the last attempt failed.
	Err error
	// RetryAfter is the time until the next attempt; zero when one is under way.
	RetryAfter time.Duration
}

// Error implements error.
func (e *UnavailableError) Error() string { return "no usable token: " + e.Err.Error() }

// Unwrap returns why.
func (e *UnavailableError) Unwrap() error { return e.Err }

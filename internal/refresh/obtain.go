package refresh

import (
	"context"
	"time"

	"evergate/internal/token"
)

// Granter obtains a token of a grant that can always ask again.
type Granter interface {
	// Name is the grant's name for logs and metrics.
	Name() string
	// Grant obtains a token with one attempt. Its error wraps one of the decisions of
	// package token and may have a Wait() time.Duration, which the server asked for.
	// It must end by itself in bounded time.
	Grant(ctx context.Context) (token.Token, error)
}

// Refresher exchanges a refresh token, which can be done once, for the next pair.
type Refresher interface {
	// Name is the grant's name for logs and metrics.
	Name() string
	// Refresh makes one attempt. An error that wraps token.ErrReauthorize says that the
	// refresh token is dead; any other leaves open whether it was used. A pair always has
	// both tokens.
	Refresh(ctx context.Context, refresh token.Secret) (token.Pair, error)
}

// Obtainer is how a Source obtains tokens. Direct, Polled, Cached, Rotating and RotatingOr make one.
type Obtainer func(of Options) obtainer

// Direct asks g whenever a token is needed, and keeps nothing.
func Direct(g Granter) Obtainer {
	return func(Options) obtainer { return direct{g} }
}

// Polled is Direct for a grant that costs nothing, such as a token in a file: it is asked
// every few seconds whether the token has changed.
func Polled(g Granter) Obtainer {
	return func(Options) obtainer { return polled{direct{g}} }
}

// Cached is Direct with tokens that are kept in a store, so that a process that lives for a
// minute does not need one of its own. What is stored by another app than clientID is not
// used; an empty clientID stands for any.
func Cached(g Granter, s token.Store, clientID string) Obtainer {
	return func(of Options) obtainer {
		return cached{newPersister(s, of, clientID, g.Name()), g}
	}
}

// Rotating refreshes a grant that rests in a store and of which every refresh token works
// once. clientID is as in Cached.
func Rotating(r Refresher, s token.Store, clientID string) Obtainer {
	return func(of Options) obtainer {
		return newRotating(r, newPersister(s, of, clientID, r.Name()))
	}
}

// request is what an attempt is asked for.
type request struct {
	// current is the current token, which is not good enough; empty when there is none.
	current token.Secret
	// left is what the current token has left to live.
	left time.Duration
	// force says that a person asked: a token that someone else stored will not do.
	force bool
	// heed says that a verdict that is stored on the grant will do.
	heed bool
}

// obtainer is an Obtainer at work for one Source. Its methods are called inside the flight
// only, so one call at a time, except for name, polls and status, which are safe for
// concurrent use.
type obtainer interface {
	// name is the grant's name for logs and metrics.
	name() string
	// obtain returns a token other than the current one, at the cost of at most a few
	// POSTs and mostly of one. It may return the same one when there is no other.
	obtain(ctx context.Context, req request) (token.Token, error)
	// polls says whether others may change the token behind our back, so that poll is of use.
	polls() bool
	// poll is called every few seconds. It reports whether something has come by itself: a
	// token, or, with an empty one, a grant that has to be refreshed first.
	poll(ctx context.Context) (token.Token, bool)
	// changed reports whether something else is stored than what the handle stands for, as far as that can be known now.
	changed(ctx context.Context, since token.Handle) bool
	// finish is called at the end, when no other method will be called any more.
	finish(ctx context.Context)
	// status is what is known of the grant beyond the token.
	status() grantStatus
}

// grantStatus is what Status tells of a grant that is kept in a store.
type grantStatus struct {
	refreshExpires time.Time
	reauthorize    *token.Reauthorize
	unsaved        error // why the newest pair could not be written; nil when it is
	alarm          alarm
	alarms         alarmCounts
	handle         token.Handle  // of what is stored, as it was seen last
	life           time.Duration // of the token that is stored; zero: none known, or without an end
}

// direct is a grant that can always ask again and keeps nothing.
type direct struct{ granter Granter }

func (d direct) name() string { return d.granter.Name() }

func (d direct) obtain(ctx context.Context, _ request) (token.Token, error) {
	return d.granter.Grant(ctx)
}

func (direct) polls() bool                                { return false }
func (direct) poll(context.Context) (token.Token, bool)   { return token.Token{}, false }
func (direct) changed(context.Context, token.Handle) bool { return false }
func (direct) finish(context.Context)                     {}
func (direct) status() grantStatus                        { return grantStatus{} }

// polled is a direct grant that is asked again and again, because asking costs nothing.
type polled struct{ direct }

func (polled) polls() bool { return true }

func (p polled) poll(ctx context.Context) (token.Token, bool) {
	t, err := p.granter.Grant(ctx)
	return t, err == nil
}

package refresh

import (
	"context"
	"time"

	"evergate/internal/token"
)

// need is what the Source asks an obtainer for.
type need struct {
	// current is the token at hand, which is not good enough; empty when there is none.
	current token.Secret
	// left is what the token at hand has left to live.
	left time.Duration
	// force says that a person asked: a token that someone else stored will not do.
	force bool
}

// obtainer is how a Source comes by tokens. Its methods are called inside the flight only,
// so one call at a time.
type obtainer interface {
	// obtain returns a token other than the one at hand, at the cost of at most a few
	// POSTs and mostly of one. It may return the same one when there is no other.
	obtain(ctx context.Context, n need) (token.Token, error)
	// tend is called every few seconds. It reports whether something has come by itself: a
	// token, or, with an empty one, a grant that has to be refreshed first.
	tend(ctx context.Context) (token.Token, bool)
	// finish is called at the end, when no other method will be called any more.
	finish(ctx context.Context)
	// standing is what is known of the grant beyond the token; safe for concurrent use.
	standing() standing
}

// standing is what Status tells of a grant that is kept in a store.
type standing struct {
	refreshExpires time.Time
	reauthorize    *token.Reauthorize
	unsaved        error // why the newest pair could not be written; nil when it is
}

// direct is a grant that can always ask again and keeps nothing.
type direct struct {
	granter Granter
	poll    bool
}

func (d direct) obtain(ctx context.Context, _ need) (token.Token, error) { return d.granter.Grant(ctx) }

// tend asks a grant that costs nothing: the file of a permanent token may have changed.
func (d direct) tend(ctx context.Context) (token.Token, bool) {
	if !d.poll {
		return token.Token{}, false
	}
	t, err := d.granter.Grant(ctx)
	return t, err == nil
}

func (direct) finish(context.Context) {}

func (direct) standing() standing { return standing{} }

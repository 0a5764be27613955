package refresh

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"evergate/internal/token"
)

// Fallback is another grant beside a Rotating one.
type Fallback struct {
	// Granter is asked while the stored grant is dead.
	Granter Granter
	// Alive asks Shopify whether it takes a token; the error says that it is not known.
	Alive func(ctx context.Context, access token.Secret) (bool, error)
}

// RotatingOr is Rotating with another grant that is asked while the stored one is dead. That is for a
// stored grant that is used because it was found, not because it was asked for. A login is
// noticed, and then the stored grant is used again.
func RotatingOr(r Refresher, s token.Store, clientID string, other Fallback) Obtainer {
	return func(of Options) obtainer {
		return &fallback{rotating: newRotating(r, newPersister(s, of, clientID, r.Name())), other: other}
	}
}

// fallback is a rotating grant with another one beside it.
type fallback struct {
	rotating
	other Fallback
	using atomic.Bool // the newest token is the other grant's
}

func (g *fallback) obtain(ctx context.Context, req request) (token.Token, error) {
	// What is known to be dead is asked last: its access token may look alive for an hour.
	known := g.loadToBegin(ctx) == nil && g.record.Reauthorize != nil
	var other error
	if known {
		t, err := g.fallBack(ctx, errors.New(g.record.Reauthorize.Reason))
		if err == nil {
			return t, nil
		}
		other = err
	}
	t, err := g.rotating.obtain(ctx, req)
	if err == nil && !t.Expires() && t.Access.Equal(req.current) && req.left == 0 {
		err = g.examine(ctx, t) // a permanent token that was refused: there is no other of its kind
	}
	if err == nil {
		g.using.Store(false)
		return t, nil
	}
	if !errors.Is(err, token.ErrReauthorize) {
		return token.Token{}, err
	}
	if !known {
		if t, other = g.fallBack(ctx, err); other == nil {
			return t, nil
		}
	}
	decision := token.ErrReauthorize
	if errors.Is(other, token.ErrTransient) {
		decision = token.ErrTransient
	}
	return token.Token{}, token.Decide(decision, fmt.Errorf("the grant %s does not work either, %w; the stored grant is dead: %w", g.other.Granter.Name(), hideDecision{other}, hideDecision{err}))
}

// hideDecision keeps an error's text without what it asks for.
type hideDecision struct{ err error }

func (e hideDecision) Error() string { return e.err.Error() }

func (g *fallback) fallBack(ctx context.Context, why error) (token.Token, error) {
	t, err := g.other.Granter.Grant(ctx)
	if err != nil {
		return token.Token{}, err
	}
	if !g.using.Swap(true) {
		g.log.Warn("the stored grant is dead, so another one is used: log in again with "+g.remedies.Command("login")+" to go back to it, or set EVERGATE_GRANT to keep to one",
			"shop", g.shop.Domain(), "stored", g.name(), "used", g.other.Granter.Name(), "err", why)
	}
	return t, nil
}

// examine asks whether a permanent token is dead, and writes that down.
func (g *fallback) examine(ctx context.Context, t token.Token) error {
	alive, err := g.other.Alive(ctx, t.Access)
	if alive || err != nil {
		return nil
	}
	return g.giveUp(ctx, token.Decide(token.ErrReauthorize, errors.New("Shopify does not accept the stored permanent token any more")))
}

// poll takes over what somebody else stored, but not what is known to be dead.
func (g *fallback) poll(ctx context.Context) (token.Token, bool) {
	t, ok := g.rotating.poll(ctx)
	if ok && g.record.Reauthorize != nil {
		return token.Token{}, false
	}
	if ok && !t.Access.Empty() {
		g.using.Store(false)
	}
	return t, ok
}

// status hides a dead grant that nobody needs.
func (g *fallback) status() grantStatus {
	s := g.rotating.status()
	if g.using.Load() {
		return grantStatus{unsaved: s.unsaved}
	}
	return s
}

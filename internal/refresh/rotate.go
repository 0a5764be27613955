package refresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// rotating is the offline grant. Shopify replaces the refresh token at each use and honours
// the one before until its replacement is used. So:
//
//   - A note is written before the POST; after a crash the same refresh token is sent again.
//   - The new pair is durable before its access token is used, or, if it cannot be
//     written, its refresh token is not used before it is.
//   - The refresh token before is kept until its replacement has been used.
//   - Nothing is ever deleted because of a failure.
type rotating struct {
	*persister
	refresher Refresher
}

func (g rotating) obtain(ctx context.Context, req request) (token.Token, error) {
	// A stored token that lives is used at once, whoever may be refreshing.
	if err := g.load(ctx); err != nil && !errors.Is(err, token.ErrNotFound) {
		return token.Token{}, g.loadError(err)
	}
	if t, ok := g.adopt(req); ok {
		return t, nil
	}
	release, err := g.lease(ctx)
	if err != nil {
		return token.Token{}, err
	}
	defer release()
	if err := g.flush(ctx); err != nil {
		return token.Token{}, token.Decide(token.ErrTransient, fmt.Errorf("the last grant is not written yet, so it is not renewed: %w", err))
	}
	if err := g.load(ctx); err != nil {
		return token.Token{}, g.loadError(err)
	}
	if t, ok := g.adopt(req); ok {
		return t, nil
	}
	if g.record.Current.Refresh.Empty() {
		return g.permanent()
	}
	return g.rotate(ctx, req)
}

func (g rotating) loadError(err error) error {
	switch {
	case errors.Is(err, token.ErrNotFound):
		return token.Decide(token.ErrReauthorize, remedy.New("run `evergate login`, or `evergate token import`", "no grant is stored for %s", g.shop))
	case errors.Is(err, token.ErrConfig):
		return err
	}
	return token.Decide(token.ErrConfig, err)
}

// permanent is a stored token that does not expire: there is no other.
func (g rotating) permanent() (token.Token, error) {
	t := g.record.Current.Token
	if t.Access.Empty() || t.Expires() {
		return token.Token{}, token.Decide(token.ErrReauthorize, remedy.New("run `evergate login`", "the stored grant of %s has no refresh token", g.shop))
	}
	return t, nil
}

// rotate refreshes with the newest refresh token.
func (g rotating) rotate(ctx context.Context, req request) (token.Token, error) {
	started, err := g.note(ctx)
	if err != nil {
		if errors.Is(err, token.ErrConflict) {
			return token.Token{}, token.Decide(token.ErrTransient, errors.New("the stored grant was changed by another process just before the refresh"))
		}
		if req.left > 0 {
			return token.Token{}, token.Decide(token.ErrTransient, fmt.Errorf("the note before a refresh cannot be written, and there is time: %w", err))
		}
		g.log.Error("refreshing without a note, because the token at hand has ended", "shop", g.shop.Domain(), "err", err)
	}
	used := g.record.Current
	pair, err := g.refresher.Refresh(ctx, used.Refresh)
	if errors.Is(err, token.ErrReauthorize) {
		return g.dead(ctx, used.Refresh, req, err)
	}
	if err != nil {
		return token.Token{}, err // the note stays: the same refresh token is sent again
	}
	return g.store(ctx, pair, token.Previous{Refresh: used.Refresh, Expires: used.RefreshExpires, FirstUsed: started})
}

// note writes the intention down and returns when the refresh token was first sent.
func (g rotating) note(ctx context.Context) (time.Time, error) {
	fingerprint := fingerprintOf(g.record.Current.Refresh)
	if a := g.record.Attempt; a != nil && a.Fingerprint == fingerprint {
		return a.Started, nil // the outcome of the last attempt was lost, or it failed
	}
	next := g.record
	next.Attempt = &token.Attempt{Fingerprint: fingerprint, Started: time.Now().Round(0)}
	if err := g.swap(ctx, next); err != nil {
		return next.Attempt.Started, err
	}
	g.record = next
	return next.Attempt.Started, nil
}

// store makes a new pair durable and returns its access token.
func (g rotating) store(ctx context.Context, pair token.Pair, previous token.Previous) (token.Token, error) {
	err := g.save(ctx, token.Record{Current: pair, Previous: &previous})
	if errors.Is(err, token.ErrConflict) {
		// Whoever wrote without our lease has acquired a grant, and that retires ours.
		if err := g.load(ctx); err != nil {
			return token.Token{}, g.loadError(err)
		}
		g.log.Warn("another grant was stored during the refresh; using that one", "shop", g.shop.Domain())
		if t := g.record.Current.Token; g.usable(t) {
			return t, nil
		}
		return token.Token{}, token.Decide(token.ErrTransient, errors.New("the stored grant was changed by another process during the refresh"))
	}
	return pair.Token, nil // also when it could not be written: see persister.save
}

// dead deals with a refresh token that Shopify says is not active: someone may have stored
// a newer one, and if its own first use fails, the one before may still be good.
func (g rotating) dead(ctx context.Context, used token.Secret, req request, cause error) (token.Token, error) {
	if err := g.load(ctx); err != nil {
		return token.Token{}, g.loadError(err)
	}
	if !g.record.Current.Refresh.Equal(used) {
		if t, ok := g.adopt(req); ok {
			return t, nil
		}
		return token.Token{}, token.Decide(token.ErrTransient, errors.New("another grant was stored during the refresh"))
	}
	if p := g.record.Previous; p != nil && !p.Tried {
		pair, err := g.refresher.Refresh(ctx, p.Refresh)
		switch {
		case err == nil:
			g.log.Warn("the newest refresh token was refused; the one before it was honoured", "shop", g.shop.Domain())
			return g.store(ctx, pair, *p)
		case !errors.Is(err, token.ErrReauthorize):
			return token.Token{}, err // no answer to the question: ask again later
		}
	}
	return token.Token{}, g.giveUp(ctx, cause)
}

// giveUp writes down that a person is needed. Nothing is deleted.
func (g rotating) giveUp(ctx context.Context, cause error) error {
	next := g.record
	next.Attempt = nil
	if p := next.Previous; p != nil && !p.Tried {
		tried := *p
		tried.Tried = true
		next.Previous = &tried
	}
	if next.Reauthorize == nil {
		next.Reauthorize = &token.Reauthorize{Since: time.Now().Round(0), Reason: cause.Error()}
	}
	if err := g.swap(ctx, next); err == nil {
		g.record = next
	} else {
		g.record.Reauthorize = next.Reauthorize // so that it is shown all the same
	}
	g.show()
	return cause
}

// fingerprintOf tells refresh tokens apart without giving them away.
func fingerprintOf(s token.Secret) string {
	sum := sha256.Sum256([]byte("evergate refresh token\x00" + s.Reveal()))
	return hex.EncodeToString(sum[:8])
}

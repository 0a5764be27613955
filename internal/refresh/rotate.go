package refresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"evergate/internal/clock"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// rotating is the offline grant. Shopify replaces the refresh token at each use and honours
// the one before until its replacement is used. So:
//
//   - A note is written before the POST; after a crash the same refresh token is sent again.
//   - The new pair is durable before its access token is used, or, if it cannot be
//     written, its refresh token is not used before it is.
//   - The refresh token that was spent is kept until its replacement has been used.
//   - In a place that can fail over a pair rests for a while before its refresh token is used:
//     if the place loses it, the one that was spent is still honoured.
//   - Nothing is ever deleted because of a failure.
type rotating struct {
	*persister
	refresher Refresher
}

// mutation names parts of the protocol.
type mutation int

const (
	withoutWindow   mutation = 1 << iota // a refresh token is used however young its pair is
	withoutPrevious                      // the one before is not tried
	withoutMemory                        // what is stored is believed, even if it is older than what is known
)

func newRotating(r Refresher, p *persister) rotating { return rotating{p, r} }

// leaseTries is how often a lease is taken anew whose time ran out before the POST.
const leaseTries = 3

// errLeaseShort says that the lease has too little time left for a POST: this process was paused, or cut off from the store.
var errLeaseShort = token.Decide(token.ErrTransient, errors.New("the right to refresh ran out before it was used"))

func (g rotating) obtain(ctx context.Context, req request) (token.Token, error) {
	// A stored token that lives is used at once, whoever may be refreshing.
	if err := g.loadToBegin(ctx); err != nil && !errors.Is(err, token.ErrNotFound) {
		return token.Token{}, g.loadError(err)
	}
	if t, ok := g.adopt(req); ok {
		return t, nil
	}
	if err := g.verdict(req); err != nil {
		return token.Token{}, err
	}
	t, err := g.obtainUnderLease(ctx, req)
	for tries := 1; tries < leaseTries && errors.Is(err, errLeaseShort); tries++ {
		t, err = g.obtainUnderLease(ctx, req)
	}
	return t, err
}

// obtainUnderLease waits for whoever is refreshing and takes what that brought, or refreshes.
func (g rotating) obtainUnderLease(ctx context.Context, req request) (token.Token, error) {
	release, err := g.lease(ctx)
	if err != nil {
		return token.Token{}, err
	}
	defer release()
	if err := g.load(ctx); err != nil {
		return token.Token{}, g.loadError(err)
	}
	if err := g.flush(ctx); err != nil {
		return token.Token{}, token.Decide(token.ErrTransient, fmt.Errorf("the last grant is not written yet, so it is not renewed: %w", err))
	}
	if t, ok := g.adopt(req); ok {
		return t, nil
	}
	if err := g.verdict(req); err != nil { // of whoever had the lease
		return token.Token{}, err
	}
	if g.record.Current.Refresh.Empty() {
		return g.permanent()
	}
	if rest := g.unconfirmed(); rest > 0 && g.without&withoutWindow == 0 {
		return token.Token{}, &restingError{rest}
	}
	return g.rotate(ctx, req)
}

// verdict is what is stored of a grant that is dead, if that will do; nil: its refresh token is to be sent.
func (g rotating) verdict(req request) error {
	dead := g.record.Reauthorize
	if dead == nil || !req.heed || req.force || g.record.Current.Refresh.Empty() {
		return nil
	}
	return token.Decide(token.ErrReauthorize, fmt.Errorf("found on %s: %s", dead.Since.UTC().Format(time.RFC3339), dead.Reason))
}

func (g rotating) loadError(err error) error {
	switch {
	case errors.Is(err, token.ErrNotFound):
		return token.Decide(token.ErrReauthorize, remedy.New("run "+g.remedies.Command("login")+", or "+g.remedies.Command("token import"), "no grant is stored for %s", g.shop))
	case errors.Is(err, token.ErrConfig), errors.Is(err, token.ErrTransient):
		return err
	}
	return token.Decide(token.ErrConfig, err)
}

// permanent is a stored token that does not expire: there is no other.
func (g rotating) permanent() (token.Token, error) {
	t := g.record.Current.Token
	if t.Access.Empty() || t.Expires() {
		return token.Token{}, token.Decide(token.ErrReauthorize, remedy.New("run "+g.remedies.Command("login"), "the stored grant of %s has no refresh token", g.shop))
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
			return token.Token{}, token.Decide(token.ErrTransient, &StoreError{fmt.Errorf("the note before a refresh cannot be written, and there is time: %w", err)})
		}
		g.log.Error("refreshing without a note, because the token at hand has ended", "shop", g.shop.Domain(), "err", err)
	}
	used := g.record.Current
	pair, err := g.spend(ctx, used.Refresh)
	if errors.Is(err, token.ErrReauthorize) {
		return g.dead(ctx, used.Refresh, req, err)
	}
	if err != nil {
		return token.Token{}, err // the note stays: the same refresh token is sent again
	}
	return g.store(ctx, pair, token.Previous{Refresh: used.Refresh, Expires: used.RefreshExpires, FirstUsed: started})
}

// spend makes the POST, if the lease has time left for it.
func (g rotating) spend(ctx context.Context, refresh token.Secret) (token.Pair, error) {
	if !g.leaseLasts() {
		return token.Pair{}, errLeaseShort
	}
	return g.refresher.Refresh(ctx, refresh)
}

// note writes the intention down and returns when the refresh token was first sent.
func (g rotating) note(ctx context.Context) (time.Time, error) {
	fingerprint := fingerprintOf(g.record.Current.Refresh)
	if a := g.record.Attempt; a != nil && a.Fingerprint == fingerprint {
		return a.Started, nil // the outcome of the last attempt was lost, or it failed
	}
	next := g.inEpoch(g.record)
	next.Attempt = &token.Attempt{Fingerprint: fingerprint, Started: time.Now().Round(0)}
	if err := g.swap(ctx, next); err != nil {
		return next.Attempt.Started, err
	}
	g.know(next)
	return next.Attempt.Started, nil
}

// inEpoch gives a record an epoch that an earlier Evergate wrote.
func (g rotating) inEpoch(r token.Record) token.Record {
	if r.Epoch == "" {
		r.Epoch, r.Generation = epochOf(r), max(r.Generation, 1)
	}
	return r
}

// store makes a new pair durable and returns its access token. spent is the refresh token that brought it, which need
// not be the newest of those that were stored.
func (g rotating) store(ctx context.Context, pair token.Pair, spent token.Previous) (token.Token, error) {
	was := g.inEpoch(g.record)
	spent.Tried = false // it was honoured
	next := token.Record{Epoch: was.Epoch, Generation: was.Generation + 1, Writer: g.writer, Current: pair, Previous: &spent}
	err := g.save(ctx, next)
	if !errors.Is(err, token.ErrConflict) {
		return pair.Token, nil // also when it could not be written: see persister.save
	}
	// Either a grant was acquired meanwhile, which retires ours, or another process has spent the same
	// refresh token, and whichever came last has retired the other's. Theirs is stored; should it be the one
	// that was retired, what was spent brings the grant back.
	held := g.leaseLasts()
	if err := g.load(ctx); err != nil {
		return token.Token{}, g.loadError(err)
	}
	if held && g.expiring != nil {
		g.accuse(spent)
	}
	g.log.Warn("another grant was stored during the refresh; using that one", "shop", g.shop.Domain(), "writer", g.record.Writer)
	if t := g.record.Current.Token; g.usable(t) {
		return t, nil
	}
	return token.Token{}, token.Decide(token.ErrTransient, errors.New("the stored grant was changed by another process during the refresh"))
}

// accuse raises an alarm if somebody else spent what we did, and while we had the right to.
func (g rotating) accuse(spent token.Previous) {
	if p := g.record.Previous; p != nil && p.Refresh.Equal(spent.Refresh) && g.record.Writer != g.writer {
		g.raise(spentElsewhere, remedy.New("see that whatever uses this grant uses this store, and nothing writes to it beside Evergate",
			"the chain is used from two places: %s has spent the same refresh token as %s, which alone had the right to", nameOf(g.record.Writer), g.writer))
	}
}

// dead deals with a refresh token that Shopify says is not active: someone may have stored
// a newer one, and if its own first use fails, the one before may still be good.
func (g rotating) dead(ctx context.Context, used token.Secret, req request, cause error) (token.Token, error) {
	if t, err, ok := g.isSuperseded(ctx, used, req); ok {
		return t, err
	}
	if p := g.record.Previous; p != nil && !p.Tried && g.without&withoutPrevious == 0 {
		pair, err := g.spend(ctx, p.Refresh)
		switch {
		case err == nil:
			g.log.Warn("the newest refresh token was refused; the one before it was honoured", "shop", g.shop.Domain(), "writer", g.record.Writer)
			return g.store(ctx, pair, *p)
		case !errors.Is(err, token.ErrReauthorize):
			return token.Token{}, err // no answer to the question: ask again later
		}
		if t, err, ok := g.isSuperseded(ctx, used, req); ok { // by somebody who was faster with the same
			return t, err
		}
	}
	if g.yields && g.record.Reauthorize == nil {
		if t, err, ok := g.awaitTheirs(ctx, used, req); ok {
			return t, err
		}
	}
	if g.record.Reauthorize == nil {
		g.raise(noneHonoured, remedy.New("see whether the app was uninstalled, or whether another deployment, or the app itself, renews or acquires the grant of this app and shop with a store of its own",
			"Shopify honours no refresh token that the store holds, of which the newest is generation %d, by %s; %s sees no newer one", g.record.Generation, nameOf(g.record.Writer), g.writer))
	}
	return token.Token{}, g.giveUp(ctx, cause)
}

// isSuperseded reads the store again, and reports whether a refresh token that was refused is not the newest any more. Then
// it returns what to do instead.
func (g rotating) isSuperseded(ctx context.Context, refused token.Secret, req request) (t token.Token, err error, superseded bool) {
	if err := g.load(ctx); err != nil {
		return token.Token{}, g.loadError(err), true
	}
	if g.unsaved != nil {
		return token.Token{}, token.Decide(token.ErrTransient, g.unsaved), true
	}
	if g.record.Current.Refresh.Equal(refused) {
		return token.Token{}, nil, false
	}
	req.force = false // who asked for another one than what was refused is given it
	if t, ok := g.adopt(req); ok {
		return t, nil, true
	}
	return token.Token{}, token.Decide(token.ErrTransient, errors.New("another grant was stored during the refresh")), true
}

const (
	// theirsWithin is how long the owner of a place may take to store the pair that it has acquired, which has retired ours: the app has
	// Shopify's answer and is on its way to its table. Callers wait longer, so that they hear what came of it.
	theirsWithin = 3 * time.Second
	theirsLook   = 200 * time.Millisecond
)

// awaitTheirs is isSuperseded for somebody else's place, where the newer record may be about to be stored: some delete the older one first.
func (g rotating) awaitTheirs(ctx context.Context, refused token.Secret, req request) (t token.Token, err error, superseded bool) {
	for deadline := time.Now().Add(theirsWithin); time.Now().Before(deadline) && clock.Sleep(ctx, theirsLook) == nil; {
		if t, err, superseded = g.isSuperseded(ctx, refused, req); superseded && !g.record.Current.Refresh.Empty() {
			break
		}
	}
	return t, err, superseded
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

package refresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"evergate/internal/token"
)

const (
	// leaseWait bounds the wait for another process's refresh. It is longer than a POST
	// may take, so that we find the result of theirs.
	leaseWait = 40 * time.Second
	// storeWait bounds a read or a write of the store.
	storeWait = 10 * time.Second
)

// keeper is the stored side of a Source: what was read or written last.
type keeper struct {
	store    token.Store
	shop     token.Shop
	clientID string
	grant    string
	log      *slog.Logger

	record token.Record
	handle token.Handle
	// base is the refresh token of what is stored, which is not record's while that is unsaved.
	base token.Secret
	// unsaved says why record is newer than what is stored.
	unsaved   error
	nextWrite time.Time
	writes    int // that failed in a row

	shown atomic.Pointer[standing]
}

// load reads the store, unless what we hold is newer. What belongs to another app is not ours to use.
func (k *keeper) load(ctx context.Context) error {
	if k.unsaved != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	record, handle, err := k.store.Load(ctx)
	if errors.Is(err, token.ErrNotFound) {
		k.record, k.handle, k.base = token.Record{}, "", token.Secret{}
		k.show()
		return err
	}
	if err != nil {
		return fmt.Errorf("the stored grant cannot be read: %w", err)
	}
	if k.clientID != "" && record.ClientID != "" && record.ClientID != k.clientID {
		return fmt.Errorf("%w: what is stored for %s belongs to another app, with client id %s: use another EVERGATE_STORE for this one, or log in again",
			token.ErrConfig, k.shop, record.ClientID)
	}
	k.record, k.handle, k.base = record, handle, record.Current.Refresh
	k.show()
	return nil
}

// save stores next. If it cannot be written, next is held in memory and written later; a
// conflict drops next, because somebody else's decision is stored.
func (k *keeper) save(ctx context.Context, next token.Record) error {
	next.Shop, next.ClientID, next.Grant = k.shop.Domain(), k.clientID, k.grant
	err := k.swap(ctx, next)
	if errors.Is(err, token.ErrConflict) && k.isAnnotated(ctx) {
		err = k.swap(ctx, next)
	}
	if errors.Is(err, token.ErrConflict) {
		return err
	}
	k.record = next
	k.unsaved = err
	if err == nil {
		k.base = next.Current.Refresh
	}
	if err != nil {
		k.writes++
		k.nextWrite = time.Now().Add(doubled(time.Second, k.writes-1, time.Minute))
		k.log.Error("the new grant cannot be written; it is used from memory, written as soon as possible, and not renewed before that",
			"shop", k.shop.Domain(), "err", err)
	} else if k.writes > 0 {
		k.writes = 0
		k.log.Info("the new grant has been written after all", "shop", k.shop.Domain())
	}
	k.show()
	return err
}

// isAnnotated tells a conflict that is none: the grant that is stored is still the one we
// started from, and only a note or a verdict on it was written, by another process or by
// ourselves with an answer that got lost. What we have is newer than that.
func (k *keeper) isAnnotated(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	record, handle, err := k.store.Load(ctx)
	if err != nil || k.base.Empty() || !record.Current.Refresh.Equal(k.base) {
		return false
	}
	k.handle = handle
	return true
}

// swap writes without touching what we hold.
func (k *keeper) swap(ctx context.Context, next token.Record) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	handle, err := k.store.Swap(ctx, k.handle, next)
	if err == nil {
		k.handle = handle
	}
	return err
}

// flush writes what could not be written before.
func (k *keeper) flush(ctx context.Context) error {
	if k.unsaved == nil {
		return nil
	}
	err := k.save(ctx, k.record)
	if errors.Is(err, token.ErrConflict) {
		k.unsaved = nil // a login, or another process, stored something newer
		k.log.Warn("another process stored a grant meanwhile; using that one", "shop", k.shop.Domain())
		return k.load(ctx)
	}
	return err
}

// tend writes what is unsaved and takes over what another process stored.
func (k *keeper) tend(ctx context.Context) (token.Token, bool) {
	before := k.record.Current.Refresh
	if k.unsaved != nil {
		if time.Now().Before(k.nextWrite) {
			return token.Token{}, false
		}
		_ = k.flush(ctx) // says by itself what happened
	} else {
		asking, cancel := context.WithTimeout(ctx, storeWait)
		changed, err := k.store.Changed(asking, k.handle)
		cancel()
		if err != nil || !changed {
			return token.Token{}, false // a store that cannot be asked is noticed when it is needed
		}
		if err := k.load(ctx); err != nil {
			return token.Token{}, false
		}
	}
	current := k.record.Current
	if k.usable(current.Token) {
		return current.Token, true
	}
	// A note or a verdict of another process is no news: two that see a dead grant would
	// spur each other on.
	return token.Token{}, !current.Refresh.Empty() && !current.Refresh.Equal(before)
}

// finish writes what is unsaved before the process ends, out of turn.
func (k *keeper) finish(ctx context.Context) { _ = k.flush(ctx) }

// usable reports whether a stored token can still be sent, by the wall clock. One from the
// future has an age nobody knows.
func (k *keeper) usable(t token.Token) bool {
	age := time.Since(t.Issued.Round(0))
	return !t.Access.Empty() && age > -clockTolerance && (!t.Expires() || age < t.Life)
}

// clockTolerance is how far ahead of ours the clock of another process may run.
const clockTolerance = 5 * time.Second

// adopt returns the stored token if it is a better one than the one at hand.
func (k *keeper) adopt(n need) (token.Token, bool) {
	t := k.record.Current.Token
	return t, !n.force && !t.Access.Equal(n.current) && k.usable(t)
}

func (k *keeper) show() {
	k.shown.Store(&standing{refreshExpires: k.record.Current.RefreshExpires, reauthorize: k.record.Reauthorize, unsaved: k.unsaved})
}

func (k *keeper) standing() standing {
	if s := k.shown.Load(); s != nil {
		return *s
	}
	return standing{}
}

// lease takes the right to refresh. Waiting for it ends in a passing failure.
func (k *keeper) lease(ctx context.Context) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	release, err := k.store.Lease(ctx)
	if err != nil {
		return nil, fmt.Errorf("the right to refresh cannot be had: %w: %w", token.ErrTransient, err)
	}
	return release, nil
}

// kept is a grant that can always ask again and whose tokens are kept, so that a process
// that lives for a minute does not need one of its own.
type kept struct {
	*keeper
	granter Granter
}

func (g kept) obtain(ctx context.Context, n need) (token.Token, error) {
	release, err := g.lease(ctx)
	if err != nil {
		g.log.Warn("going on without the store", "shop", g.shop.Domain(), "err", err)
		return g.granter.Grant(ctx)
	}
	defer release()
	loadErr := g.load(ctx)
	if t, ok := g.adopt(n); loadErr == nil && g.record.Grant == g.grant && ok {
		return t, nil
	}
	t, err := g.granter.Grant(ctx)
	if err != nil {
		return token.Token{}, err
	}
	if loadErr != nil && !errors.Is(loadErr, token.ErrNotFound) {
		g.log.Warn("the token is not kept", "shop", g.shop.Domain(), "err", loadErr)
		return t, nil // what cannot be read is not overwritten
	}
	if loadErr == nil && g.record.Grant != g.grant {
		g.log.Warn("the token is not kept: the store holds a grant of another kind, which must not be lost", "shop", g.shop.Domain(), "stored", g.record.Grant)
		return t, nil
	}
	if err := g.save(ctx, token.Record{Current: token.Pair{Token: t}}); err != nil {
		g.unsaved = nil // such a token can be had again: not worth holding anything up
		g.show()
	}
	return t, nil
}

// tend takes over a token that another process stored.
func (g kept) tend(ctx context.Context) (token.Token, bool) {
	t, ok := g.keeper.tend(ctx)
	return t, ok && g.record.Grant == g.grant
}

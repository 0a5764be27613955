package refresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

const (
	// leaseWait bounds the wait for another process's refresh. It is longer than a POST
	// may take, so that we find the result of theirs.
	leaseWait = 40 * time.Second
	// storeWait bounds a read or a write of the store.
	storeWait = 10 * time.Second
	// conflictTries is how often what is newer than what is stored is written against those who annotate that.
	conflictTries = 3
)

// persister is the stored side of a Source: what was read or written last.
type persister struct {
	store    token.Store
	shop     token.Shop
	clientID string
	grant    string
	log      *slog.Logger
	remedies remedy.Shop
	// expiring is the store, if it is a place that can fail over and whose leases can end; nil: it is neither.
	expiring token.Expiring
	// remembers says that a record that is gone was lost, not taken away.
	remembers bool
	// yields says that the place is somebody else's, who also acquires grants and stores them there.
	yields bool
	// term is how long the lease at hand was to last when it was taken.
	term time.Duration
	// writer is how this process is called in what it writes.
	writer string
	// without leaves out parts of the protocol, to see that a test notices. Only tests set it.
	without mutation

	// record is the newest that is known, whatever the store holds.
	record token.Record
	handle token.Handle
	// earlier are the epochs that another one has followed.
	earlier []string
	alarm   alarm
	alarms  alarmCounts
	// base is the refresh token of what is stored, which is not record's while that is unsaved.
	base token.Secret
	// unsaved says why record is newer than what is stored.
	unsaved   error
	nextWrite time.Time
	writes    int // that failed in a row

	// stored is what was read for it at the start, until it has read itself. It is older than a lease and than what anybody was told of.
	stored *Stored

	shown atomic.Pointer[grantStatus]
}

// Stored is what a store held at a moment.
type Stored struct {
	Record token.Record
	Handle token.Handle
	// Read is when it was asked, by time.Now.
	Read time.Time
}

// storedLasts is how old something may be that was read for a Source to begin with.
const storedLasts = time.Second

func newPersister(s token.Store, of Options, clientID, grant string) *persister {
	p := &persister{store: s, shop: of.Shop, clientID: clientID, grant: grant, log: of.Log, remedies: of.Remedies, writer: token.ThisProcess(), stored: of.Stored}
	p.expiring, p.remembers = s.(token.Expiring)
	if y, ok := s.(token.Yielding); ok && y.Yields() {
		p.remembers, p.yields = false, true
	}
	return p
}

func (p *persister) name() string { return p.grant }

func (*persister) polls() bool { return true }

// load reads the store, unless what we hold is newer. What belongs to another app is not ours to use.
func (p *persister) load(ctx context.Context) error {
	if p.unsaved != nil {
		return nil
	}
	return p.take(p.read(ctx))
}

// loadToBegin is load for whoever reads once more before it changes anything: what was read for the Source is as good.
func (p *persister) loadToBegin(ctx context.Context) error {
	first := p.stored
	if p.stored = nil; first == nil || time.Since(first.Read) >= storedLasts {
		return p.load(ctx)
	}
	return p.take(first.Record, first.Handle, nil)
}

// take takes over what a read has found.
func (p *persister) take(record token.Record, handle token.Handle, err error) error {
	if errors.Is(err, token.ErrNotFound) {
		if p.remembers && p.record.Epoch != "" && p.without&withoutMemory == 0 {
			p.takeBack(token.Record{}, "", true)
			return nil
		}
		p.record, p.handle, p.base, p.earlier = token.Record{}, "", token.Secret{}, nil
		p.show()
		return err
	}
	if err != nil {
		return &StoreError{fmt.Errorf("the stored grant cannot be read: %w", err)}
	}
	if p.clientID != "" && record.ClientID != "" && record.ClientID != p.clientID {
		return token.Decide(token.ErrConfig, remedy.New("use another EVERGATE_STORE for this one, or log in again", "what is stored for %s belongs to another app, with client id %s", p.shop, record.ClientID))
	}
	if p.isOlder(record, p.record) {
		p.takeBack(record, handle, false)
		return nil
	}
	p.know(record)
	p.handle, p.base = handle, record.Current.Refresh
	p.show()
	return nil
}

func (p *persister) read(ctx context.Context) (token.Record, token.Handle, error) {
	p.stored = nil
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	return p.store.Load(ctx)
}

// save stores next. If it cannot be written, next is held in memory and written later; a
// conflict drops next, because somebody else's decision is stored.
func (p *persister) save(ctx context.Context, next token.Record) error {
	next.Shop, next.ClientID, next.Grant = p.shop.Domain(), p.clientID, p.grant
	next.Written = time.Now().Round(0)
	err := p.swap(ctx, next)
	for tries := 0; tries < conflictTries && errors.Is(err, token.ErrConflict) && p.isNewerThanStored(ctx, next); tries++ {
		err = p.swap(ctx, next)
	}
	if errors.Is(err, token.ErrConflict) {
		return err
	}
	p.know(next)
	if rolled := new(rolledBackError); err == nil && errors.As(p.unsaved, &rolled) {
		p.log.Warn("what the store had lost has been written back", "shop", p.shop.Domain(), "generation", next.Generation)
	}
	p.unsaved = err
	if err == nil {
		p.base = next.Current.Refresh
	}
	if err != nil {
		p.writes++
		p.nextWrite = time.Now().Add(doubled(time.Second, p.writes-1, time.Minute))
		p.log.Error("the new grant cannot be written; it is used from memory, written as soon as possible, and not renewed before that",
			"shop", p.shop.Domain(), "err", err)
	} else if p.writes > 0 {
		p.writes = 0
		p.log.Info("the new grant has been written after all", "shop", p.shop.Domain())
	}
	p.show()
	return err
}

// isNewerThanStored tells a conflict that is none: the grant that is stored is still the one we
// started from, and only a note or a verdict on it was written, by another process or by
// ourselves with an answer that got lost; or the store was rolled back meanwhile.
func (p *persister) isNewerThanStored(ctx context.Context, next token.Record) bool {
	record, handle, err := p.read(ctx)
	switch {
	case errors.Is(err, token.ErrNotFound) && p.remembers && next.Epoch != "":
		p.handle, p.base = "", token.Secret{}
		return true
	case err != nil:
		return false
	case !p.base.Empty() && record.Current.Refresh.Equal(p.base):
	case !p.isOlder(record, next):
		return false
	}
	p.handle = handle
	return true
}

// swap writes without touching what we hold.
func (p *persister) swap(ctx context.Context, next token.Record) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	handle, err := p.store.Swap(ctx, p.handle, next)
	if err == nil {
		p.handle = handle
		p.show()
	}
	return err
}

// flush writes what could not be written before.
func (p *persister) flush(ctx context.Context) error {
	if p.unsaved == nil {
		return nil
	}
	err := p.save(ctx, p.record)
	if errors.Is(err, token.ErrConflict) {
		p.unsaved = nil // a login, or another process, stored something newer
		err := p.load(ctx)
		p.log.Warn("another process stored a grant meanwhile; using that one", "shop", p.shop.Domain(), "writer", p.record.Writer)
		return err
	}
	return err
}

// poll writes what is unsaved and takes over what another process stored.
func (p *persister) poll(ctx context.Context) (token.Token, bool) {
	before := p.record.Current.Refresh
	if p.unsaved != nil {
		if time.Now().Before(p.nextWrite) {
			return token.Token{}, false
		}
		_ = p.flush(ctx) // says by itself what happened
	} else {
		if !p.changed(ctx, p.handle) {
			return token.Token{}, false // a store that cannot be asked is noticed when it is needed
		}
		if err := p.load(ctx); err != nil {
			return token.Token{}, false
		}
		_ = p.flush(ctx) // what the store has lost
	}
	current := p.record.Current
	if p.usable(current.Token) {
		return current.Token, true
	}
	// A note or a verdict of another process is no news: two that see a dead grant would
	// spur each other on.
	return token.Token{}, !current.Refresh.Empty() && !current.Refresh.Equal(before)
}

func (p *persister) changed(ctx context.Context, since token.Handle) bool {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	changed, err := p.store.Changed(ctx, since)
	return err == nil && changed
}

// finish writes what is unsaved before the process ends, out of turn.
func (p *persister) finish(ctx context.Context) { _ = p.flush(ctx) }

// usable reports whether a stored token can still be sent, by the wall clock. One from the
// future has an age nobody knows.
func (p *persister) usable(t token.Token) bool {
	age := time.Since(t.Issued.Round(0))
	return !t.Access.Empty() && age > -clockTolerance && (!t.Expires() || age < t.Life)
}

// clockTolerance is how far ahead of ours the clock of another process may run.
const clockTolerance = 5 * time.Second

// adopt returns the stored token if it is a better one than the current one.
func (p *persister) adopt(req request) (token.Token, bool) {
	t := p.record.Current.Token
	return t, !req.force && !t.Access.Equal(req.current) && p.usable(t)
}

func (p *persister) show() {
	p.shown.Store(&grantStatus{handle: p.handle, life: p.record.Current.Token.Life, refreshExpires: p.record.Current.RefreshExpires, reauthorize: p.record.Reauthorize, unsaved: p.unsaved, alarm: p.alarm, alarms: p.alarms})
}

func (p *persister) status() grantStatus {
	s := p.shown.Load()
	if s == nil {
		return grantStatus{}
	}
	now := *s
	if time.Since(now.alarm.at) > alarmLasts {
		now.alarm = alarm{}
	}
	return now
}

// lease takes the right to refresh. Waiting for it ends in a passing failure.
func (p *persister) lease(ctx context.Context) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	release, err := p.store.Lease(ctx)
	if err != nil {
		return nil, token.Decide(token.ErrTransient, fmt.Errorf("the right to refresh cannot be had: %w", err))
	}
	if p.expiring != nil {
		p.term = p.expiring.LeaseLeft()
	}
	return release, nil
}

// leaseLasts reports whether the lease at hand has time left for a POST: half of what it had, because whoever holds one
// renews it long before that. What is left of the other kind is for an answer that takes its time.
func (p *persister) leaseLasts() bool {
	return p.expiring == nil || p.term > 0 && p.expiring.LeaseLeft() >= p.term/2
}

package store

import (
	"context"
	"errors"

	"evergate/internal/token"
)

// leaseTries is how often a lease is taken anew whose time ran out before it was used.
const leaseTries = 3

// errLeaseShort says that the lease has too little time left: this process was paused, or the store took its time.
var errLeaseShort = token.Decide(token.ErrTransient, errors.New("the right to change what is stored ran out before it was used; nothing was sent"))

// Replace stores what a person or a merchant has just authorised, whatever was there
// before. edit gets the stored record, a zero one if there is none, and returns the next.
// It holds the lease meanwhile, because an acquisition during a refresh would end the
// other's chain; what edit does may take as long as a POST, so it is not begun with a lease that is about to end. A record that
// cannot be read is not overwritten.
func Replace(ctx context.Context, s token.Store, edit func(token.Record) (token.Record, error)) error {
	err := replace(ctx, s, edit, lasting)
	for tries := 1; tries < leaseTries && errors.Is(err, errLeaseShort); tries++ {
		err = replace(ctx, s, edit, lasting)
	}
	return err
}

// Keep is Replace for what is in hand already: it is stored however little is left of the lease.
func Keep(ctx context.Context, s token.Store, edit func(token.Record) (token.Record, error)) error {
	return replace(ctx, s, edit, func(token.Store) func() bool { return func() bool { return true } })
}

func replace(ctx context.Context, s token.Store, edit func(token.Record) (token.Record, error), lasting func(token.Store) func() bool) error {
	release, err := s.Lease(ctx)
	if err != nil {
		return err
	}
	defer release()
	lasts := lasting(s)
	record, handle, err := s.Load(ctx)
	if err != nil && !errors.Is(err, token.ErrNotFound) {
		return err
	}
	if !lasts() {
		return errLeaseShort
	}
	next, err := edit(record)
	if err != nil {
		return err
	}
	_, err = s.Swap(ctx, handle, next)
	return err
}

// lasting reports whether half of what a lease has now is left later: whoever holds one renews it long before that.
func lasting(s token.Store) func() bool {
	expiring, ok := s.(token.Expiring)
	if !ok {
		return func() bool { return true }
	}
	term := expiring.LeaseLeft()
	return func() bool { return term > 0 && expiring.LeaseLeft() >= term/2 }
}

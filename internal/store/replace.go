package store

import (
	"context"
	"errors"

	"evergate/internal/token"
)

// Replace stores what a person or a merchant has just authorised, whatever was there
// before. edit gets the stored record, a zero one if there is none, and returns the next.
// It holds the lease meanwhile, because an acquisition during a refresh would end the
// other's chain; what edit does may take as long as a POST. A record that cannot be read
// is not overwritten.
func Replace(ctx context.Context, s token.Store, edit func(token.Record) (token.Record, error)) error {
	release, err := s.Lease(ctx)
	if err != nil {
		return err
	}
	defer release()
	record, handle, err := s.Load(ctx)
	if err != nil && !errors.Is(err, token.ErrNotFound) {
		return err
	}
	next, err := edit(record)
	if err != nil {
		return err
	}
	_, err = s.Swap(ctx, handle, next)
	return err
}

package store

import (
	"context"
	"errors"
	"fmt"
	"os"

	"evergate/internal/durable"
	"evergate/internal/envelope"
)

// lock locks the file with the given extension.
func (s *FileStore) lock(ctx context.Context, ext string) (unlock func(), err error) {
	unlock, err = durable.Lock(ctx, s.path(ext))
	return unlock, unreadable(err)
}

// lockForReading locks only where a file that is being read cannot be replaced.
func (s *FileStore) lockForReading(ctx context.Context) (unlock func(), err error) {
	if !durable.ReadersLock {
		return func() {}, nil
	}
	unlock, err = s.lock(ctx, ".lock")
	if err != nil {
		return nil, fmt.Errorf("the store cannot be locked for reading: %w", err)
	}
	return unlock, nil
}

// openRegular opens a file of the store, but not through a symlink and not something that
// is no file at all.
func openRegular(path string, flag int) (*os.File, error) {
	f, err := durable.OpenRegular(path, flag)
	return f, unreadable(err)
}

// unreadable says of something in the place of a file that a person must act.
func unreadable(err error) error {
	if errors.Is(err, durable.ErrIrregular) {
		return fmt.Errorf("%w: %w", envelope.ErrUnreadable, err)
	}
	return err
}

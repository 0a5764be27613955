package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"evergate/internal/durable"
	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// settled is how old a file must be for its modification time to tell it from a later
// one: file systems count in ticks of up to two seconds, and give a number of a removed
// file to the next.
const settled = 3 * time.Second

// FileStore keeps a shop's record in a directory:
//
//	DOMAIN.json    the record; replaced by rename, never written in place
//	DOMAIN.lock    locked while the record is read, compared and replaced
//	DOMAIN.lease   locked while a grant is refreshed
//	.DOMAIN.*.tmp  a record being written; only under the lock
//
// The locks are the kernel's: they end with the process that holds them, however it ends.
// The files they are on are never removed, because a process could wait for, and get, the
// lock on a removed one. Nothing is held between calls, so any number of processes can
// share a directory, and a directory can be restored from a backup while we run.
type FileStore struct {
	dir     string
	codec   envelope.Codec
	syncDir func(dir string) error // replaced in tests

	// sealed says that a record in plain text is no longer taken: there is a key, and whatever was
	// there before it has been encrypted. wasPlain says that there was something.
	sealed, wasPlain bool

	mu sync.Mutex
	// seen is the file that was read last, once it had settled.
	seen struct {
		file   durable.Version
		handle token.Handle
	}
	// doubtful is the last write, if its rename could not be made durable.
	doubtful struct{ old, next token.Handle }
}

// OpenDir opens the record of shop in dir. It makes the directory if it is missing, and
// refuses one that others can enter or that belongs to somebody else.
func OpenDir(dir string, shop token.Shop, keys envelope.Keys) (*FileStore, error) {
	if err := keys.Validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir) // so that errors say where, and a later chdir changes nothing
	if err != nil {
		return nil, fmt.Errorf("the store's directory: %w", err)
	}
	if err := directory(dir).Open(); err != nil {
		return nil, err
	}
	s := newFileStore(dir, shop, keys)
	if err := s.sweep(); err != nil {
		return nil, err
	}
	return s, s.seal()
}

// newFileStore touches nothing.
func newFileStore(dir string, shop token.Shop, keys envelope.Keys) *FileStore {
	return &FileStore{dir: dir, codec: envelope.Codec{Shop: shop, Keys: keys}, syncDir: durable.SyncDir}
}

// seal has no record in plain text taken from now on, if there is a key.
func (s *FileStore) seal() error {
	if s.codec.Keys.Current.Empty() {
		return nil
	}
	return s.sealOld()
}

// sealWait bounds the wait for somebody who is writing while a store is opened.
const sealWait = 10 * time.Second

// sealOld encrypts a record that is from before there was a key. From then on one in plain text
// is not taken: somebody has put it there who does not have the key.
func (s *FileStore) sealOld() error {
	ctx, cancel := context.WithTimeout(context.Background(), sealWait)
	defer cancel()
	unlock, err := s.lock(ctx, ".lock")
	if err != nil {
		return fmt.Errorf("the store cannot be locked for writing: %w", err)
	}
	defer unlock()
	content, err := s.read()
	if err == nil && content == nil {
		s.sealed = true
		return nil
	}
	record, err := s.decode(content)
	if err != nil {
		// Whoever loads it hears what is wrong. A backup that takes its place may be from before there was a key.
		return nil //nolint:nilerr // as above
	}
	if !envelope.IsPlain(content) {
		s.sealed = true
		return nil
	}
	if content, err = s.codec.Encode(record); err != nil {
		return err
	}
	if err := s.replace("", content); err != nil {
		return fmt.Errorf("the stored record is in plain text and cannot be encrypted: %w: see that %s is writable and has space", err, s.dir)
	}
	s.sealed, s.wasPlain = true, true
	return nil
}

// WasPlain reports whether a record in plain text was found and encrypted when the store was
// opened: so it was if the key is new, and somebody else has written it if the key is not.
func (s *FileStore) WasPlain() bool { return s.wasPlain }

// path returns the file of the shop with the given extension.
func (s *FileStore) path(ext string) string {
	return filepath.Join(s.dir, s.codec.Shop.Domain()+ext)
}

// Load implements token.Store.
func (s *FileStore) Load(ctx context.Context) (token.Record, token.Handle, error) {
	// On Unix a reader takes no lock. It may see a record whose rename is not durable yet;
	// that does no harm, because whoever goes on to refresh it writes a note first, into
	// the same directory, and that makes both renames durable.
	unlock, err := s.lockForReading(ctx)
	if err != nil {
		return token.Record{}, "", err
	}
	defer unlock()
	content, err := s.read()
	if err != nil {
		return token.Record{}, "", err
	}
	if content == nil {
		return token.Record{}, "", token.ErrNotFound
	}
	record, err := s.decode(content)
	if err != nil {
		return token.Record{}, "", err
	}
	return record, envelope.HandleOf(content), nil
}

// Swap implements token.Store. Once it has begun to write, it no longer heeds ctx.
func (s *FileStore) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	content, err := s.codec.Encode(next)
	if err != nil {
		return "", err
	}
	unlock, err := s.lock(ctx, ".lock")
	if err != nil {
		return "", fmt.Errorf("the store cannot be locked for writing: %w", err)
	}
	defer unlock()
	stored, err := s.read()
	if err != nil {
		return "", err
	}
	if stored != nil {
		// Before the handles are compared: what cannot be read is never overwritten, and
		// to be told to load it again would help nobody.
		if _, err := s.decode(stored); err != nil {
			return "", err
		}
	}
	if current := envelope.HandleOf(stored); current != old && !s.isDoubtful(old, current) {
		return "", token.ErrConflict
	}
	if err := s.replace(old, content); err != nil {
		return "", remedy.New(fmt.Sprintf("see that %s is writable and has space", s.dir), "the record cannot be written: %w", err)
	}
	return envelope.HandleOf(content), nil
}

// replace makes content the record, durably. If it fails, the one before is still there,
// unless the rename is in doubt.
func (s *FileStore) replace(old token.Handle, content []byte) error {
	temp, err := s.writeTemp(content)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, s.path(".json")); err != nil {
		_ = os.Remove(temp) // or the next open does it
		return err
	}
	if err = s.syncDir(s.dir); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.doubtful.old, s.doubtful.next = old, envelope.HandleOf(content)
	}
	return err
}

// isDoubtful reports whether current is our own write from old, which took effect but was
// reported as failed, because it may not have survived the machine. The writer tries
// again from old: that is no conflict.
func (s *FileStore) isDoubtful(old, current token.Handle) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doubtful.next != "" && s.doubtful.old == old && s.doubtful.next == current
}

// Lease implements token.Store.
func (s *FileStore) Lease(ctx context.Context) (release func(), err error) {
	release, err = s.lock(ctx, ".lease")
	if err != nil {
		return nil, fmt.Errorf("the right to refresh %s: %w", s.codec.Shop, err)
	}
	return release, nil
}

// Changed implements token.Store. Most calls cost one stat.
func (s *FileStore) Changed(ctx context.Context, old token.Handle) (bool, error) {
	if info, err := os.Lstat(s.path(".json")); err == nil {
		if handle, ok := s.recall(info); ok {
			return handle != old, nil
		}
	}
	unlock, err := s.lockForReading(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	content, err := s.read()
	if err != nil {
		return false, err
	}
	return envelope.HandleOf(content) != old, nil
}

func (s *FileStore) decode(content []byte) (token.Record, error) {
	if s.sealed && envelope.IsPlain(content) {
		return token.Record{}, fmt.Errorf("%s: %w", s.path(".json"), envelope.ErrPlain)
	}
	record, err := s.codec.Decode(content)
	if err != nil {
		return token.Record{}, fmt.Errorf("%s: %w", s.path(".json"), err)
	}
	return record, nil
}

// read returns the content of the record's file, nil if there is none.
func (s *FileStore) read() ([]byte, error) {
	path := s.path(".json")
	now := time.Now() // before the file is looked at: a later change is then a younger one
	f, err := openRegular(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(s.dir); err != nil { // no directory is not the same as no record
			return nil, remedy.New("restore it and start again", "the store's directory is gone: %w", err)
		}
		return nil, nil
	}
	if errors.Is(err, envelope.ErrUnreadable) {
		return nil, err
	}
	if err != nil {
		return nil, readError(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, readError(err)
	}
	content, err := io.ReadAll(io.LimitReader(f, envelope.MaxSize+1))
	if err != nil {
		return nil, readError(err)
	}
	if len(content) > envelope.MaxSize {
		return nil, fmt.Errorf("%s: %w", path, envelope.ErrDamaged)
	}
	if now.Sub(info.ModTime()) > settled {
		s.remember(info, envelope.HandleOf(content))
	}
	return content, nil
}

func readError(err error) error {
	return remedy.New("make it readable for the user that runs Evergate", "the stored record cannot be read: %w", err)
}

func (s *FileStore) remember(info fs.FileInfo, handle token.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.file, s.seen.handle = durable.VersionOf(info), handle
}

// recall returns the handle of a file that was read before and has not changed since.
func (s *FileStore) recall(info fs.FileInfo) (token.Handle, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.handle, s.seen.file.Is(durable.VersionOf(info))
}

package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"evergate/internal/clock"
	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// lookEvery is how often a directory is looked at for what other processes have written.
const lookEvery = 2 * time.Second

// fileBackend is a directory with a file for each shop.
type fileBackend struct {
	dir  string
	keys envelope.Keys
}

// Shop implements token.Backend. It makes the directory.
func (b fileBackend) Shop(shop token.Shop) (token.Store, error) {
	s, err := OpenDir(b.dir, shop, b.keys)
	if err != nil {
		return nil, err // not s: a nil *FileStore must not become a token.Store
	}
	return s, nil
}

// All implements token.Backend.
func (b fileBackend) All(ctx context.Context) iter.Seq2[token.Listed, error] {
	return func(yield func(token.Listed, error) bool) {
		entries, err := os.ReadDir(b.dir)
		if errors.Is(err, fs.ErrNotExist) {
			return // nothing has been stored yet
		}
		if err != nil {
			yield(token.Listed{}, fmt.Errorf("the store's directory cannot be listed: %w", err))
			return
		}
		for _, e := range entries {
			domain, isRecord := strings.CutSuffix(e.Name(), ".json")
			shop, err := token.ParseShop(domain)
			if !isRecord || err != nil || shop.Domain() != domain {
				continue // a lock, a temporary file, or nothing of ours
			}
			if ctx.Err() != nil {
				yield(token.Listed{}, context.Cause(ctx))
				return
			}
			listed := token.Listed{Domain: domain}
			s, err := b.Shop(shop)
			if err == nil {
				listed.Record, listed.Handle, err = s.Load(ctx)
			}
			if errors.Is(err, token.ErrNotFound) {
				continue // it has been removed meanwhile
			}
			if !yield(listed, err) {
				return
			}
		}
	}
}

// Watch implements token.Backend. Each write renames a file, and that changes the directory's time; which file it was is not known.
func (b fileBackend) Watch(ctx context.Context, changed func(domain string)) {
	var seen time.Time
	for ctx.Err() == nil {
		if info, err := os.Stat(b.dir); err == nil {
			// A second change within one tick of the file system's clock leaves no trace.
			if unsettled := time.Since(info.ModTime()) < settled; unsettled || !info.ModTime().Equal(seen) {
				changed("")
			}
			seen = info.ModTime()
		}
		_ = clock.Sleep(ctx, lookEvery) // the loop looks at ctx
	}
}

// Check implements token.Backend.
func (b fileBackend) Check(context.Context) []token.Finding {
	if err := directory(b.dir).Open(); err != nil {
		text, do := remedy.Split(err)
		return []token.Finding{{Loses: true, Text: text, Do: do}}
	}
	return nil
}

// Close implements token.Backend.
func (fileBackend) Close() {}

func openFileBackend(rest string, keys envelope.Keys, getenv func(string) string) (token.Backend, error) {
	if err := keys.Validate(); err != nil {
		return nil, err
	}
	dir, err := fileDir(rest, getenv)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil { // so that errors say where, and a later chdir changes nothing
		return nil, fmt.Errorf("the store's directory: %w", err)
	}
	return fileBackend{dir: dir, keys: keys}, nil
}

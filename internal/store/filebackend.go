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
	"sync"
	"time"

	"evergate/internal/clock"
	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// lookEvery is how often a directory is looked at for what other processes have written.
const lookEvery = 2 * time.Second

// fileBackend is a directory with a file for each shop. Listing a directory of many is slow, so what earlier processes left
// is removed once.
type fileBackend struct {
	dir  string
	keys envelope.Keys

	mu    sync.Mutex
	ready bool
}

// Shop implements token.Backend. It makes the directory.
func (b *fileBackend) Shop(shop token.Shop) (token.Store, error) {
	if err := b.open(); err != nil {
		return nil, err
	}
	s := newFileStore(b.dir, shop, b.keys)
	if err := s.seal(); err != nil {
		return nil, err
	}
	return s, nil
}

// open makes the directory if it is missing, and removes what processes left there that died while they were writing.
func (b *fileBackend) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ready {
		return nil
	}
	if err := directory(b.dir).Open(); err != nil {
		return err
	}
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return fmt.Errorf("the store's directory cannot be listed: %w", err)
	}
	for _, e := range entries {
		if shop, ok := ofTemp(e.Name()); ok {
			if err := newFileStore(b.dir, shop, b.keys).sweep(); err != nil {
				return err
			}
		}
	}
	b.ready = true
	return nil
}

// ofTemp returns the shop whose record a temporary file was to be.
func ofTemp(name string) (token.Shop, bool) {
	rest, ok := strings.CutPrefix(name, ".")
	if !ok || !strings.HasSuffix(rest, tempSuffix) {
		return token.Shop{}, false
	}
	i := strings.Index(rest, shopSuffix+".")
	if i < 0 {
		return token.Shop{}, false
	}
	shop, err := token.ParseShop(rest[:i+len(shopSuffix)])
	return shop, err == nil
}

const shopSuffix = ".myshopify.com"

// All implements token.Backend.
func (b *fileBackend) All(ctx context.Context) iter.Seq2[token.Listed, error] {
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
			listed.Record, listed.Handle, err = newFileStore(b.dir, shop, b.keys).Load(ctx)
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
func (b *fileBackend) Watch(ctx context.Context, changed func(domain string)) {
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

// Place says which directory it is.
func (b *fileBackend) Place() string {
	if dir, err := filepath.EvalSymlinks(b.dir); err == nil {
		return "file:" + dir
	}
	return "file:" + b.dir
}

// missing says that there is no directory.
func (b *fileBackend) missing() error {
	if _, err := os.Stat(b.dir); errors.Is(err, fs.ErrNotExist) {
		return remedy.New("let EVERGATE_STORE name the directory that the sidecar has; it is made for the first grant that is stored", "the store's directory %s does not exist", b.dir)
	}
	return nil
}

// Check implements token.Backend. It makes nothing: the directory may have been misspelt.
func (b *fileBackend) Check(context.Context) []token.Finding {
	if err := directory(b.dir).Fit(); err != nil {
		text, do := remedy.Split(err)
		return []token.Finding{{Loses: true, Text: text, Do: do}}
	}
	return nil
}

// Close implements token.Backend.
func (*fileBackend) Close() {}

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
	return &fileBackend{dir: dir, keys: keys}, nil
}

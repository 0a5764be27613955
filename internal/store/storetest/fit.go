package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"strings"
	"sync"
	"unicode/utf8"

	"evergate/internal/token"
)

// Fitter lets the suite run on a place that keeps the access token and the refresh token of a pair, and nothing else, as a text of
// limited length: in an app's own columns. What is longer, no UTF-8 or holds a zero byte goes there by another name. No such token
// exists; a store that cannot hold one refuses it, and that is for its own tests.
type Fitter struct {
	// Most is how many characters there is room for.
	Most int

	mu    sync.Mutex
	names map[string]string
}

// Backend is b for tokens of any kind.
func (f *Fitter) Backend(b token.Backend) token.Backend { return fitted{b, f} }

type fitted struct {
	token.Backend
	by *Fitter
}

// Shop implements token.Backend.
func (b fitted) Shop(shop token.Shop) (token.Store, error) {
	s, err := b.Backend.Shop(shop)
	return fittedStore{s, b.by}, err
}

// All implements token.Backend.
func (b fitted) All(ctx context.Context) iter.Seq2[token.Listed, error] {
	return func(yield func(token.Listed, error) bool) {
		for l, err := range b.Backend.All(ctx) {
			l.Record = b.by.translated(l.Record, b.by.back)
			if !yield(l, err) {
				return
			}
		}
	}
}

type fittedStore struct {
	token.Store
	by *Fitter
}

// Load implements token.Store.
func (s fittedStore) Load(ctx context.Context) (token.Record, token.Handle, error) {
	r, h, err := s.Store.Load(ctx)
	return s.by.translated(r, s.by.back), h, err
}

// Swap implements token.Store.
func (s fittedStore) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	return s.Store.Swap(ctx, old, s.by.translated(next, s.by.name))
}

func (f *Fitter) translated(r token.Record, by func(string) string) token.Record {
	for _, secret := range []*token.Secret{&r.Current.Token.Access, &r.Current.Refresh} {
		if !secret.Empty() {
			*secret = token.NewSecret(by(secret.Reveal()))
		}
	}
	return r
}

func (f *Fitter) name(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") && utf8.RuneCountInString(s) <= f.Most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	name := "shpat_" + hex.EncodeToString(sum[:])
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names == nil {
		f.names = map[string]string{}
	}
	f.names[name] = s
	return name
}

func (f *Fitter) back(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, ok := f.names[name]; ok {
		return s
	}
	return name
}

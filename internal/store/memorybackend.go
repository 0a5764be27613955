package store

import (
	"context"
	"errors"
	"iter"
	"maps"
	"sync"

	"evergate/internal/token"
)

// memoryBackend keeps records for as long as the process lives.
type memoryBackend struct {
	mu       sync.Mutex
	shops    map[token.Shop]*MemoryStore
	watchers map[*func(domain string)]bool
}

// Shop implements token.Backend: the same store for a shop each time.
func (b *memoryBackend) Shop(shop token.Shop) (token.Store, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shops[shop]
	if s == nil {
		s = Memory(shop)
		s.changed = func() { b.tell(shop) }
		b.shops[shop] = s
	}
	return s, nil
}

// All implements token.Backend.
func (b *memoryBackend) All(ctx context.Context) iter.Seq2[token.Listed, error] {
	return func(yield func(token.Listed, error) bool) {
		b.mu.Lock()
		all := maps.Clone(b.shops)
		b.mu.Unlock()
		for shop, s := range all {
			record, handle, err := s.Load(ctx)
			if errors.Is(err, token.ErrNotFound) {
				continue
			}
			if !yield(token.Listed{Domain: shop.Domain(), Record: record, Handle: handle}, err) {
				return
			}
		}
	}
}

// Watch implements token.Backend.
func (b *memoryBackend) Watch(ctx context.Context, changed func(domain string)) {
	b.mu.Lock()
	b.watchers[&changed] = true
	b.mu.Unlock()
	changed("")
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watchers, &changed)
}

func (b *memoryBackend) tell(shop token.Shop) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for changed := range b.watchers {
		(*changed)(shop.Domain())
	}
}

// Check implements token.Backend.
func (*memoryBackend) Check(context.Context) []token.Finding { return nil }

// Close implements token.Backend.
func (*memoryBackend) Close() {}

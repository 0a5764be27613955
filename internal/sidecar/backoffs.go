package sidecar

import (
	"reflect"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"evergate/internal/refresh"
	"evergate/internal/shopsfile"
	"evergate/internal/token"
)

// mostBackOffs bounds what is remembered of shops that are not here any more: some 400 bytes each.
const mostBackOffs = 4096

// backOffs are those of shops that had to make room while they failed. A shop that is called again goes on where it was, so that its
// calls do not cost Shopify an attempt each. The zero value has none. It is safe for concurrent use.
type backOffs struct {
	mu   sync.Mutex
	kept *simplelru.LRU[token.Shop, backOff]
}

type backOff struct {
	failing *refresh.Failing
	said    *shopsfile.Settings // of which the shop was made
}

// keep keeps that of a shop that makes room.
func (b *backOffs) keep(name token.Shop, s *shop) {
	failing := s.source.Failing()
	if failing == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == nil {
		b.kept, _ = simplelru.NewLRU[token.Shop, backOff](mostBackOffs, nil) // it fails for a size of 0 only
	}
	b.kept.Add(name, backOff{failing, s.said})
}

// take returns that of a shop that is made anew of what the file says; nil: there is none, or it came of other settings.
func (b *backOffs) take(name token.Shop, said *shopsfile.Settings) *refresh.Failing {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == nil {
		return nil
	}
	kept, ok := b.kept.Peek(name)
	b.kept.Remove(name)
	if !ok || !reflect.DeepEqual(kept.said, said) {
		return nil
	}
	return kept.failing
}

// clear forgets all of them.
func (b *backOffs) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = nil
}

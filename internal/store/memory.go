package store

import (
	"context"
	"fmt"
	"sync"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

// MemoryStore keeps a record for as long as the process lives. It keeps it encoded, like
// every other store, so that nobody shares memory with what is stored and a test that
// passes here does not pass because of a shared pointer or a monotonic clock reading.
type MemoryStore struct {
	codec envelope.Codec
	lease chan struct{}
	// changed is told of each write; nil: nobody asks.
	changed func()

	mu      sync.Mutex
	content []byte // nil while nothing is stored
}

// Memory returns an empty store.
func Memory(shop token.Shop) *MemoryStore {
	return &MemoryStore{codec: envelope.Codec{Shop: shop}, lease: make(chan struct{}, 1)}
}

// Load implements token.Store.
func (s *MemoryStore) Load(context.Context) (token.Record, token.Handle, error) {
	content := s.read()
	if content == nil {
		return token.Record{}, "", token.ErrNotFound
	}
	record, err := s.codec.Decode(content)
	if err != nil {
		return token.Record{}, "", err
	}
	return record, envelope.HandleOf(content), nil
}

// Swap implements token.Store, except for the durability.
func (s *MemoryStore) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	content, err := s.codec.Encode(next)
	if err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if !s.write(old, content) {
		return "", token.ErrConflict
	}
	if s.changed != nil {
		s.changed()
	}
	return envelope.HandleOf(content), nil
}

func (s *MemoryStore) write(old token.Handle, content []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if envelope.HandleOf(s.content) != old {
		return false
	}
	s.content = content
	return true
}

// Lease implements token.Store.
func (s *MemoryStore) Lease(ctx context.Context) (release func(), err error) {
	if ctx.Err() == nil {
		select {
		case s.lease <- struct{}{}:
			return sync.OnceFunc(func() { <-s.lease }), nil
		case <-ctx.Done():
		}
	}
	return nil, fmt.Errorf("the right to refresh %s is held elsewhere: %w", s.codec.Shop, context.Cause(ctx))
}

// Changed implements token.Store.
func (s *MemoryStore) Changed(_ context.Context, old token.Handle) (bool, error) {
	return envelope.HandleOf(s.read()) != old, nil
}

func (s *MemoryStore) read() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content
}

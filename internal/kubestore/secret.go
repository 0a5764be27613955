package kubestore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

// shopStore is the record of one shop. It holds next to nothing while nobody uses it.
type shopStore struct {
	backend *backend
	name    string
	codec   envelope.Codec
	turn    chan struct{} // one goroutine of this process at a time asks for the lease
	held    atomic.Pointer[holding]
	life    atomic.Int64 // of the token that was seen last

	mu sync.Mutex
	// lost are the writes from one state whose answers have not come.
	lost struct {
		from token.Handle
		what []token.Handle // envelope.HandleOf what was written
	}
}

// maxLost bounds what is remembered while the API server is away. Only the first of several writes from one state can succeed,
// and which is first there is not known.
const maxLost = 32

// Load implements token.Store. The API server reads from a quorum.
func (s *shopStore) Load(ctx context.Context) (token.Record, token.Handle, error) {
	stored, err := s.read(ctx)
	if err != nil {
		return token.Record{}, "", err
	}
	record, err := s.backend.decode(s.codec, stored)
	if err != nil {
		return token.Record{}, "", err
	}
	s.life.Store(int64(record.Current.Token.Life))
	return record, stored.Metadata.handle(), nil
}

func (s *shopStore) read(ctx context.Context) (stored secret, err error) {
	err = s.backend.client.do(ctx, call{method: http.MethodGet, path: s.backend.secrets(s.name)}, &stored)
	return stored, s.absent(err)
}

func (s *shopStore) absent(err error) error {
	if statusOf(err) == http.StatusNotFound {
		return token.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("the Secret %s cannot be read: %w", s.backend.called(s.name), err)
	}
	return nil
}

// Changed implements token.Store. The record stays where it is.
func (s *shopStore) Changed(ctx context.Context, old token.Handle) (bool, error) {
	var stored object
	err := s.backend.client.do(ctx, call{method: http.MethodGet, path: s.backend.secrets(s.name), metadataOnly: true}, &stored)
	switch err = s.absent(err); err {
	case nil:
		return stored.Metadata.handle() != old, nil
	case token.ErrNotFound: //nolint:errorlint // absent makes it
		return old != "", nil
	}
	return false, err
}

// Swap implements token.Store.
func (s *shopStore) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	content, err := s.codec.Encode(next)
	if err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	for from := old; ; {
		handle, err := s.write(ctx, from, content)
		switch {
		case err == nil:
			s.settle()
			s.life.Store(int64(next.Current.Token.Life))
			return handle, nil
		case isDoubtful(err):
			s.remember(old, content)
			// If it can be told now that it was done, nobody has to try again.
			if stored, readErr := s.read(ctx); readErr == nil && string(stored.Data[recordKey]) == string(content) {
				s.settle()
				return stored.Metadata.handle(), nil
			}
			return "", fmt.Errorf("the Secret %s may not have been written: %w", s.backend.called(s.name), err)
		case !isConflict(err, from):
			return "", fmt.Errorf("the Secret %s cannot be written: %w", s.backend.called(s.name), err)
		case !s.hasLost(old):
			return "", token.ErrConflict
		}
		// Is what is there now a write of our own from old, whose answer was lost? It is no conflict to go on from that.
		stored, err := s.read(ctx)
		if err != nil && !errors.Is(err, token.ErrNotFound) {
			return "", err
		}
		if err != nil || stored.Metadata.handle() == from || !s.isLost(old, stored.Data[recordKey]) {
			return "", token.ErrConflict
		}
		from = stored.Metadata.handle()
	}
}

// write makes the Secret, or changes the record in it and nothing else: labels and annotations that others have put there stay.
func (s *shopStore) write(ctx context.Context, from token.Handle, content []byte) (token.Handle, error) {
	var stored object
	data := map[string][]byte{recordKey: content}
	if from == "" {
		made := secret{APIVersion: "v1", Kind: "Secret", Metadata: newMeta(s.codec.Shop), Type: secretType, Data: data}
		err := s.backend.client.do(ctx, call{method: http.MethodPost, path: s.backend.secrets(""), body: made, metadataOnly: true}, &stored)
		return stored.Metadata.handle(), err
	}
	uid, version, ok := split(from)
	if !ok { // nothing that we have ever read
		return "", &refusal{status: http.StatusConflict}
	}
	// With a resourceVersion in it, a patch is a compare-and-swap, and so is the uid, which nothing changes.
	patch := secret{Metadata: objectMeta{UID: uid, ResourceVersion: version}, Data: data}
	err := s.backend.client.do(ctx, call{method: http.MethodPatch, path: s.backend.secrets(s.name), body: patch, contentType: "application/merge-patch+json", metadataOnly: true}, &stored)
	return stored.Metadata.handle(), err
}

// isConflict reports an answer that says that something else is stored than what from names.
func isConflict(err error, from token.Handle) bool {
	switch statusOf(err) {
	case http.StatusConflict:
		return true
	case http.StatusNotFound:
		return from != "" // for a new one it is the namespace that is missing
	}
	return false
}

func (s *shopStore) remember(from token.Handle, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost.from != from || len(s.lost.what) == maxLost {
		s.lost.from, s.lost.what = from, nil
	}
	s.lost.what = append(s.lost.what, envelope.HandleOf(content))
}

func (s *shopStore) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost.from, s.lost.what = "", nil
}

// hasLost reports whether anything was written by us from there without an answer.
func (s *shopStore) hasLost(from token.Handle) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost.from == from && len(s.lost.what) > 0
}

// isLost reports whether this was.
func (s *shopStore) isLost(from token.Handle, content []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost.from == from && slices.Contains(s.lost.what, envelope.HandleOf(content))
}

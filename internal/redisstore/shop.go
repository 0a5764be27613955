package redisstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

var errPlain = remedy.New("remove that key and log in again", "%w: it is in plain text, which Evergate writes to no shared store, so somebody else has put it there", envelope.ErrUnreadable)

// shopStore is the record of one shop, and the right to refresh it.
type shopStore struct {
	backend *Backend
	codec   envelope.Codec
	held    atomic.Pointer[lease]
	// life is that of the newest token, in nanoseconds: a lease is short where tokens are.
	life atomic.Int64
}

// Load implements token.Store.
func (s *shopStore) Load(ctx context.Context) (token.Record, token.Handle, error) {
	var value []byte
	err := s.backend.command(ctx, func(ctx context.Context, r *redis) (err error) {
		value, err = r.Do(ctx, r.B().Get().Key(s.grantKey()).Build()).AsBytes()
		if rueidis.IsRedisNil(err) {
			value, err = nil, nil
		}
		return err
	})
	if err != nil {
		return token.Record{}, "", err
	}
	return s.read(value)
}

// read is what a value holds.
func (s *shopStore) read(value []byte) (token.Record, token.Handle, error) {
	if len(value) == 0 {
		return token.Record{}, "", token.ErrNotFound
	}
	record, handle, err := unpack(s.codec, value)
	if err == nil {
		s.life.Store(int64(record.Current.Token.Life))
	}
	return record, handle, err
}

// unpack takes a value apart. Its handle is compared, because the script that swaps believes it.
func unpack(codec envelope.Codec, value []byte) (token.Record, token.Handle, error) {
	if len(value) <= handleSize || value[handleSize] != '\n' {
		return token.Record{}, "", envelope.ErrDamaged
	}
	handle, content := token.Handle(value[:handleSize]), value[handleSize+1:]
	if envelope.HandleOf(content) != handle {
		return token.Record{}, "", envelope.ErrDamaged
	}
	if envelope.IsPlain(content) {
		return token.Record{}, "", errPlain
	}
	record, err := codec.Decode(content)
	if err != nil {
		return token.Record{}, "", err
	}
	return record, handle, nil
}

// Swap implements token.Store. How durable that is, is the server's affair.
func (s *shopStore) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	content, err := s.codec.Encode(next)
	if err != nil {
		return "", err
	}
	handle := envelope.HandleOf(content)
	var written int64
	err = s.backend.command(ctx, func(ctx context.Context, r *redis) (err error) {
		written, err = r.swap.Exec(ctx, r, []string{s.grantKey()},
			[]string{string(old), string(handle) + "\n" + string(content), s.backend.channel(), s.domain()}).AsInt64()
		return err
	})
	if err != nil {
		return "", fmt.Errorf("the record of %s may not have been written: %w", s.codec.Shop, err)
	}
	if written == 0 {
		return "", token.ErrConflict
	}
	s.life.Store(int64(next.Current.Token.Life))
	return handle, nil
}

// Changed implements token.Store: only the handle is read.
func (s *shopStore) Changed(ctx context.Context, old token.Handle) (bool, error) {
	var stored string
	err := s.backend.command(ctx, func(ctx context.Context, r *redis) (err error) {
		stored, err = r.Do(ctx, r.B().Getrange().Key(s.grantKey()).Start(0).End(handleSize-1).Build()).ToString()
		return err
	})
	return err == nil && stored != string(old), err
}

func (s *shopStore) domain() string   { return s.codec.Shop.Domain() }
func (s *shopStore) grantKey() string { return s.backend.key(grantKind, s.domain()) }
func (s *shopStore) leaseKey() string { return s.backend.key(leaseKind, s.domain()) }

const (
	longestLease  = 10 * time.Second
	shortestLease = time.Second
)

// term is for how long a lease is taken: for others, what the death of its holder costs. It is renewed three times in a term.
func (s *shopStore) term() time.Duration {
	life := time.Duration(s.life.Load())
	if life <= 0 {
		return longestLease
	}
	return min(max(life/5, shortestLease), longestLease)
}

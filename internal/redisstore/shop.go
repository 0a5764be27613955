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
	demoted := false
	err := s.backend.command(ctx, func(ctx context.Context, r *redis) (err error) {
		value, err = bytesOf(r.Do(ctx, r.B().Get().Key(s.grantKey()).Build()))
		if err == nil && value == nil && r.Mode() != rueidis.ClientModeCluster {
			value, demoted, err = s.lookAgain(ctx, r)
		}
		return err
	})
	switch {
	case err != nil:
		return token.Record{}, "", err
	case demoted:
		return token.Record{}, "", s.backend.demoted()
	}
	return s.read(value)
}

// lookAgain asks a server that has no record whether it is a master, in one breath, because the library may lead to another one at any
// time. A master that was lost comes back as a replica, with nothing at first, and may be asked before Sentinel has told of the new one. In
// a Cluster a replica says itself that it is none to ask.
func (s *shopStore) lookAgain(ctx context.Context, r *redis) (value []byte, demoted bool, err error) {
	both := r.DoMulti(ctx, r.B().Get().Key(s.grantKey()).Build(), r.B().Info().Section("replication").Build())
	value, err = bytesOf(both[0])
	if err != nil || value != nil {
		return value, false, err
	}
	info, err := both[1].ToString()
	if isRefused(err) {
		return nil, false, nil // it may not be asked
	}
	return nil, field(info, "role") == "slave", err
}

// bytesOf is a value that was asked for, or nil where there is none.
func bytesOf(answer rueidis.RedisResult) ([]byte, error) {
	value, err := answer.AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	return value, err
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

// Package redisstore is Redis as a place for the grants of many shops, shared by any number of processes: one server, Sentinel
// or a Cluster.
//
// Invariants:
//
//   - A record is one string without an end of life: its handle, a line feed, and what envelope made of it, which is always
//     encrypted. It is replaced by a script that compares the handle, on the master; the script can be run twice.
//   - A record is read from the master alone.
//   - The right to refresh is a key with an end of life and a random owner. How long it lasts at least counts from before it was
//     asked for.
//   - Nothing is dialled and nothing is allocated for the client before the first call.
//   - No error and no log holds a password, or a piece of what is stored.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/redis/rueidis"

	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

var errClosed = errors.New("the store has been closed")

// Backend is a Redis. It implements token.Backend.
type Backend struct {
	address address
	keys    envelope.Keys
	waiters waiters

	mu      sync.Mutex
	redis   *redis   // nil until it has been reached
	attempt *attempt // to reach it; nil while there is none
	closed  bool
}

// redis is a client and what is sent with it.
type redis struct {
	rueidis.Client
	swap, acquire, renew, release, account *rueidis.Lua
}

// attempt is one way to a client, for all who want one meanwhile.
type attempt struct {
	done  chan struct{}
	redis *redis
	err   error
}

// Open returns what spec names. Nothing is dialled yet.
func Open(spec string, keys envelope.Keys) (*Backend, error) {
	a, err := parse(spec)
	if err != nil {
		return nil, err
	}
	if keys.Current.Empty() {
		return nil, remedy.New("make one with: openssl rand -base64 32", "EVERGATE_STORE is shared, and EVERGATE_STORE_KEY is not set")
	}
	if err := keys.Validate(); err != nil {
		return nil, err
	}
	return &Backend{address: a, keys: keys, waiters: waiters{all: map[string]map[chan struct{}]bool{}}}, nil
}

// Place says which servers it is, and which of their keys.
func (b *Backend) Place() string {
	o := b.address.option
	return fmt.Sprintf("redis:%q/%d %q %q", slices.Sorted(slices.Values(o.InitAddress)), o.SelectDB, o.Sentinel.MasterSet, b.address.prefix)
}

// Shop implements token.Backend.
func (b *Backend) Shop(shop token.Shop) (token.Store, error) {
	return &shopStore{backend: b, codec: envelope.Codec{Shop: shop, Keys: b.keys}}, nil
}

// Close implements token.Backend.
func (b *Backend) Close() {
	b.mu.Lock()
	r := b.redis
	b.redis, b.closed = nil, true
	b.mu.Unlock()
	if r != nil {
		r.Close()
	}
}

// connected returns the client, which mends its own connections once there is one.
func (b *Backend) connected(ctx context.Context) (*redis, error) {
	b.mu.Lock()
	if b.redis != nil || b.closed {
		defer b.mu.Unlock()
		if b.closed {
			return nil, errClosed
		}
		return b.redis, nil
	}
	a := b.attempt
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		b.attempt = a
		go b.connect(a)
	}
	b.mu.Unlock()
	select {
	case <-a.done:
		return a.redis, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (b *Backend) connect(a *attempt) {
	defer close(a.done)
	option, err := b.address.client()
	var client rueidis.Client
	if err == nil {
		client, err = rueidis.NewClient(option)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempt = nil
	switch {
	case err != nil:
		a.err = b.failure(err)
	case b.closed:
		client.Close()
		a.err = errClosed
	default:
		// The scripts are hashed here, and not in every process when it starts.
		a.redis = &redis{
			Client: client,
			swap:   rueidis.NewLuaScriptRetryable(swapScript), acquire: rueidis.NewLuaScriptRetryable(acquireScript),
			renew: rueidis.NewLuaScriptRetryable(renewScript), release: rueidis.NewLuaScriptRetryable(releaseScript),
			account: rueidis.NewLuaScript(ledgerScript),
		}
		b.redis = a.redis
	}
}

// command runs what a caller wants done, for no longer than patience.
func (b *Backend) command(caller context.Context, run func(ctx context.Context, r *redis) error) error {
	if caller.Err() != nil {
		return context.Cause(caller)
	}
	ctx, cancel := context.WithTimeout(caller, patience)
	defer cancel()
	r, err := b.connected(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return b.because(caller, context.DeadlineExceeded)
		}
		return err
	}
	if err := run(ctx, r); err != nil {
		return b.because(caller, err)
	}
	return nil
}

const (
	grantKind = "grant"
	leaseKind = "lease"
)

// key of a shop. The braces put all of its keys into one slot of a Cluster; what kind it is comes before them, so that a
// prefix tells the kinds apart.
func (b *Backend) key(kind, domain string) string { return b.prefixOf(kind) + domain + "}" }

func (b *Backend) prefixOf(kind string) string { return b.address.prefix + ":" + kind + ":{" }

// channel is where changes are told to those who cannot have invalidations.
func (b *Backend) channel() string { return b.address.prefix + ":changed" }

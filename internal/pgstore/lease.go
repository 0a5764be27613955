package pgstore

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/clock"
	"evergate/internal/token"
)

const (
	// longestTerm and shortestTerm are for how long a right lasts that is not renewed: for so long a shop waits whose holder was
	// killed. It is a fifth of a token's life, which is what is left of one when it is renewed.
	longestTerm, shortestTerm = 15 * time.Second, time.Second
	// renewals in a term leave room for two that fail.
	renewals = 4
	// firstLook and lastLook are how often whoever waits for a right looks, at first and in the end.
	firstLook, lastLook = 25 * time.Millisecond, 500 * time.Millisecond
	// releaseTime bounds how long giving the right back may take. It ends by itself.
	releaseTime = 2 * time.Second
)

// A right to refresh is a row with an owner and an end, by the server's clock. A lock of a session would end with its holder at
// once, but behind a pooler that gives each transaction another connection it is nobody's.
const (
	leaseTake = `INSERT INTO evergate_leases AS l (shop, owner, ends) VALUES ($1, $2, clock_timestamp() + interval '1 millisecond' * $3::bigint) ` +
		`ON CONFLICT (shop) DO UPDATE SET owner = excluded.owner, ends = excluded.ends WHERE l.owner = excluded.owner OR l.ends < clock_timestamp() RETURNING 1::bigint`
	leaseRenew = `UPDATE evergate_leases SET ends = clock_timestamp() + interval '1 millisecond' * $3::bigint WHERE shop = $1 AND owner = $2 RETURNING 1::bigint`
	leaseGive  = `DELETE FROM evergate_leases WHERE shop = $1 AND owner = $2`
)

// learn notes how long the shop's tokens live.
func (s *store) learn(r token.Record) {
	if t := r.Current.Token; t.Expires() {
		s.life.Store(int64(t.Life))
	}
}

func (s *store) term() time.Duration {
	life := time.Duration(s.life.Load())
	if life == 0 {
		return longestTerm
	}
	return min(max(life/5, shortestTerm), longestTerm)
}

// held is the right that a store holds.
type held struct {
	mu    sync.Mutex
	owner string    // empty: none
	until time.Time // with a monotonic reading
}

// LeaseLeft implements token.Expiring. The time counts from before the command was sent, so the server's ends later.
func (s *store) LeaseLeft() time.Duration {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	if s.held.owner == "" {
		return 0
	}
	now := time.Now()
	// A machine that slept has lost time on its monotonic clock.
	return max(0, min(s.held.until.Sub(now), s.held.until.Round(0).Sub(now.Round(0))))
}

// Lease implements token.Store.
func (s *store) Lease(ctx context.Context) (release func(), err error) {
	owner, term := rand.Text(), s.term()
	for look := firstLook; ; look = min(2*look, lastLook) {
		if ctx.Err() == nil {
			until := time.Now().Add(term)
			got, err := s.leaseCommand(ctx, leaseTake, s.shop.Domain(), owner, term.Milliseconds())
			if got {
				return s.hold(owner, until, term), nil
			}
			if err != nil && ctx.Err() == nil {
				return nil, fmt.Errorf("the right to refresh %s cannot be had: %w", s.shop, err)
			}
		}
		if clock.Sleep(ctx, look/2+mathrand.N(look)) != nil { //nolint:gosec // G404: spreads, hides nothing
			return nil, fmt.Errorf("the right to refresh %s is held elsewhere: %w", s.shop, context.Cause(ctx))
		}
	}
}

// hold keeps the right until it is released or lost.
func (s *store) hold(owner string, until time.Time, term time.Duration) (release func()) {
	s.set(owner, until)
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.renew(ctx, owner, term)
	}()
	return sync.OnceFunc(func() {
		stop()
		<-over
		s.drop(owner)
		ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
		defer cancel()
		_, _ = s.leaseCommand(ctx, leaseGive, s.shop.Domain(), owner) // it ends by itself
	})
}

// renew goes on until ctx ends or somebody else has the right.
func (s *store) renew(ctx context.Context, owner string, term time.Duration) {
	for clock.Sleep(ctx, term/renewals) == nil {
		until := time.Now().Add(term)
		got, err := s.leaseCommand(ctx, leaseRenew, s.shop.Domain(), owner, term.Milliseconds())
		switch {
		case got:
			s.set(owner, until)
		case err == nil:
			s.drop(owner)
			return
		}
	}
}

func (s *store) set(owner string, until time.Time) {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	s.held.owner, s.held.until = owner, until
}

func (s *store) drop(owner string) {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	if s.held.owner == owner {
		s.held.owner = ""
	}
}

// leaseCommand reports whether a row was written. Each command can be sent twice.
func (s *store) leaseCommand(ctx context.Context, sql string, args ...any) (written bool, err error) {
	err = s.backend.layout.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		rows, err := query(ctx, c, sql, args...)
		written = len(rows) > 0
		return err
	})
	return written, err
}

var (
	_ token.Expiring = (*store)(nil)
	_ token.Yielding = (*store)(nil)
	_ token.Backend  = (*Backend)(nil)
	_ token.Dues     = (*Backend)(nil)
)

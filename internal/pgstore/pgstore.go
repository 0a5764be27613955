// Package pgstore keeps the grants of many shops in PostgreSQL: in a table of our own, or in the one in which an app keeps its
// sessions, with a table of our own beside it for what that has no room for.
//
// Invariants:
//
//   - A record is replaced by one transaction that compares the handle of the record before. What is sent twice, because the
//     answer was lost, takes effect once and says so.
//   - A write is on the server's disk when Swap returns, also where synchronous_commit is off.
//   - Nothing outlives a transaction but rows, so that a pooler which gives each transaction another connection is no hindrance:
//     no session locks, no prepared statements, no settings of a session.
//   - Nothing is dialled before the first call, and idle connections are closed.
//   - No error contains the password, a token or a piece of what is stored.
package pgstore

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Options open a Backend.
type Options struct {
	// URL is that of EVERGATE_STORE.
	URL string
	// Layout is as in EVERGATE_STORE_LAYOUT; empty: LayoutOwn.
	Layout string
	Keys   envelope.Keys
	// ClientID is the app whose grants these are.
	ClientID string
}

// The values of EVERGATE_STORE_LAYOUT: a table of our own, and what apps made with Shopify's templates keep their sessions in.
const (
	LayoutOwn     = "evergate"
	LayoutPrisma  = "prisma"
	LayoutShopify = "shopify-postgresql"
	LayoutRails   = "rails"
)

// Layouts are all of them.
var Layouts = []string{LayoutOwn, LayoutPrisma, LayoutShopify, LayoutRails}

// Is reports whether a value of EVERGATE_STORE is for this package.
func Is(spec string) bool {
	return strings.HasPrefix(spec, "postgres:") || strings.HasPrefix(spec, "postgresql:")
}

// Valid reports what is wrong with a value of EVERGATE_STORE that Is is true of. It opens nothing and repeats nothing of it.
func Valid(spec string) error {
	_, err := parse(spec)
	return err
}

// Backend is a token.Backend and a token.Dues.
type Backend struct {
	pool   *pool
	layout layout
	named  string // of Layouts
}

// layout is how the grants rest in tables.
type layout interface {
	// load is token.Store's Load.
	load(ctx context.Context, shop token.Shop) (token.Record, token.Handle, error)
	// swap is token.Store's Swap.
	swap(ctx context.Context, old token.Handle, next token.Record, shop token.Shop) (token.Handle, error)
	// handle is what load returns as the handle; empty: nothing is stored.
	handle(ctx context.Context, shop token.Shop) (token.Handle, error)
	// page returns the records of some shops after a key, and the key to go on from; empty: there are no more.
	page(ctx context.Context, after string) (page []listed, next string, err error)
	// due returns some shops whose access token ends before a moment, after one of them; at the end none.
	due(ctx context.Context, before time.Time, after due) ([]due, error)
	// scan is a query of the rows that transactions since $1, an xid, have written: a shop's name, and a text that differs after each change.
	scan() string
	// quiet says that others change rows without telling the channel.
	quiet() bool
	// run is pool's run, with the tables made where they are missing.
	run(ctx context.Context, use func(ctx context.Context, c *pgconn.PgConn) error) error
	// inspect says what is wrong with the tables of others.
	inspect(ctx context.Context, c *pgconn.PgConn) error
	// tables are what has to be there.
	tables() []table
}

type listed struct {
	token.Listed
	err error
}

// due is a shop, when its access token ends, in microseconds since 1970, and the key of its row.
type due struct {
	shop string
	ends int64
	key  string
}

// Open returns the Backend. It dials nothing.
func Open(o Options) (*Backend, error) {
	config, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	if err := o.Keys.Validate(); err != nil {
		return nil, err
	}
	p := newPool(config)
	switch o.Layout {
	case "", LayoutOwn:
		return &Backend{pool: p, layout: own{p, o.Keys}, named: LayoutOwn}, nil
	case LayoutPrisma, LayoutShopify, LayoutRails:
		return &Backend{pool: p, layout: &beside{pool: p, keys: o.Keys, clientID: o.ClientID, shape: shapes[o.Layout]}, named: o.Layout}, nil
	}
	return nil, remedy.New("give "+strings.Join(Layouts, ", "), "EVERGATE_STORE_LAYOUT is none that is known for PostgreSQL")
}

// Place says which tables of which database it is. Which schema that means may depend on the user.
func (b *Backend) Place() string {
	c := b.pool.config
	return fmt.Sprintf("postgres:%q:%d/%q %q %q %q %s", c.Host, c.Port, c.Database, c.User, c.RuntimeParams["search_path"], c.RuntimeParams["options"], b.named)
}

// Shop implements token.Backend.
func (b *Backend) Shop(shop token.Shop) (token.Store, error) {
	return &store{backend: b, shop: shop}, nil
}

// All implements token.Backend. It reads page by page, so no transaction lasts while the records are used.
func (b *Backend) All(ctx context.Context) iter.Seq2[token.Listed, error] {
	return func(yield func(token.Listed, error) bool) {
		for after := ""; ; {
			page, next, err := b.layout.page(ctx, after)
			if err != nil {
				yield(token.Listed{}, err)
				return
			}
			for _, l := range page {
				if !yield(l.Listed, l.err) {
					return
				}
			}
			if after = next; after == "" {
				return
			}
		}
	}
}

// Due implements token.Dues.
func (b *Backend) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for after := (due{ends: earliest}); ; {
			page, err := b.layout.due(ctx, before, after)
			if err != nil {
				yield("", err)
				return
			}
			if len(page) == 0 {
				return
			}
			for _, d := range page {
				if !yield(d.shop, nil) {
					return
				}
				after = d
			}
		}
	}
}

// Close implements token.Backend.
func (b *Backend) Close() { b.pool.close() }

// store is the record of one shop.
type store struct {
	backend *Backend
	shop    token.Shop
	held    held
	life    atomic.Int64 // of the shop's tokens, as far as is known
}

// Yields implements token.Yielding: an app's sessions are its own.
func (s *store) Yields() bool {
	_, beside := s.backend.layout.(*beside)
	return beside
}

// Load implements token.Store.
func (s *store) Load(ctx context.Context) (token.Record, token.Handle, error) {
	r, handle, err := s.backend.layout.load(ctx, s.shop)
	s.learn(r)
	return r, handle, err
}

// Swap implements token.Store.
func (s *store) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	s.learn(next)
	return s.backend.layout.swap(ctx, old, next, s.shop)
}

// Changed implements token.Store.
func (s *store) Changed(ctx context.Context, old token.Handle) (bool, error) {
	now, err := s.backend.layout.handle(ctx, s.shop)
	return now != old, err
}

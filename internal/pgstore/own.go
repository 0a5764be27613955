package pgstore

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

// pageSize is how many records are read at once, and dueSize how many names: an app's table is read whole for each page of those.
const pageSize, dueSize = 500, 5000

// own is the table of our own: a row holds the bytes that every store keeps, and in clear what is searched for.
type own struct {
	pool *pool
	keys envelope.Keys
}

func (o own) codec(shop token.Shop) envelope.Codec { return envelope.Codec{Shop: shop, Keys: o.keys} }

func (own) tables() []table { return []table{grants, leases} }
func (own) quiet() bool     { return false }

func (own) inspect(context.Context, *pgconn.PgConn) error { return nil }

func (o own) load(ctx context.Context, shop token.Shop) (record token.Record, handle token.Handle, err error) {
	err = o.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		rows, err := query(ctx, c, "SELECT handle, envelope FROM evergate_grants WHERE shop = $1", shop.Domain())
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return token.ErrNotFound
		}
		if record, err = decode(o.codec(shop), rows[0][1]); err != nil {
			return err
		}
		handle = token.Handle(rows[0].text(0))
		return nil
	})
	return record, handle, err
}

const (
	// durably has the commit of a transaction wait for the disk although the server does not ask for it; toldDurably also tells
	// the others, with the commit.
	durably     = `set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`
	toldDurably = `SELECT pg_notify('` + channel + `', shop), ` + durably + ` FROM put`
	moment      = `'epoch'::timestamptz + interval '1 microsecond' * `

	ownUpdate = `WITH put AS (UPDATE evergate_grants SET envelope = $3, handle = $2, generation = $4, expires = ` + moment + `$5::bigint, updated = clock_timestamp() ` +
		`WHERE shop = $1 AND handle = $6 RETURNING shop) ` + toldDurably
	ownInsert = `WITH put AS (INSERT INTO evergate_grants (shop, handle, envelope, generation, expires, updated) ` +
		`VALUES ($1, $2, $3, $4, ` + moment + `$5::bigint, clock_timestamp()) ON CONFLICT (shop) DO NOTHING RETURNING shop) ` + toldDurably
)

func (o own) swap(ctx context.Context, old token.Handle, next token.Record, shop token.Shop) (token.Handle, error) {
	content, err := o.codec(shop).Encode(next)
	if err != nil {
		return "", err
	}
	handle := envelope.HandleOf(content)
	sql, args := ownInsert, []any{shop.Domain(), string(handle), content, generation(next), expires(next)}
	if old != "" {
		sql, args = ownUpdate, append(args, string(old))
	}
	err = o.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		rows, err := query(ctx, c, sql, args...)
		if err != nil || len(rows) > 0 {
			return err
		}
		return o.conflict(ctx, c, shop, handle)
	})
	if err != nil {
		return "", err
	}
	return handle, nil
}

// conflict says why nothing was written. The nonce in each record makes its handle its own, so where next is stored an earlier
// try has stored it, and only its answer was lost.
func (o own) conflict(ctx context.Context, c *pgconn.PgConn, shop token.Shop, next token.Handle) error {
	rows, err := query(ctx, c, "SELECT handle, envelope FROM evergate_grants WHERE shop = $1", shop.Domain())
	switch {
	case err != nil:
		return err
	case len(rows) == 0:
		return token.ErrConflict
	case rows[0].text(0) == string(next):
		return nil
	}
	if _, err := decode(o.codec(shop), rows[0][1]); err != nil {
		return err // to be told to load it again would help nobody
	}
	return token.ErrConflict
}

func (o own) handle(ctx context.Context, shop token.Shop) (handle token.Handle, err error) {
	err = o.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		rows, err := query(ctx, c, "SELECT handle FROM evergate_grants WHERE shop = $1", shop.Domain())
		if err == nil && len(rows) > 0 {
			handle = token.Handle(rows[0].text(0))
		}
		return err
	})
	return handle, err
}

func (o own) page(ctx context.Context, after string) (page []listed, next string, err error) {
	err = o.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		page = nil
		rows, err := query(ctx, c, "SELECT shop, handle, envelope FROM evergate_grants WHERE shop > $1 ORDER BY shop LIMIT $2::bigint", after, int64(pageSize))
		for _, r := range rows {
			l := listed{Listed: token.Listed{Domain: r.text(0), Handle: token.Handle(r.text(1))}}
			shop, err := token.ParseShop(l.Domain)
			if err == nil {
				l.Record, err = decode(o.codec(shop), r[2])
			}
			l.err = err
			page = append(page, l)
		}
		next = nextKey(rows, 0)
		return err
	})
	return page, next, err
}

// nextKey is that of a page's last row; empty for a page that is not full.
func nextKey(rows []row, column int) string {
	if len(rows) < pageSize {
		return ""
	}
	return rows[len(rows)-1].text(column)
}

func (o own) due(ctx context.Context, before time.Time, after due) (page []due, err error) {
	err = o.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		rows, err := query(ctx, c, `SELECT shop, (extract(epoch FROM expires) * 1000000)::bigint, shop FROM evergate_grants `+
			`WHERE expires < `+moment+`$1::bigint AND (expires, shop) > (`+moment+`$2::bigint, $3) ORDER BY expires, shop LIMIT $4::bigint`,
			micros(before), after.ends, after.key, int64(dueSize))
		page = duesOf(rows)
		return err
	})
	return page, err
}

func duesOf(rows []row) (page []due) {
	for _, r := range rows {
		page = append(page, due{r.text(0), r.number(1), r.text(2)})
	}
	return page
}

func (own) scan() string {
	return "SELECT shop, handle FROM evergate_grants WHERE age(xmin) <= age($1::text::xid)"
}

func (o own) run(ctx context.Context, use func(ctx context.Context, c *pgconn.PgConn) error) error {
	return o.pool.run(ctx, withTables(o.tables(), use))
}

// decode refuses what is in plain text where there is a key: it has been put there by somebody who does not have it.
func decode(codec envelope.Codec, content []byte) (token.Record, error) {
	if !codec.Keys.Current.Empty() && envelope.IsPlain(content) {
		return token.Record{}, errPlain
	}
	return codec.Decode(content)
}

// generation is in clear for people who look into the table.
func generation(r token.Record) int64 {
	return int64(min(r.Generation, math.MaxInt64))
}

// expires is when a shop is due: NULL for a token that does not end, and for a grant for which a person has to act.
func expires(r token.Record) any {
	t := r.Current.Token
	if !t.Expires() || r.Reauthorize != nil {
		return nil
	}
	return micros(t.Issued.Add(t.Life))
}

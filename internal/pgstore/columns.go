package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

const (
	codeNoColumn   = "42703"
	codeTooLong    = "22001"
	codeIsNull     = "23502"
	codeIsThere    = "23505"
	codeNoEncoding = "22021"
)

// run looks at the app's table first, and again after an error that a migration explains.
func (b *beside) run(ctx context.Context, use func(ctx context.Context, c *pgconn.PgConn) error) error {
	return b.pool.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		if b.columns.Load() == nil {
			if err := b.inspect(ctx, c); err != nil {
				return err
			}
		}
		err := withTables(b.tables(), use)(ctx, c)
		if code := codeOf(err); code == codeNoColumn || code == codeNoTable {
			b.columns.Store(nil)
			if err := b.inspect(ctx, c); err != nil {
				return err
			}
		}
		return err
	})
}

// inspect finds the columns of the app's table and how many characters each may hold; zero: any number.
func (b *beside) inspect(ctx context.Context, c *pgconn.PgConn) error {
	rows, err := query(ctx, c, `SELECT attname::text, (CASE WHEN atttypid = 'varchar'::regtype AND atttypmod > 4 THEN atttypmod - 4 ELSE 0 END)::bigint `+
		`FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`, b.shape.table)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return remedy.New("run the app's migrations, name the app's database in EVERGATE_STORE, and where the table is in another schema than public add search_path=SCHEMA to the URL", "the app's table %s, which EVERGATE_STORE_LAYOUT=%s is for, is not there", b.shape.table, b.shape.layout)
	}
	columns := map[string]int{}
	for _, r := range rows {
		columns[r.text(0)] = int(r.number(1))
	}
	var missing []string
	for _, name := range b.shape.columns() {
		if _, ok := columns[name]; !ok && !optional[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return remedy.New(b.shape.migration, "the app's table %s has no column %s: the app was made before tokens expired", b.shape.table, strings.Join(missing, ", "))
	}
	b.columns.Store(&columns)
	return nil
}

// columns are the names, without quotes, of all that is used.
func (s shape) columns() (names []string) {
	for _, column := range append(strings.Split(s.insert, ", "), s.access, s.refresh, s.scope, s.ends, s.refreshEnds) {
		names = append(names, strings.Trim(column, `"`))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (b *beside) has(column string) bool {
	if columns := b.columns.Load(); columns != nil && column != "" {
		_, ok := (*columns)[strings.Trim(column, `"`)]
		return ok
	}
	return false
}

// fits reports whether a column is there and has room for a text.
func (b *beside) fits(column, text string) bool {
	if !b.has(column) {
		return false
	}
	most := (*b.columns.Load())[strings.Trim(column, `"`)]
	return most == 0 || utf8.RuneCountInString(text) <= most
}

// isText reports whether PostgreSQL can hold it as a text.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// refused says what an app's table may have against a row, and what it cannot hold.
func (b *beside) refused(err error) error {
	table := b.shape.table
	switch codeOf(err) {
	case codeTooLong:
		return remedy.New(fmt.Sprintf("run: ALTER TABLE %s ALTER COLUMN %s TYPE text, ALTER COLUMN %s TYPE text", table, b.shape.access, b.shape.refresh), "the columns for tokens of the app's table %s are too short for what Shopify gave out", table)
	case codeNoEncoding:
		return fmt.Errorf("the app's table %s cannot hold a token that is no text", table)
	case codeIsThere:
		return token.ErrConflict
	case codeIsNull:
		return remedy.New("open the app in the shop once, so that it makes the row itself, or give the column a default", "the app's table %s has no row for the shop, and one cannot be made because a column of the app's own must not be empty", table)
	}
	return err
}

// remedyOfFirst is the first of joined errors: one remedy is enough.
func remedyOfFirst(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()[0]
	}
	return err
}

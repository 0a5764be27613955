package pgstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/envelope"
	"evergate/internal/remedy"
)

// errPlain is an envelope.ErrUnreadable.
var errPlain = remedy.New("remove the row and log in again, or copy the grant from where it was", "%w: it is in plain text although EVERGATE_STORE_KEY is set, and this store never holds such a record", envelope.ErrUnreadable)

// table is one that has to be there. The name is as SQL has it.
type table struct {
	name string
	// make is the SQL that makes it, which does no harm where it is there; none for an app's table.
	make []string
	// needs are the privileges on it.
	needs []string
	// sequence numbers the rows; empty: none does.
	sequence string
}

var (
	grants = table{name: "evergate_grants", make: []string{
		`CREATE TABLE IF NOT EXISTS evergate_grants (shop text COLLATE "C" PRIMARY KEY, handle text NOT NULL, envelope bytea NOT NULL, generation bigint NOT NULL, expires timestamptz, updated timestamptz NOT NULL)`,
		`CREATE INDEX IF NOT EXISTS evergate_grants_expires ON evergate_grants (expires, shop) WHERE expires IS NOT NULL`,
	}, needs: []string{"SELECT", "INSERT", "UPDATE"}}
	leases = table{name: "evergate_leases", make: []string{
		`CREATE TABLE IF NOT EXISTS evergate_leases (shop text COLLATE "C" PRIMARY KEY, owner text NOT NULL, ends timestamptz NOT NULL)`,
	}, needs: []string{"SELECT", "INSERT", "UPDATE", "DELETE"}}
	// sides is beside an app's table: the whole record, encrypted, and in clear of which pair in the app's row it speaks.
	sides = table{name: "evergate_beside", make: []string{
		`CREATE TABLE IF NOT EXISTS evergate_beside (shop text COLLATE "C" PRIMARY KEY, handle text NOT NULL, envelope bytea NOT NULL, pair text NOT NULL, dead boolean NOT NULL, updated timestamptz NOT NULL)`,
	}, needs: []string{"SELECT", "INSERT", "UPDATE"}}
)

// sqlFor is what an administrator runs.
func sqlFor(tables []table, user string) string {
	var all []string
	for _, t := range tables {
		all = append(all, t.make...)
		all = append(all, grantFor(t, user))
	}
	return strings.Join(all, "; ") + ";"
}

func grantFor(t table, user string) string {
	grant := fmt.Sprintf("GRANT %s ON %s TO %s", strings.Join(t.needs, ", "), t.name, quoted(user))
	if t.sequence != "" {
		grant += fmt.Sprintf("; GRANT USAGE ON SEQUENCE %s TO %s", t.sequence, quoted(user))
	}
	return grant
}

// quoted is a name as SQL has it.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// makingTables keeps two processes from making them at once, which IF NOT EXISTS does not. The number is any that nobody else has.
const makingTables = "SELECT pg_advisory_xact_lock(7311086521904)"

// withTables is use, and if a table is missing makes all of them and is use again.
func withTables(tables []table, use func(ctx context.Context, c *pgconn.PgConn) error) func(ctx context.Context, c *pgconn.PgConn) error {
	return func(ctx context.Context, c *pgconn.PgConn) error {
		err := use(ctx, c)
		if codeOf(err) != codeNoTable {
			return explained(ctx, c, err, tables)
		}
		statements := []statement{{sql: makingTables}}
		for _, t := range tables {
			for _, sql := range t.make {
				statements = append(statements, statement{sql: sql})
			}
		}
		if _, err := together(ctx, c, statements...); err != nil {
			return explained(ctx, c, err, tables)
		}
		return explained(ctx, c, use(ctx, c), tables)
	}
}

// explained says what an administrator has to do where the user may not.
func explained(ctx context.Context, c *pgconn.PgConn, err error, tables []table) error {
	code := codeOf(err)
	if code != codeNoPrivilege && code != codeNoSchema {
		return err
	}
	user := "CURRENT_USER"
	if rows, err := query(ctx, c, "SELECT current_user::text"); err == nil && len(rows) == 1 {
		user = rows[0].text(0)
	}
	return remedy.New("have somebody who may run: "+sqlFor(tables, user), "the user %q of EVERGATE_STORE may not make or use Evergate's tables (%s)", user, code)
}

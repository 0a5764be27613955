package pgstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Check implements token.Backend.
func (b *Backend) Check(ctx context.Context) []token.Finding {
	var found []token.Finding
	err := b.layout.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		found = nil
		if err := b.checkServer(ctx, c, &found); err != nil {
			return err
		}
		if err := b.layout.inspect(ctx, c); err != nil {
			return err
		}
		for _, t := range b.layout.tables() {
			if err := checkTable(ctx, c, t, &found); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		text, do := remedy.Split(err)
		found = append(found, token.Finding{Loses: true, Text: text, Do: do})
	}
	return found
}

const oldest = 130000

func (b *Backend) checkServer(ctx context.Context, c *pgconn.PgConn, found *[]token.Finding) error {
	rows, err := query(ctx, c, `SELECT pg_is_in_recovery()::text, current_setting('transaction_read_only'), current_setting('fsync'), current_setting('full_page_writes'), `+
		`current_setting('synchronous_commit'), current_setting('server_version_num')::bigint, current_setting('server_encoding')`)
	if err != nil {
		return err
	}
	r := rows[0]
	say := func(loses bool, text, do string) {
		*found = append(*found, token.Finding{Loses: loses, Text: text, Do: do})
	}
	switch {
	case r.text(0) == "true":
		say(true, "the PostgreSQL server is a standby: nothing can be written", adviceFor(codeReadOnly))
	case r.text(1) == "on":
		say(true, "PostgreSQL is read-only for this user: nothing can be written", "set default_transaction_read_only to off for the user or the database")
	}
	for i, name := range map[int]string{2: "fsync", 3: "full_page_writes"} {
		if r.text(i) == "off" {
			say(true, "PostgreSQL runs with "+name+" off: a crash of its machine can lose or damage everything", "set "+name+" to on in postgresql.conf")
		}
	}
	if r.text(4) == "off" {
		text := "PostgreSQL runs with synchronous_commit off; Evergate turns it on for each of its own writes"
		if b.layout.quiet() {
			text += ", the app does not: a crash can lose a token that the app has just obtained"
		}
		say(false, text, "set synchronous_commit to on")
	}
	if r.number(5) < oldest {
		say(false, fmt.Sprintf("PostgreSQL %d is older than all that Evergate is tested with", r.number(5)/10000), "upgrade it")
	}
	if r.text(6) != "UTF8" {
		say(false, "the database's encoding is "+r.text(6)+", not UTF8", "make the database with ENCODING 'UTF8'")
	}
	if host := b.pool.config.Host; b.pool.config.TLSConfig == nil && !isNear(host) {
		say(false, "the connection to PostgreSQL may be unencrypted: the URL's sslmode allows it", "set sslmode=verify-full in EVERGATE_STORE")
	}
	return nil
}

// isNear reports whether a host is this machine.
func isNear(host string) bool {
	return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}

func checkTable(ctx context.Context, c *pgconn.PgConn, t table, found *[]token.Finding) error {
	rows, err := query(ctx, c, `SELECT relpersistence::text, current_user::text, has_table_privilege(oid, 'SELECT')::text, has_table_privilege(oid, 'INSERT')::text, `+
		`has_table_privilege(oid, 'UPDATE')::text, has_table_privilege(oid, 'DELETE')::text FROM pg_class WHERE oid = $1::text::regclass`, t.name)
	if err != nil {
		return err
	}
	r := rows[0]
	if r.text(0) == "u" {
		*found = append(*found, token.Finding{Loses: true, Text: "the table " + t.name + " is unlogged: a crash empties it", Do: "ALTER TABLE " + t.name + " SET LOGGED"})
	}
	has := map[string]string{"SELECT": r.text(2), "INSERT": r.text(3), "UPDATE": r.text(4), "DELETE": r.text(5)}
	for _, need := range t.needs {
		if has[need] != "true" {
			*found = append(*found, token.Finding{Loses: true, Text: fmt.Sprintf("the user %q of EVERGATE_STORE may not %s in the table %s", r.text(1), need, t.name), Do: grantFor(t, r.text(1))})
			break
		}
	}
	return nil
}

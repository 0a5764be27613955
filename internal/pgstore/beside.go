package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

// beside is an app's own table of sessions, and ours beside it. The app's row is the truth for the pair: where it holds another one
// than ours speaks of, the app has obtained it, a chain has begun with it, and what we know of the one before is of no use.
//
// The app's row is locked before ours is read, by whoever writes. So what an app does under that lock, as Rails does a refresh, is
// waited for; other apps take no lock, and then the second of two writers finds another pair than it started from.
type beside struct {
	pool     *pool
	keys     envelope.Keys
	clientID string
	shape    shape
	columns  atomic.Pointer[map[string]int] // of the app's table, once it was looked at
}

func (b *beside) codec(shop token.Shop) envelope.Codec {
	return envelope.Codec{Shop: shop, Keys: b.keys}
}

func (b *beside) tables() []table {
	return []table{sides, leases, {name: b.shape.table, needs: []string{"SELECT", "INSERT", "UPDATE"}, sequence: b.shape.sequence}}
}

func (*beside) quiet() bool { return true }

// state is both rows of a shop.
type state struct {
	exists                bool
	access, refresh       string
	scope                 string
	ends, refreshEnds     int64 // milliseconds since 1970
	hasEnds, hasRefreshes bool
	key                   string
	// side is the handle in our row; empty: there is none.
	side, pair string
	envelope   []byte
}

// isOurs reports whether our row speaks of the pair in the app's.
func (s state) isOurs() bool {
	return s.exists && s.side != "" && s.pair == pairSum(s.access, s.refresh)
}

// handle names the state. A row without a token that nobody but the app has written is as good as none.
func (s state) handle() token.Handle {
	if !s.exists || s.access == "" && s.refresh == "" && !s.isOurs() {
		return ""
	}
	sum := sha256.Sum256([]byte(pairSum(s.access, s.refresh) + s.side))
	return token.Handle(base64.RawURLEncoding.EncodeToString(sum[:]))
}

// pairSum tells pairs apart. SQL computes it, too.
func pairSum(access, refresh string) string {
	sum := sha256.Sum256([]byte(access + "\n" + refresh))
	return hex.EncodeToString(sum[:])
}

func (b *beside) pairSQL() string {
	return fmt.Sprintf(`encode(sha256(convert_to(coalesce(t.%s, '') || E'\n' || coalesce(t.%s, ''), 'UTF8')), 'hex')`, b.shape.access, b.shape.refresh)
}

// appColumns are those of a state that the app's row gives.
func (b *beside) appColumns() string {
	scope := "''"
	if b.has(b.shape.scope) {
		scope = "coalesce(t." + b.shape.scope + ", '')"
	}
	s := b.shape
	return fmt.Sprintf("coalesce(t.%s, ''), coalesce(t.%s, ''), %s, %s, %s, t.%s::text", s.access, s.refresh, scope, s.readEnds, s.readRefreshEnds, s.key)
}

const sideColumns = "s.handle, s.pair, s.envelope"

func appState(r row) state {
	return state{
		exists: true, access: r.text(0), refresh: r.text(1), scope: r.text(2), ends: r.number(3), hasEnds: r[3] != nil,
		refreshEnds: r.number(4), hasRefreshes: r[4] != nil, key: r.text(5),
	}
}

func (s *state) addSide(r row) { s.side, s.pair, s.envelope = r.text(0), r.text(1), r[2] }

// both is the query of both rows for a condition.
func (b *beside) both(where string) string {
	return fmt.Sprintf("SELECT %s, %s FROM %s t LEFT JOIN evergate_beside s ON s.shop = %s WHERE %s", b.appColumns(), sideColumns, b.shape.table, b.shape.domain, where)
}

func (b *beside) read(ctx context.Context, c *pgconn.PgConn, shop token.Shop) (state, error) {
	rows, err := query(ctx, c, b.both("t."+b.shape.key+" = "+b.shape.find), shop.Domain())
	if err != nil || len(rows) == 0 {
		return state{}, err
	}
	s := appState(rows[0])
	s.addSide(rows[0][6:])
	return s, nil
}

func (b *beside) load(ctx context.Context, shop token.Shop) (record token.Record, handle token.Handle, err error) {
	err = b.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		s, err := b.read(ctx, c, shop)
		if err != nil {
			return err
		}
		if handle = s.handle(); handle == "" {
			return token.ErrNotFound
		}
		record, err = b.record(s, shop)
		return err
	})
	if err != nil {
		return token.Record{}, "", err
	}
	return record, handle, nil
}

func (b *beside) handle(ctx context.Context, shop token.Shop) (handle token.Handle, err error) {
	err = b.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		s, err := b.read(ctx, c, shop)
		handle = s.handle()
		return err
	})
	return handle, err
}

// record is what a state says.
func (b *beside) record(s state, shop token.Shop) (token.Record, error) {
	var ours token.Record
	if s.side != "" {
		var err error
		if ours, err = decode(b.codec(shop), s.envelope); err != nil {
			return token.Record{}, err
		}
		if s.isOurs() {
			return ours, nil
		}
	}
	if err := errors.Join(b.shape.plausible(b.shape.access, s.access), b.shape.plausible(b.shape.refresh, s.refresh)); err != nil {
		return token.Record{}, remedyOfFirst(err)
	}
	return b.takenOver(s, ours, shop), nil
}

// lives are those of Shopify's tokens. An app's row says when one ends, and not when it began: it lives for as long as the one before,
// or for the shortest of these that makes it begin in the past.
var lives = []time.Duration{time.Hour, 24 * time.Hour, 90 * 24 * time.Hour}

// assumedLife is that of a token whose end is missing.
const assumedLife = 50 * time.Minute

// takenOver is the record of a pair that the app has obtained. The refresh token before it is
// none to go back to: an exchange has retired it.
func (b *beside) takenOver(s state, before token.Record, shop token.Shop) token.Record {
	r := token.Record{
		Shop: shop.Domain(), ClientID: b.clientID, Grant: "offline", Epoch: "app-" + pairSum(s.access, s.refresh)[:26], Generation: 1,
		Writer: "the app, in " + strings.Trim(b.shape.table, `"`),
	}
	t := token.Token{Access: token.NewSecret(s.access), Scopes: scopesOf(s.scope)}
	switch {
	case s.hasEnds:
		t.Issued, t.Life = lifeUntil(time.UnixMilli(s.ends), before.Current.Token.Life, time.Now())
	case s.refresh != "":
		t.Issued, t.Life, t.Assumed = time.Unix(0, 0), assumedLife, true // it is renewed at once
	}
	r.Current = token.Pair{Token: t}
	if s.refresh == "" {
		return r
	}
	r.Current.Refresh = token.NewSecret(s.refresh)
	if s.hasRefreshes {
		r.Current.RefreshExpires = time.UnixMilli(s.refreshEnds)
	}
	return r
}

// clocksDiffer is how much the app's clock may be ahead of ours.
const clocksDiffer = time.Minute

func lifeUntil(ends time.Time, usual time.Duration, now time.Time) (issued time.Time, life time.Duration) {
	for _, life := range append([]time.Duration{usual}, lives...) {
		issued := ends.Add(-life)
		if life <= 0 || issued.After(now.Add(clocksDiffer)) {
			continue
		}
		if issued.After(now) {
			issued = now.Round(0)
		}
		return issued, ends.Sub(issued)
	}
	longest := lives[len(lives)-1]
	return ends.Add(-longest), longest
}

func scopesOf(list string) []string {
	if list == "" {
		return nil
	}
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func (b *beside) swap(ctx context.Context, old token.Handle, next token.Record, shop token.Shop) (token.Handle, error) {
	content, err := b.codec(shop).Encode(next)
	if err != nil {
		return "", err
	}
	after := state{exists: true, access: next.Current.Token.Access.Reveal(), refresh: next.Current.Refresh.Reveal(), side: string(envelope.HandleOf(content)), envelope: content}
	after.pair = pairSum(after.access, after.refresh)
	err = b.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		err := b.replace(ctx, c, shop, old, after, next)
		if err != nil && !c.IsClosed() && c.TxStatus() != 'I' {
			_, _ = query(ctx, c, "ROLLBACK") // or the connection is not used again
		}
		return b.refused(err)
	})
	if err != nil {
		return "", err
	}
	return after.handle(), nil
}

// lockTime bounds a transaction whose client is gone without the server knowing.
const lockTime = "15s"

// replace is two round trips: begin, lock and read; write, tell and commit.
func (b *beside) replace(ctx context.Context, c *pgconn.PgConn, shop token.Shop, old token.Handle, after state, next token.Record) error {
	find := "t." + b.shape.key + " = " + b.shape.find
	results, err := together(ctx, c,
		statement{sql: "BEGIN ISOLATION LEVEL READ COMMITTED"},
		statement{"SELECT set_config('idle_in_transaction_session_timeout', $1, true), set_config('statement_timeout', $1, true), " + durably, []any{lockTime}},
		// Where there is no row yet, there is none to lock.
		statement{"SELECT pg_advisory_xact_lock(hashtextextended($1, 7311086521905))", []any{shop.Domain()}},
		statement{fmt.Sprintf("SELECT %s FROM %s t WHERE %s FOR UPDATE", b.appColumns(), b.shape.table, find), []any{shop.Domain()}},
		statement{"SELECT " + sideColumns + " FROM evergate_beside s WHERE s.shop = $1", []any{shop.Domain()}})
	if err != nil {
		return err
	}
	var before state
	if rows := results[3]; len(rows) > 0 {
		before = appState(rows[0])
	}
	if rows := results[4]; len(rows) > 0 {
		before.addSide(rows[0])
	}
	switch now := before.handle(); {
	case now == after.handle():
		_, err := query(ctx, c, "ROLLBACK")
		return err // an earlier try has written it, and only its answer was lost
	case now != old:
		if now != "" {
			if _, err := b.record(before, shop); err != nil {
				return err // to be told to load it again would help nobody
			}
		}
		return token.ErrConflict
	}
	statements := []statement{
		b.put(before, after, next, shop),
		{"INSERT INTO evergate_beside (shop, handle, envelope, pair, dead, updated) VALUES ($1, $2, $3, $4, $5::boolean, clock_timestamp()) " +
			"ON CONFLICT (shop) DO UPDATE SET handle = excluded.handle, envelope = excluded.envelope, pair = excluded.pair, dead = excluded.dead, updated = excluded.updated",
			[]any{shop.Domain(), after.side, after.envelope, after.pair, fmt.Sprint(next.Reauthorize != nil)}},
		{"SELECT pg_notify($1, $2)", []any{channel, shop.Domain()}},
		{sql: "COMMIT"},
	}
	if before.exists && before.access == after.access && before.refresh == after.refresh {
		statements = statements[1:] // the app's row is not touched for a note of ours
	}
	_, err = together(ctx, c, statements...)
	return err
}

// put is the write of a pair into the app's row.
func (b *beside) put(before, after state, next token.Record, shop token.Shop) statement {
	s, t := b.shape, next.Current.Token
	args := []any{shop.Domain(), after.access, nullIfEmpty(after.refresh), nil, nil}
	if t.Expires() {
		args[3] = max(-s.latestEnd, min(micros(t.Issued.Add(t.Life))/1000, s.latestEnd))
	}
	if !next.Current.RefreshExpires.IsZero() {
		args[4] = micros(next.Current.RefreshExpires) / 1000
	}
	columns := []string{s.access, s.refresh, s.ends, s.refreshEnds}
	values := []string{"$2", "$3", s.writeEnds("$4"), s.writeRefreshEnds("$5")}
	// Scopes are a courtesy: they never keep a pair from being stored.
	if scope := strings.Join(t.Scopes, ","); t.Scopes != nil && b.fits(s.scope, scope) && !sameScopes(t.Scopes, scopesOf(before.scope)) && isText(scope) {
		args = append(args, scope)
		columns, values = append(columns, s.scope), append(values, "$6")
	}
	if b.has(s.touched) {
		columns, values = append(columns, s.touched), append(values, s.touchedValue)
	}
	if before.exists {
		set := make([]string, len(columns))
		for i := range columns {
			set[i] = columns[i] + " = " + values[i]
		}
		return statement{fmt.Sprintf("UPDATE %s t SET %s WHERE t.%s = %s", s.table, strings.Join(set, ", "), s.key, s.find), args}
	}
	if s.touched != "" && b.has("created_at") {
		columns, values = append(columns, "created_at"), append(values, s.touchedValue)
	}
	return statement{fmt.Sprintf("INSERT INTO %s (%s, %s) VALUES (%s, %s)", s.table, s.insert, strings.Join(columns, ", "), s.values, strings.Join(values, ", ")), args}
}

func nullIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func sameScopes(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func (b *beside) page(ctx context.Context, after string) (page []listed, next string, err error) {
	err = b.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		page = nil
		s := b.shape
		rows, err := query(ctx, c, b.both(fmt.Sprintf("%s AND t.%s > $1 ORDER BY t.%s LIMIT $2::bigint", s.offline, s.key, s.key)), after, int64(pageSize))
		for _, r := range rows {
			st := appState(r)
			st.addSide(r[6:])
			shop, err := token.ParseShop(strings.TrimPrefix(st.key, "offline_"))
			if err != nil || st.handle() == "" {
				continue // no shop's, or without a token
			}
			l := listed{Listed: token.Listed{Domain: shop.Domain(), Handle: st.handle()}}
			l.Record, l.err = b.record(st, shop)
			page = append(page, l)
		}
		next = nextKey(rows, 5)
		return err
	})
	return page, next, err
}

func (b *beside) due(ctx context.Context, before time.Time, after due) (page []due, err error) {
	err = b.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		s := b.shape
		rows, err := query(ctx, c, fmt.Sprintf("SELECT %s, (%s) * 1000, t.%s::text FROM %s t LEFT JOIN evergate_beside s ON s.shop = %s "+
			"WHERE %s AND coalesce(t.%s, '') <> '' AND t.%s < %s AND (%s, t.%s) > ($2::bigint, $3) AND NOT coalesce(s.dead AND s.pair = %s, false) ORDER BY %s, t.%s LIMIT $4::bigint",
			s.domain, s.readEnds, s.key, s.table, s.domain, s.offline, s.refresh, s.ends, s.writeEnds("$1"), s.readEnds, s.key, b.pairSQL(), s.readEnds, s.key),
			min(micros(before)/1000, s.latestEnd), after.ends/1000, after.key, int64(dueSize))
		page = duesOf(rows)
		return err
	})
	return page, err
}

func (b *beside) scan() string {
	const recent = "age(%s.xmin) <= age($1::text::xid)"
	return fmt.Sprintf("SELECT %s, t.xmin::text || t.ctid::text FROM %s t WHERE %s AND "+recent+
		" UNION ALL SELECT s.shop, s.handle FROM evergate_beside s WHERE "+recent, b.shape.domain, b.shape.table, b.shape.offline, "t", "s")
}

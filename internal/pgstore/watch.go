package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/clock"
)

const (
	// channel is that of NOTIFY. Its messages are domains, and beats, which begin with a character that no domain has.
	channel = "evergate"
	beat    = "?"
	// beatEvery is how often whoever listens makes sure that it hears, and beatWait how long a message may take.
	beatEvery, beatWait = 30 * time.Second, 5 * time.Second
	// firstPause and lastPause are those between connections. Until there is one nobody hears of anything, so no pause is longer than that
	// between two scans.
	firstPause, lastPause = 250 * time.Millisecond, scanEvery
	// scanEvery is how often rows are looked at where messages do not arrive or do not say everything. A scan reads the whole
	// table, so the pause is at least scanShare times what the last one took.
	scanEvery, scanShare = 2 * time.Second, 20
	// sweepEvery is how often all records are told of beside that: a scan does not see what was deleted.
	sweepEvery = 5 * time.Minute
	// deafFor is how long messages are not tried again after they did not arrive.
	deafFor = 10 * time.Minute
)

// errDeaf says that a message of our own did not come back: a pooler gives each transaction another connection.
var errDeaf = errors.New("what is sent to the channel is not heard")

// Watch implements token.Backend.
func (b *Backend) Watch(ctx context.Context, changed func(domain string)) {
	if b.layout.quiet() {
		scanning := make(chan struct{})
		go func() {
			defer close(scanning)
			b.scanFor(ctx, changed)
		}()
		defer func() { <-scanning }()
	}
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, lastPause) {
		heard, err := b.listen(ctx, changed)
		switch {
		case errors.Is(err, errDeaf) && b.layout.quiet():
			_ = clock.Sleep(ctx, deafFor) // the loop looks at ctx; a scan is on its way
			continue
		case errors.Is(err, errDeaf):
			deaf, cancel := context.WithTimeout(ctx, deafFor)
			b.scanFor(deaf, changed)
			cancel()
			continue
		case heard:
			pause = firstPause
		}
		changed("")                                       // nothing will be heard for a while
		_ = clock.Sleep(ctx, pause/2+mathrand.N(pause/2)) //nolint:gosec // G404: spreads, hides nothing
	}
}

// listen tells of messages until the connection breaks. heard says that it worked.
func (b *Backend) listen(ctx context.Context, changed func(domain string)) (heard bool, err error) {
	mine := beat + rand.Text()
	config := b.pool.config.Copy()
	var beats int
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		switch {
		case n.Payload == mine:
			beats++
		case !strings.HasPrefix(n.Payload, beat):
			changed(n.Payload)
		}
	}
	connecting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := pgconn.ConnectConfig(connecting, config)
	if err != nil {
		return false, err
	}
	defer closeConn(c)
	if _, err := query(connecting, c, "LISTEN "+channel); err != nil {
		return false, err
	}
	changed("") // what was written before
	for {
		before := beats
		// From another connection: where a pooler is in between, this one would hear itself alone.
		if err := b.notify(ctx, mine); err != nil {
			return heard, err
		}
		for deadline := time.Now().Add(beatWait); beats == before; {
			if err := wait(ctx, c, time.Until(deadline)); err != nil {
				return heard, err
			}
			if time.Now().After(deadline) && beats == before {
				if heard {
					return heard, errors.New("the connection is dead")
				}
				return false, errDeaf
			}
		}
		heard = true
		for next := time.Now().Add(beatEvery); time.Now().Before(next); {
			if err := wait(ctx, c, time.Until(next)); err != nil {
				return heard, err
			}
		}
	}
}

// wait returns after a message or d.
func wait(ctx context.Context, c *pgconn.PgConn, d time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := c.WaitForNotification(waiting)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && waiting.Err() != nil && !c.IsClosed() {
		return nil
	}
	return err
}

func (b *Backend) notify(ctx context.Context, message string) error {
	return b.pool.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		_, err := query(ctx, c, "SELECT pg_notify($1, $2)", channel, message)
		return err
	})
}

// scanFor looks for rows that were written, every now and then, until ctx ends.
func (b *Backend) scanFor(ctx context.Context, changed func(domain string)) {
	var s scanner
	for swept := (time.Time{}); ctx.Err() == nil; {
		began := time.Now()
		names, err := s.scan(ctx, b)
		if err != nil || time.Since(swept) > sweepEvery {
			s, swept = scanner{}, began
			_, _ = s.scan(ctx, b) // from here on; whatever was before is told of now
			names = []string{""}
		}
		for _, name := range names {
			changed(name)
		}
		_ = clock.Sleep(ctx, max(scanEvery, scanShare*time.Since(began))) // the loop looks at ctx
	}
}

// scanner finds rows that were written since the last time. Each row of PostgreSQL carries the number of the transaction that wrote it,
// and a snapshot says below which number all transactions had ended: nothing is missed, whenever it is committed.
type scanner struct {
	// since is a transaction's number; empty at the start.
	since string
	// told are the rows of the last scan, with their state: a transaction that lasts makes them appear again.
	told map[[2]string]bool
}

func (s *scanner) scan(ctx context.Context, b *Backend) (names []string, err error) {
	err = b.layout.run(ctx, func(ctx context.Context, c *pgconn.PgConn) error {
		// The lower half of the number is what rows carry. It is taken before the rows are read.
		statements := []statement{{sql: "SELECT (txid_snapshot_xmin(txid_current_snapshot()) % 4294967296)::text"}}
		if s.since != "" {
			statements = append(statements, statement{b.layout.scan(), []any{s.since}})
		}
		results, err := together(ctx, c, statements...)
		if err != nil {
			return err
		}
		names = nil
		told := map[[2]string]bool{}
		for _, rows := range results[1:] {
			for _, r := range rows {
				state := [2]string{r.text(0), r.text(1)}
				if told[state] = true; !s.told[state] {
					names = append(names, state[0])
				}
			}
		}
		s.since, s.told = results[0][0].text(0), told
		return nil
	})
	return names, err
}

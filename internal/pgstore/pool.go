package pgstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"evergate/internal/clock"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

const (
	// mostConnections bounds what one process takes of the server's connections, beside the one that listens.
	mostConnections = 4
	// idleFor is after how long an idle connection is closed.
	idleFor = time.Minute
	// patience bounds a call: no server needs as long.
	patience = 10 * time.Second
	// tries is how often a call is made whose connection broke. All calls can be made twice.
	tries = 3
	// pauseBeforeRetry grows from try to try.
	pauseBeforeRetry = 100 * time.Millisecond
)

var errSlow = token.Decide(token.ErrTransient, remedy.New("see that EVERGATE_STORE names the server, that this machine may connect to it, and what its log says", "PostgreSQL has not answered in time"))

const urlRemedy = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, with all but letters, digits and - . _ ~ of the user and the password percent-encoded (@ is %40, : is %3A, / is %2F), or leave the password to PGPASSFILE or PGPASSWORD"

// parse reads the URL. Its errors repeat nothing of it, because what cannot be parsed cannot be redacted either.
func parse(url string) (*pgconn.Config, error) {
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, remedy.New(urlRemedy, "EVERGATE_STORE is no URL of a PostgreSQL database")
	}
	if err := checkFiles(url, os.Getenv); err != nil {
		return nil, err
	}
	c, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, remedy.New(urlRemedy+"; see that the files that it names can be read", "EVERGATE_STORE cannot be used as the URL of a PostgreSQL database")
	}
	// A pooler passes these on, and few others.
	for name, value := range map[string]string{"application_name": "evergate", "client_encoding": "UTF8"} {
		if c.RuntimeParams[name] == "" {
			c.RuntimeParams[name] = value
		}
	}
	c.RuntimeParams["timezone"] = "UTC" // times without a zone are in UTC
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = patience / 2
	}
	return c, nil
}

// pool is a few connections, made when they are needed.
type pool struct {
	config *pgconn.Config
	// slots has room for each connection that is in use.
	slots chan struct{}

	mu     sync.Mutex
	idle   []idleConn // the longest idle first
	sweep  *time.Timer
	closed bool
}

type idleConn struct {
	conn  *pgconn.PgConn
	since time.Time
}

func newPool(config *pgconn.Config) *pool {
	return &pool{config: config, slots: make(chan struct{}, mostConnections)}
}

// run calls use with a connection, and again where the connection broke: use must be safe to be called twice.
func (p *pool) run(ctx context.Context, use func(ctx context.Context, c *pgconn.PgConn) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 1; ; try++ {
		err := p.once(ctx, use)
		switch {
		case err == nil:
			return nil
		case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
			return errSlow // whoever's patience it was
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !isPassing(err) || try == tries:
			return said(err)
		}
		// Where one is broken the others are, too, as after a restart.
		p.closeIdle(time.Now())
		pause := time.Duration(try) * pauseBeforeRetry
		if clock.Sleep(ctx, pause/2+rand.N(pause)) != nil { //nolint:gosec // G404: spreads, hides nothing
			return said(err)
		}
	}
}

func (p *pool) once(ctx context.Context, use func(ctx context.Context, c *pgconn.PgConn) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.slots }()
	c := p.take()
	if c == nil {
		var err error
		if c, err = pgconn.ConnectConfig(ctx, p.config); err != nil {
			return &failure{err}
		}
	}
	defer p.give(c)
	return use(ctx, c)
}

func (p *pool) take() *pgconn.PgConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1].conn
		p.idle = p.idle[:n-1]
		return c
	}
	return nil
}

// give takes a connection back, unless it is broken or in a transaction that somebody gave up.
func (p *pool) give(c *pgconn.PgConn) {
	if c.IsClosed() || c.IsBusy() || c.TxStatus() != 'I' || !p.keep(c) {
		closeConn(c)
	}
}

// keep reports false if the pool is closed.
func (p *pool) keep(c *pgconn.PgConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.idle = append(p.idle, idleConn{c, time.Now()})
	if p.sweep == nil {
		p.sweep = time.AfterFunc(idleFor, p.sweepIdle)
	}
	return true
}

// sweepIdle closes what has been idle for long, and comes back while there is something to close.
func (p *pool) sweepIdle() {
	p.closeIdle(time.Now().Add(-idleFor))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep = nil
	if len(p.idle) > 0 && !p.closed {
		p.sweep = time.AfterFunc(idleFor/2, p.sweepIdle)
	}
}

// closeIdle closes the connections that have been idle since then or longer.
func (p *pool) closeIdle(since time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && !p.idle[n].since.After(since) {
		n++
	}
	var old []idleConn
	old, p.idle = p.idle[:n:n], p.idle[n:]
	p.mu.Unlock()
	for _, c := range old { // a server that cannot be reached takes its time, and others want a connection meanwhile
		closeConn(c.conn)
	}
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.sweep != nil {
		p.sweep.Stop()
	}
	p.mu.Unlock()
	p.closeIdle(time.Now())
}

// farewell bounds what closing a connection may take.
const farewell = time.Second

func closeConn(c *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	_ = c.Close(ctx) // nothing is lost with it
}

package sidecar

import (
	"context"
	"errors"
	"fmt"
	"time"

	"evergate/internal/clock"
	"evergate/internal/fleet"
	"evergate/internal/token"
)

// doubtStore has the store looked at, because a record could not be read: that may be its fault, or that of this record alone.
func (m *many) doubtStore() {
	select {
	case m.doubt <- struct{}{}:
	default: // it will be done
	}
}

// noteStore takes note of how a look at the store ended, and says when that is another end than before.
func (m *many) noteStore(err error) {
	if errors.Is(err, token.ErrNotFound) {
		err = nil
	}
	if err == nil {
		if m.reachable.Swap(nil) != nil {
			m.log.Warn("the store of grants can be read again")
		}
		m.opened.Store(true)
		return
	}
	if before := m.reachable.Swap(&err); before == nil || isKey(*before) != isKey(err) {
		m.log.Error("the store of grants cannot be read: only shops are served that were called lately, for as long as their tokens live",
			"err", err, "remedy", "run `evergate store check` with the same settings")
	}
}

// keptAlive is the age at which a grant that nobody uses is renewed: a refresh token lives for 90 days, and one that is found too
// late to be renewed in one week has twelve more.
const keptAlive = 7 * 24 * time.Hour

// keep looks after the store: what is wrong with it, and the grants that nobody uses.
func (m *many) keep(ctx context.Context) {
	for ctx.Err() == nil {
		m.care.look(ctx, m.app.Backend, m.log.Logger)
		m.renewUnused(ctx)
		pauseAbout(ctx, keepEvery)
	}
}

const (
	// askAgainEvery is how often a store is asked that could not be read: readiness takes the calls away that would notice.
	askAgainEvery = 5 * time.Second
	// askQuietly is how often a store is asked that could be read, because nobody may have needed it.
	askQuietly = time.Minute
	// doubtEvery is how often it is asked at most because of records that could not be read.
	doubtEvery = time.Second
)

// watchStore notices when a store cannot be read any more, and when it can be again. It asks at the start.
func (m *many) watchStore(ctx context.Context) {
	m.noteStoreOf(ctx, m.askStore(ctx))
	looked := time.Now()
	for ctx.Err() == nil {
		pause, before := askQuietly, m.ready()
		if before != nil && !isKey(before) {
			pause = askAgainEvery
		}
		doubted, err := clock.SleepOrWake(ctx, pause, m.doubt)
		if err != nil {
			continue
		}
		// Records of another key make doubts with every call, and are no news; to look for others may take the whole store.
		known := time.Since(looked) < askQuietly && (before == nil || isKey(before))
		if (known || before == nil && !doubted) && m.answers(ctx) {
			_ = clock.Sleep(ctx, doubtEvery) // the loop looks at ctx
			continue
		}
		looked = time.Now()
		m.noteStoreOf(ctx, m.askStore(ctx))
		_ = clock.Sleep(ctx, doubtEvery) // the loop looks at ctx
	}
}

// noteStoreOf is noteStore for a look that ctx may have ended, which says nothing.
func (m *many) noteStoreOf(ctx context.Context, err error) {
	if ctx.Err() == nil {
		m.noteStore(err)
	}
}

// answers reports whether the store answers, by a question that costs little: whether there is a shop that nobody has.
func (m *many) answers(ctx context.Context) bool {
	name, err := token.ParseShop("evergate-asks-whether-the-store-answers")
	if err != nil {
		return false
	}
	shop, err := m.app.Backend.Shop(name)
	if err == nil {
		_, _, err = shop.Load(ctx)
	}
	return err == nil || errors.Is(err, token.ErrNotFound)
}

// isKey reports whether a store is of no use because of the key.
func isKey(err error) bool { return errors.Is(err, token.ErrKey) }

// askStore reports why no grant can be read; nil: one can, or there is none.
func (m *many) askStore(ctx context.Context) error {
	var l legible
	for listed, err := range m.app.Backend.All(ctx) {
		if listed.Domain == "" {
			return err
		}
		if l.note(listed.Domain, err); l.readable > 0 { // what has not been written since the key before may be listed first
			break
		}
	}
	return l.verdict()
}

// legible counts which grants can be read.
type legible struct {
	readable, broken int
	shop             string // one of those that cannot
	why              error
	key              error // of one that is encrypted with another key
}

func (l *legible) note(domain string, err error) {
	if err == nil {
		l.readable++
		return
	}
	l.broken, l.shop, l.why = l.broken+1, domain, err
	if isKey(err) {
		l.key = err
	}
}

// verdict is an error if none can be read because the key is another one. One that is damaged says nothing of others.
func (l *legible) verdict() error {
	if l.key == nil || l.readable > 0 {
		return nil
	}
	return fmt.Errorf("not one of %d grants can be read: %w", l.broken, l.key)
}

// renewUnused renews the grants that nobody has used for a week, one after the other.
func (m *many) renewUnused(ctx context.Context) {
	var l legible
	nothing, full := 0, false
	for listed, err := range m.app.Backend.All(ctx) {
		if ctx.Err() != nil {
			return
		}
		if listed.Domain == "" {
			m.noteStore(err)
			return
		}
		if l.note(listed.Domain, err); err == nil && listed.Record.IsNothing() {
			nothing++
		}
		if err != nil || full || !m.isUnused(listed.Record) {
			continue
		}
		if name, err := token.ParseShop(listed.Domain); err == nil {
			full = errors.Is(m.renew(ctx, name, 0), fleet.ErrFull) // the store takes nothing: the next round goes on
		}
	}
	if m.noteStore(l.verdict()); l.broken > 0 && l.readable > 0 {
		m.log.Error("there are grants in the store that cannot be read", "grants", l.broken, "of", l.broken+l.readable, "shop", l.shop, "err", l.why,
			"remedy", "run `evergate store check`, which names them all")
	}
	n := int64(l.broken + l.readable - nothing)
	m.stored.Store(n)
	m.checkRate(n)
}

// isUnused reports whether a grant is one to be kept alive, whose pair is old.
func (m *many) isUnused(r token.Record) bool {
	t := r.Current.Token
	if r.Current.Refresh.Empty() || r.Reauthorize != nil || !t.Expires() {
		return false
	}
	return time.Since(t.Issued) > keptAlive
}

// ready reports why the process cannot serve; nil: it can.
func (m *many) ready() error {
	if err := m.reachable.Load(); err != nil {
		return *err
	}
	return nil
}

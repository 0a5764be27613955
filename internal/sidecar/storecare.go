package sidecar

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"evergate/internal/admin"
	"evergate/internal/clock"
	"evergate/internal/config"
	"evergate/internal/token"
)

// keepEvery is how often a store is looked at for what is wrong with it, and gone through for grants that nobody uses.
const keepEvery = time.Hour

// pauseAbout waits for a span, or for something between its half and one and a half, so that replicas drift apart; less if ctx ends.
func pauseAbout(ctx context.Context, span time.Duration) {
	_ = clock.Sleep(ctx, span/2+rand.N(span)) //nolint:gosec // G404: nothing secret; whoever loops looks at ctx
}

// storeCare says what is wrong with a store. Its zero value has found nothing.
type storeCare struct {
	findings atomic.Pointer[[]token.Finding]
}

// look asks the store, and logs what it finds.
func (c *storeCare) look(ctx context.Context, store token.Backend, log *slog.Logger) {
	asking, cancel := context.WithTimeout(ctx, StoreWait)
	defer cancel()
	findings := store.Check(asking)
	if ctx.Err() != nil {
		return
	}
	c.findings.Store(&findings)
	for _, f := range findings {
		level := slog.LevelWarn
		if f.Loses {
			level = slog.LevelError
		}
		log.Log(ctx, level, "the store: "+f.Text, "remedy", f.Do)
	}
}

func (c *storeCare) found() []token.Finding {
	if findings := c.findings.Load(); findings != nil {
		return *findings
	}
	return nil
}

// notices are what a person must look at.
func (c *storeCare) notices() (all []admin.Notice) {
	for _, f := range c.found() {
		n := admin.Notice{Level: admin.LevelWarning, Code: admin.CodeStoreUnfit, Label: "Store", Text: f.Text, Do: f.Do, Whole: f.Text + ": " + f.Do}
		if f.Loses {
			n.Level = admin.LevelError
		}
		all = append(all, n)
	}
	return all
}

// unfit is how many of the findings can lose grants.
func (c *storeCare) unfit() (n int) {
	for _, f := range c.found() {
		if f.Loses {
			n++
		}
	}
	return n
}

// isShared reports whether the place where grants rest is a server that several processes use, and not this machine's.
func (in *Installation) isShared() bool {
	return in.Backend != nil && in.Store != nil && in.StoreDir() == "" && !in.IsVolatile()
}

// keepsSessions reports whether grants rest in the table in which an app keeps its sessions.
func keepsSessions(cfg *config.Config) bool {
	return cfg.StoreLayout != "" && cfg.StoreLayout != config.LayoutEvergate
}

// lookAfterStore looks after the store of the only shop until ctx ends. What others write there its source sees by itself.
func (s *shop) lookAfterStore(ctx context.Context) {
	for ctx.Err() == nil {
		s.care.look(ctx, s.in.Backend, s.log.Logger)
		pauseAbout(ctx, keepEvery)
	}
}

package sidecar

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/config"
	"evergate/internal/shopsfile"
	"evergate/internal/token"
)

// place is a store that can be read, or not.
type place struct {
	token.Backend
	away atomic.Bool
}

func (p *place) All(context.Context) iter.Seq2[token.Listed, error] {
	return func(yield func(token.Listed, error) bool) {
		if p.away.Load() {
			yield(token.Listed{}, errors.New("connection refused"))
		}
	}
}

// A process that is not ready gets no calls that would find the store back.
func TestAStoreThatComesBackIsNoticedWithoutACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &place{}
		p.away.Store(true)
		m := &many{app: &App{Config: &config.Config{MaxRenewals: 50}, Backend: p}, dir: &directory{}}
		m.dir.file.Store(&shopsfile.File{Stored: true})
		m.noteStore(errors.New("connection reset"))
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		go m.awaitStore(ctx)
		time.Sleep(time.Minute)
		if m.ready() == nil {
			t.Error("it is away, and the process is ready")
		}
		p.away.Store(false)
		time.Sleep(askAgainEvery + time.Second)
		if err := m.ready(); err != nil {
			t.Errorf("it is back, and still: %v", err)
		}
	})
}

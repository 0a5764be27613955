package sidecar

import (
	"time"

	"evergate/internal/config"
	"evergate/internal/metrics"
	"evergate/internal/pace"
	"evergate/internal/token"
)

// newPacer returns nil when the rate limit is not waited for. common may be nil.
func newPacer(cfg *config.Config, shop token.Shop, where token.Backend, met *metrics.Metrics, common *pace.Common) *pace.Pacer {
	if cfg.Pace == config.PaceOff {
		return nil
	}
	o := pace.Options{MaxWait: cfg.PaceMaxWait, Observer: paceObserver{met, shop.Domain()}, Common: common}
	if shared, ok := where.(interface{ Ledger(token.Shop) pace.Ledger }); ok && cfg.Pace != config.PaceLocal {
		o.Ledger = shared.Ledger(shop)
	}
	return pace.New(o)
}

// paceObserver tells the metrics, which know nobody, which shop it is about.
type paceObserver struct {
	met  *metrics.Metrics
	shop string
}

// Waited implements pace.Observer.
func (o paceObserver) Waited(took time.Duration) { o.met.Waited(took) }

// Throttled implements pace.Observer.
func (o paceObserver) Throttled(api string) { o.met.Throttled(o.shop, api) }

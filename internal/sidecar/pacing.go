package sidecar

import (
	"time"

	"evergate/internal/config"
	"evergate/internal/metrics"
	"evergate/internal/pace"
)

// newPacer returns nil when the rate limit is not waited for.
func newPacer(cfg *config.Config, met *metrics.Metrics) *pace.Pacer {
	if cfg.Pace == config.PaceOff {
		return nil
	}
	return pace.New(pace.Options{MaxWait: cfg.PaceMaxWait, Observer: paceObserver{met, cfg.Shop.Domain()}})
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

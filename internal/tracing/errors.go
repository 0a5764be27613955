package tracing

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
)

// quiet is how long one complaint about the collector stands for all.
const quiet = time.Minute

// complaints logs an error now and then: a collector that is away for a day is one fact.
type complaints struct {
	log  *slog.Logger
	last atomic.Int64 // unix nanoseconds; zero: never
}

func setErrorHandler(log *slog.Logger) {
	otel.SetErrorHandler(&complaints{log: log})
	otel.SetLogger(logr.Discard()) // it prints settings that it cannot read, secrets among them
}

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	now, last := time.Now().UnixNano(), c.last.Load()
	if last != 0 && now-last < int64(quiet) || !c.last.CompareAndSwap(last, now) {
		return
	}
	c.log.Warn("spans could not be sent; requests are not affected", "err", err)
}

package sidecar

import (
	"log/slog"
	"math/rand/v2"

	"evergate/internal/config"
	"evergate/internal/inject"
	"evergate/internal/tracing"
)

// openTracer returns nil when nobody asked for traces.
func openTracer(getenv func(string) string, log *slog.Logger, version string) (*tracing.Tracer, error) {
	on, err := tracing.Enabled(getenv)
	if err != nil {
		return nil, config.Wrong(err)
	}
	if !on {
		return nil, nil
	}
	t, err := tracing.Open(getenv, version, log)
	if err != nil {
		return nil, config.Wrong(err)
	}
	log.Info("traces are sent", "endpoint", tracing.Endpoint(getenv))
	return t, nil
}

// accessLog has a line for requests. When nobody asked for one, debugging has it, and the level can change at any time.
func accessLog(cfg *config.Config, log *slog.Logger) *inject.AccessLog {
	if !cfg.AccessLog.On {
		return &inject.AccessLog{Log: log, Level: slog.LevelDebug, Share: 1}
	}
	return &inject.AccessLog{Log: log, Share: cfg.AccessLog.Of, Draw: rand.Float64}
}

// auditLog has a line for each denial, where that was asked for; else it is nil.
func (s *Sidecar) auditLog() *slog.Logger {
	if !s.cfg.AuditDenials {
		return nil
	}
	return s.log.whole
}

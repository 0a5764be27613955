package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"evergate/internal/config"
)

// serve runs the sidecar until a signal or POST /-/quit.
func serve(w world) error {
	if err := parseFlags(w, "serve", nil); err != nil {
		return err
	}
	cfg, err := config.Load(w.environ)
	if err != nil {
		return reportConfig(cfg, err, w.err)
	}
	log := newLogger(cfg, w.err)
	if err := serveUntilSignal(cfg, log, w); err != nil {
		log.Error("ended", "err", err)
		return &exitError{exitCode(err), nil} // said already, in the log's format
	}
	log.Info("ended")
	return nil
}

func serveUntilSignal(cfg *config.Config, log logger, w world) error {
	s, err := assemble(cfg, log, w.environ)
	if err != nil {
		return err
	}
	if err := s.listen(context.Background()); err != nil {
		return err
	}
	begin, force := stopSignals(w.signals, log.Logger)
	return s.serve(begin, force)
}

// assemble makes a sidecar for `serve` and `run`.
func assemble(cfg *config.Config, log logger, environ []string) (*sidecar, error) {
	m, err := newManager(environ)
	if err != nil {
		return nil, err
	}
	c, err := connect(cfg, environ)
	if err != nil {
		return nil, err
	}
	logWarnings(cfg, log.Logger)
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	if err := c.seed(ctx); err != nil {
		return nil, fmt.Errorf("the grant cannot be begun with SHOPIFY_REFRESH_TOKEN: %w", err)
	}
	s, err := newSidecar(c, log, lookUpIn(environ))
	if err != nil {
		return nil, err
	}
	s.manager = m
	return s, nil
}

// stopSignals turns the first signal into begin and the second into force.
func stopSignals(signals <-chan os.Signal, log *slog.Logger) (begin, force <-chan struct{}) {
	first, second := make(chan struct{}), make(chan struct{})
	go func() {
		sig := <-signals
		log.Info("signal", "signal", sig.String())
		close(first)
		sig = <-signals
		log.Warn("second signal: ending at once", "signal", sig.String())
		close(second)
	}()
	return first, second
}

package main

import (
	"context"
	"log/slog"
	"os"

	"evergate/internal/sidecar"
)

// serve runs the sidecar until a signal or POST /-/quit.
func serve() action {
	return action{
		run: func(w env) error {
			cfg, err := sidecar.Load(w.environ)
			if err != nil {
				return reportConfig(cfg.Config, err, w.err)
			}
			log := sidecar.NewLogger(cfg.Config, w.err)
			if err := serveUntilSignal(cfg, log, w); err != nil {
				log.Error("ended", "err", err)
				return &exitError{exitCode(err), nil} // said already, in the log's format
			}
			log.Info("ended")
			return nil
		},
	}
}

func serveUntilSignal(cfg sidecar.Settings, log sidecar.Logger, w env) error {
	s, err := sidecar.Assemble(cfg, log, w.environ, build())
	if err != nil {
		return err
	}
	if err := s.Listen(context.Background()); err != nil {
		return err
	}
	begin, force := stopSignals(w.signals, log.Logger)
	return s.Serve(begin, force)
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

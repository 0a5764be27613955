package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"syscall"

	"golang.org/x/term"

	"evergate/internal/sidecar"
)

// serve runs the sidecar until a signal or POST /-/quit.
func serve() action {
	return action{
		run: steadily(func(w env) error {
			cfg, err := sidecar.Load(w.environ)
			if err != nil {
				return reportConfig(cfg.Config, err, w.err, sidecar.FormatJSON)
			}
			log := sidecar.NewLogger(cfg.Config, w.err, sidecar.FormatJSON, w.environ)
			hide(log.Logger)
			if err := serveUntilSignal(cfg, log, w); err != nil {
				log.Error("ended", "err", err)
				return &exitError{exitCode(err), nil} // it has been logged, in the log's format
			}
			log.Info("ended")
			return nil
		}),
	}
}

func serveUntilSignal(cfg sidecar.Settings, log sidecar.Logger, w env) error {
	w.await()
	s, err := sidecar.Assemble(cfg, log, w.environ, build())
	if err != nil {
		return err
	}
	if err := s.Listen(context.Background()); err != nil {
		return err
	}
	if greets(cfg.Config, w) {
		greet(w.out, cfg.Config, s)
	} else {
		s.LogListeners()
	}
	begin, force := w.stopSignals(log.Logger, s.Reread)
	return s.Serve(begin, force)
}

// stopSignals turns the first signal into begin and the second into force. SIGHUP is neither: it has the
// files read again, as of every daemon. But the one that comes because the terminal has gone, whose window somebody has closed, is
// meant as an end: nobody would see that the process goes on, and that it keeps its ports.
func (w env) stopSignals(log *slog.Logger, reread func()) (begin, force <-chan struct{}) {
	w.await(syscall.SIGHUP)
	first, second := make(chan struct{}), make(chan struct{})
	gone := w.terminalGone()
	next := func() os.Signal {
		for sig := range w.signals {
			if sig != syscall.SIGHUP || gone() {
				return sig
			}
			reread()
		}
		return nil
	}
	go func() {
		log.Info("signal", "signal", next().String())
		close(first)
		log.Warn("second signal: ending at once", "signal", next().String())
		close(second)
	}()
	return first, second
}

// terminalGone returns what tells whether a terminal that this process has now is there no more. A terminal that was hung up answers no question.
func (w env) terminalGone() func() bool {
	var terminals []*os.File
	for _, stream := range []any{w.stdin, w.inherited.out, w.inherited.err} {
		if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			terminals = append(terminals, f)
		}
	}
	return func() bool {
		return slices.ContainsFunc(terminals, func(f *os.File) bool { return !term.IsTerminal(int(f.Fd())) })
	}
}

// hide goes on without where it is not allowed to: a sandbox that forbids it is a fence itself.
func hide(log *slog.Logger) {
	if err := hideMemory(); err != nil {
		log.Warn("this process is like any other of its user", "err", err)
	}
}

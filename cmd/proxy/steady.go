package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"evergate/internal/logsink"
	"evergate/internal/printable"
)

// lastLines is how long a command waits at its end for whoever reads what it has printed.
const lastLines = time.Second

// steadily makes a command independent of whoever reads what it prints: while somebody relies on the
// sidecar, a terminal that is halted, a pipe that nobody reads any more and a full disk must
// neither stop nor end it. What cannot be printed is dropped.
func steadily(run func(env) error) func(env) error {
	return func(w env) error {
		var sinks []*logsink.Sink
		steady := func(to io.Writer) (written, inherited io.Writer) {
			terminal, isTerminal := to.(*printable.Writer)
			if isTerminal {
				to = terminal.Unwrap()
			}
			if _, isFile := to.(*os.File); !isFile {
				return to, to
			}
			sink := logsink.New(to)
			sinks = append(sinks, sink)
			if isTerminal {
				return terminal.On(sink), to
			}
			return sink, to
		}
		w.out, w.inherited.out = steady(w.out)
		w.err, w.inherited.err = steady(w.err)
		if len(sinks) > 0 {
			// A write to a pipe without a reader ends a Go program that does not ask for this signal. It must not be
			// ignored instead: what `run` starts would inherit that.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
		}
		defer func() {
			for _, s := range sinks {
				s.Flush(lastLines)
			}
		}()
		if code := w.explain(run(w)); code != exitOK {
			return &exitError{code, nil}
		}
		return nil
	}
}

// streams are standard output and standard error.
type streams struct{ out, err io.Writer }

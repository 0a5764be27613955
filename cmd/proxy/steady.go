package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"evergate/internal/logsink"
)

// lastLines is how long a command waits at its end for whoever reads what it has printed.
const lastLines = time.Second

// steadily makes a command independent of whoever reads what it prints: while somebody relies on the
// sidecar, a terminal that is halted, a pipe that nobody reads any more and a full disk must
// neither stop nor end it. What cannot be printed is dropped.
func steadily(run func(env) error) func(env) error {
	return func(w env) error {
		var sinks []*logsink.Sink
		steady := func(to io.Writer) io.Writer {
			if _, isFile := to.(*os.File); !isFile {
				return to
			}
			sinks = append(sinks, logsink.New(to))
			return sinks[len(sinks)-1]
		}
		w.inherited = streams{w.out, w.err}
		w.out, w.err = steady(w.out), steady(w.err)
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

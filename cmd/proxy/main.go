// Command proxy is Evergate: an authenticating reverse-proxy sidecar for the Shopify
// Admin API. Each sub-command has a file of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"evergate/internal/config"
)

func main() { os.Exit(run(realWorld())) }

// world is everything a command may touch outside itself, so that a test can hand it one.
type world struct {
	args    []string
	environ []string
	stdin   io.Reader
	out     io.Writer
	err     io.Writer
	// signals delivers SIGINT and SIGTERM. Every command but `run` only asks whether and
	// how often they come.
	signals <-chan os.Signal
	// browse opens an address in the person's browser; nil: there is none.
	browse func(url string) error
	// describe is handed a command's flags in place of the command's being run; see synopses.
	describe func(*flag.FlagSet)
}

func realWorld() world {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return world{args: os.Args[1:], environ: os.Environ(), stdin: os.Stdin, out: os.Stdout, err: os.Stderr, signals: signals, browse: browse}
}

// The exit codes. They are API: scripts and units rely on them.
const (
	exitOK      = 0
	exitFailure = 1
	exitConfig  = 2 // the configuration or the command line is wrong
)

// exitError carries an exit code and, if it has one, a message for standard error.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

func configError(err error) error { return config.Wrong(err) }

type command struct {
	name, args, summary string
	run                 func(world) error
	// sub are the commands below it, which take its place.
	sub []command
	// takesCommand says that what follows is a command line of another program.
	takesCommand bool
}

func commands() []command {
	return []command{
		{name: "serve", summary: "run the sidecar (also without a command)", run: serve},
		{name: "demo", summary: "run Shopify's simulator and the sidecar in front of it; needs no account", run: demo},
		{name: "login", args: "[--port N] [--paste] […]", summary: "have a merchant authorise the app, and store the grant", run: logIn},
		{name: "token", args: "show|import|migrate|revoke", summary: "look at the stored grant, put one in, exchange it, end it", run: tokenCommand, sub: tokenCommands()},
		{name: "key", args: "NAME [--policy P] […]", summary: "make a key by which a client is known", run: keyCommand},
		{name: "check", args: "[--json]", summary: "say what is right and wrong with this configuration", run: checkCommand},
		{name: "run", args: "-- CMD…", summary: "start the sidecar, run CMD against it, exit with CMD's code", run: runCommand, takesCommand: true},
		{name: "wait", args: "[--timeout 60s]", summary: "wait until the sidecar of this environment is ready", run: wait},
		{name: "healthcheck", args: "[--ready|--startup]", summary: "ask the sidecar whether it is alive, ready, or has had a token", run: healthcheck},
		{name: "quit", summary: "tell the sidecar to shut down cleanly", run: quit},
		{name: "config", args: "[--markdown]", summary: "list every setting with its value, secrets redacted", run: printConfig},
		{name: "simulate", summary: "run Shopify's simulator alone, to test other programs against", run: simulate},
		{name: "version", summary: "print the version", run: printVersion},
	}
}

// generators are commands that packages are made with; people need not know of them.
func generators() []command {
	return []command{
		{name: "completion", args: "bash|zsh|fish", summary: "print what makes a shell complete Evergate's commands", run: printCompletion},
		{name: "man", summary: "print the manual page", run: printMan},
	}
}

// run executes one command and returns the exit code.
func run(w world) int {
	err := dispatch(w)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) || exit.err != nil {
		fmt.Fprintln(w.err, "evergate:", err)
	}
	return exitCode(err)
}

// exitCode is the code that an error carries, or that of a failure.
func exitCode(err error) int {
	var exit *exitError
	var wrong *config.Error
	switch {
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &wrong):
		return exitConfig
	}
	return exitFailure
}

func dispatch(w world) error {
	name := "serve"
	if len(w.args) > 0 && !strings.HasPrefix(w.args[0], "-") {
		name, w.args = w.args[0], w.args[1:]
	} else if len(w.args) > 0 && slices.Contains([]string{"-h", "--help", "-help"}, w.args[0]) {
		name = "help"
	}
	if name == "help" {
		usage(w.out)
		return nil
	}
	for _, c := range append(commands(), generators()...) {
		if c.name == name {
			return c.run(w)
		}
	}
	usage(w.err)
	return configError(fmt.Errorf("there is no command %q", name))
}

func usage(to io.Writer) {
	fmt.Fprintln(to, "Evergate puts Shopify's access token on the calls of tools that have none.\n\nUsage: evergate [COMMAND]")
	fmt.Fprintln(to)
	for _, c := range commands() {
		fmt.Fprintf(to, "  %-30s %s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
	}
	fmt.Fprintln(to, "\nSettings come from the environment: `evergate config` lists them.")
}

// parseFlags parses a command's flags; what is left must be empty.
func parseFlags(w world, name string, define func(*flag.FlagSet)) error {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(w.err)
	if define != nil {
		define(fs)
	}
	if w.describe != nil {
		w.describe(fs)
		return flag.ErrHelp
	}
	if err := fs.Parse(w.args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return &exitError{exitConfig, nil} // flag has printed what is wrong
	}
	if fs.NArg() > 0 {
		return configError(fmt.Errorf("%s takes no argument %q", name, fs.Arg(0)))
	}
	return nil
}

// untilSignal is done at the first signal. It is for commands that need no clean end.
func (w world) untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-w.signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

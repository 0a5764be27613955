// Command proxy is Evergate: an authenticating reverse-proxy sidecar for the Shopify
// Admin API. Each sub-command has a file of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"evergate/internal/config"
	"evergate/internal/truststore"
)

func main() {
	// net/http's client logs there what an upstream sends unasked, up to 4 KiB of it. Nothing of
	// ours does.
	log.SetOutput(io.Discard)
	os.Exit(run(processEnv()))
}

// env is everything a command may touch outside itself, so that a test can hand it one.
type env struct {
	args    []string
	environ []string
	stdin   io.Reader
	out     io.Writer
	err     io.Writer
	// inherited are out and err as they were before steadily; a child writes to them itself.
	inherited streams
	// signals delivers SIGINT and SIGTERM. Most commands only ask whether and how often they come.
	signals <-chan os.Signal
	// hear has signals deliver more of them; nil: it delivers what a test likes.
	hear func(...os.Signal)
	// browse opens an address in the person's browser; nil: there is none.
	browse func(url string) error
	// trust is the machine whose trust ca install changes; nil: this one.
	trust *truststore.Machine
}

func processEnv() env {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	hear := func(more ...os.Signal) { signal.Notify(signals, more...) }
	return env{args: os.Args[1:], environ: os.Environ(), stdin: os.Stdin, out: os.Stdout, err: os.Stderr, signals: signals, hear: hear, browse: browse}
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
	// new makes the command anew for each use, with the variables that its flags set.
	new func() action
	// sub are the commands below it, which take its place.
	sub []command
	// takesCommand says that what follows is a command line of another program.
	takesCommand bool
}

// action is what a command takes and does. Asking for its flags does nothing else.
type action struct {
	flags func(*flag.FlagSet)
	arg   *string // where its one argument goes; nil: it takes none
	run   func(env) error
}

func commands() []command {
	return []command{
		{name: "serve", summary: "run the sidecar (also without a command)", new: serve},
		{name: "demo", summary: "run Shopify's simulator and the sidecar in front of it; needs no account", new: demo},
		{name: "login", args: "[--port N] [--paste] […]", summary: "have a merchant authorise the app, and store the grant", new: logIn},
		{name: "token", args: "show|import|migrate|revoke", summary: "look at the stored grant, put one in, exchange it, end it", new: tokenCommand, sub: tokenCommands()},
		{name: "key", args: "NAME [--policy P] […]", summary: "make a key by which a client is known", new: keyCommand},
		{name: "ca", args: "[--bundle]|install|uninstall", summary: "print the certificate of the local CA, have this machine trust it, end that", new: caCommand, sub: caCommands()},
		{name: "check", args: "[--json]", summary: "say what is right and wrong with this configuration", new: checkCommand},
		{name: "run", args: "[--policy P] […] -- CMD…", summary: "start the sidecar, run CMD against it, exit with CMD's code", new: runCommand, takesCommand: true},
		{name: "env", args: "[--shell|--dotenv|--docker|--kubernetes] […]", summary: "print what points programs at the sidecar of this environment", new: envCommand},
		{name: "wait", args: "[--timeout 60s]", summary: "wait until the sidecar of this environment is ready", new: wait},
		{name: "healthcheck", args: "[--ready|--startup]", summary: "ask the sidecar whether it is alive, ready, or has had a token", new: healthcheck},
		{name: "quit", summary: "tell the sidecar to shut down cleanly", new: quit},
		{name: "config", args: "[--markdown]", summary: "list every setting with its value, secrets redacted", new: printConfig},
		{name: "simulate", summary: "run Shopify's simulator alone, to test other programs against", new: simulate},
		{name: "version", summary: "print the version", new: printVersion},
	}
}

// generators are commands that packages are made with; people need not know of them.
func generators() []command {
	return []command{
		{name: "completion", args: "bash|zsh|fish", summary: "print what makes a shell complete Evergate's commands", new: printCompletion},
		{name: "man", summary: "print the manual page", new: printMan},
	}
}

// run executes one command and returns the exit code.
func run(w env) int {
	return w.explain(dispatch(w))
}

// explain prints why a command has failed, if that has not been said, and returns its exit code.
func (w env) explain(err error) (code int) {
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

func dispatch(w env) error {
	name := "serve"
	if len(w.args) > 0 && !strings.HasPrefix(w.args[0], "-") {
		name, w.args = w.args[0], w.args[1:]
	} else if len(w.args) > 0 {
		switch strings.TrimLeft(w.args[0], "-") {
		case "h", "help":
			name, w.args = "help", nil
		case "version":
			name, w.args = "version", w.args[1:]
		}
	}
	if name == "help" {
		return help(w)
	}
	all := append(commands(), generators()...)
	c, found := named(all, name)
	if !found {
		usage(w.err)
		return configError(fmt.Errorf("there is no command %q%s", name, guess(name, namesOf(all))))
	}
	if len(c.sub) > 0 && len(w.args) > 0 && !strings.HasPrefix(w.args[0], "-") {
		below, found := named(c.sub, w.args[0])
		if !found {
			listBelow(w.err, name, c.sub)
			return configError(fmt.Errorf("%s takes no argument %q%s", name, w.args[0], guess(w.args[0], namesOf(c.sub))))
		}
		c, name, w.args = below, name+" "+w.args[0], w.args[1:]
	}
	a := c.new()
	var err error
	if w.args, err = parseFlags(w, c, name, a); err != nil {
		return err
	}
	return a.run(w)
}

func named(all []command, name string) (command, bool) {
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, false
	}
	return all[i], true
}

func namesOf(all []command) (names []string) {
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}

// help prints the list of commands, or the page of the one that is named.
func help(w env) error {
	if len(w.args) == 0 {
		usage(w.out)
		return nil
	}
	name := strings.Join(w.args, " ")
	for _, s := range synopses() {
		if s.name == name {
			s.page(w.out)
			return nil
		}
	}
	return configError(fmt.Errorf("there is no command %q%s", name, guess(name, namesOf(commands()))))
}

// page is the help for one command.
func (s synopsis) page(to io.Writer) {
	fmt.Fprintf(to, "Usage: evergate %s\n\n%s\n", s.usage, sentence(s.summary))
	for _, c := range s.sub {
		fmt.Fprintf(to, "\n  evergate %s %s\n        %s\n", s.name, joined(c.name, c.args), sentence(c.summary))
	}
	for _, f := range s.flags {
		text := sentence(f.help)
		if f.initial != "" {
			text += " Default: " + f.initial
		}
		fmt.Fprintf(to, "\n  %s\n        %s\n", strings.TrimSpace("--"+f.name+" "+f.value), text)
	}
}

func listBelow(to io.Writer, name string, below []command) {
	fmt.Fprintf(to, "Usage of %s:\n\n", name)
	for _, c := range below {
		fmt.Fprintf(to, "  %s %s\n        %s\n", name, joined(c.name, c.args), c.summary)
	}
}

func usage(to io.Writer) {
	fmt.Fprintln(to, "Evergate puts Shopify's access token on the calls of tools that have none.\n\nUsage: evergate [COMMAND]")
	fmt.Fprintln(to)
	for _, c := range commands() {
		fmt.Fprintf(to, "  %-30s %s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
	}
	fmt.Fprintln(to, "\nSettings come from the environment: `evergate config` lists them.")
}

// parseFlags sets what the flags and the argument say, in whatever order they come. It returns the command line
// that follows them, where one does.
func parseFlags(w env, c command, name string, a action) (rest []string, _ error) {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(w.err)
	if a.flags != nil {
		a.flags(fs)
	}
	if len(c.sub) > 0 {
		fs.Usage = func() { listBelow(w.err, name, c.sub) }
	}
	if c.takesCommand {
		fs.Usage = func() {}
	}
	for rest, taken := w.args, false; ; taken = true {
		err := fs.Parse(rest)
		switch {
		case errors.Is(err, flag.ErrHelp):
			if c.takesCommand {
				err = errors.Join(err, help(env{args: []string{name}, out: w.out}))
			}
			return nil, err
		case err != nil:
			return nil, &exitError{exitConfig, nil} // flag has printed what is wrong
		case c.takesCommand:
			return fs.Args(), nil
		case fs.NArg() == 0:
			return nil, nil
		case a.arg == nil || taken:
			return nil, configError(fmt.Errorf("%s takes no argument %q", name, fs.Arg(0)))
		}
		*a.arg, rest = fs.Arg(0), fs.Args()[1:]
	}
}

// guess offers the name that is nearest to a misspelt one, or nothing.
func guess(name string, names []string) string {
	best, least := "", 3 // more than two letters is another word
	for _, n := range names {
		if d := distance(strings.ToLower(name), n); d < least && d < len(n) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is how many letters have to be put in, taken out, or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// untilSignal is done at the first signal. It is for commands that need no clean end.
func (w env) untilSignal() (context.Context, context.CancelFunc) {
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

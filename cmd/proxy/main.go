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
	"evergate/internal/printable"
	"evergate/internal/redact"
	"evergate/internal/spelling"
	"evergate/internal/truststore"
)

func main() {
	// net/http's client logs there what an upstream sends unasked, up to 4 KiB of it. Nothing of
	// ours does.
	log.SetOutput(io.Discard)
	w := processEnv()
	code, isService := underServiceManager(w, run)
	if !isService {
		code = run(w)
	}
	os.Exit(code)
}

// env is everything a command may touch outside itself, so that a test can hand it one.
type env struct {
	args    []string
	environ []string
	// envFiles are the files of settings that the command line names; environ has what they say.
	envFiles []string
	stdin    io.Reader
	out      io.Writer
	err      io.Writer
	// inherited are out and err as they were before steadily; a child writes to them itself.
	inherited streams
	// signals delivers SIGINT and SIGTERM once await has been called. Most commands only ask whether and how often they come.
	signals <-chan os.Signal
	// hear has signals deliver what it is given; nil: it delivers what a test likes.
	hear func(...os.Signal)
	// browse opens an address in the person's browser; nil: there is none.
	browse func(url string) error
	// trust is the machine whose trust ca install changes; nil: this one.
	trust *truststore.Machine
}

func processEnv() env {
	signals := make(chan os.Signal, 4)
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
	group               string // the heading over it and those behind it in a list
	name, args, summary string
	// new makes the command anew for each use, with the variables that its flags set.
	new func() action
	// sub are the commands below it, which take its place.
	sub []command
	// takesCommand says that what follows is a command line of another program.
	takesCommand bool
	// withoutSettings says that it reads no settings, or none but a few of the environment's.
	withoutSettings bool
	// examples are lines for a shell, shown on the command's page.
	examples []string
}

// action is what a command takes and does. Asking for its flags does nothing else.
type action struct {
	flags func(*flag.FlagSet)
	arg   *string // where its one argument goes; nil: it takes none
	run   func(env) error
}

func commands() []command {
	return []command{
		{group: "Start here", name: "init", args: "[--file FILE] […]", summary: "ask for the shop and its app's credentials, try them, and write a file of settings", new: initCommand, withoutSettings: true,
			examples: []string{"evergate init", "evergate init --file acme.env"}},
		{name: "demo", summary: "run Shopify's simulator and the sidecar in front of it; needs no account", new: demo, withoutSettings: true,
			examples: []string{"evergate demo", "EVERGATE_POLICY=read-only evergate demo"}},
		{name: "check", args: "[--shop SHOP] [--json]", summary: "say what is right and wrong with this configuration", new: checkCommand,
			examples: []string{"evergate check", "evergate check --json"}},
		{name: "login", args: "[--shop SHOP] [--port N] [--paste] […]", summary: "have a merchant authorise the app, and store the grant", new: logIn,
			examples: []string{"evergate login", "evergate login --paste"}},
		{group: "Run it", name: "serve", summary: "run the sidecar (also without a command)", new: serve,
			examples: []string{"evergate serve", "evergate serve --env-file evergate.env", "SHOPIFY_CLIENT_SECRET_FILE=/run/secrets/client_secret evergate serve"}},
		{name: "run", args: "[--shop SHOP] [--policy P] […] -- CMD…", summary: "start the sidecar, run CMD against it, exit with CMD's code", new: runCommand, takesCommand: true,
			examples: []string{`evergate run -- sh -c 'curl -sS "$EVERGATE_URL/admin/api/2026-10/products/count.json"'`, "evergate run --policy read-only -- npx @shopify/dev-mcp"}},
		{name: "env", args: "[--shop SHOP] [--shell|--dotenv|--docker|--kubernetes] […]", summary: "print what points programs at the sidecar of this environment", new: envCommand,
			examples: []string{`eval "$(evergate env --shell)"`, "evergate env --dotenv > .env"}},
		{group: "Watch it", name: "status", args: "[--shop SHOP] [--watch] [--json]", summary: "show how the sidecar of this environment fares, as the status page does", new: statusCommand,
			examples: []string{"evergate status", "evergate status --watch", "evergate status --json"}},
		{name: "wait", args: "[--shop SHOP] [--timeout 60s] [--pid N]", summary: "wait until the sidecar of this environment is ready", new: wait,
			examples: []string{"evergate wait --timeout 2m"}},
		{name: "healthcheck", args: "[--shop SHOP] [--ready|--startup]", summary: "ask the sidecar whether it is alive, ready, or has had a token", new: healthcheck,
			examples: []string{"evergate healthcheck --ready"}},
		{name: "quit", summary: "tell the sidecar to shut down cleanly", new: quit,
			examples: []string{"evergate quit"}},
		{group: "Grants, keys, certificates", name: "token", args: "show|import|migrate|revoke", summary: "look at the stored grant, put one in, exchange it, end it", new: tokenCommand, sub: tokenCommands(),
			examples: []string{"evergate token show"}},
		{name: "store", args: "list|check|export|import|copy", summary: "care for the place where the grants of many shops rest", new: storeCommand, sub: storeCommands(),
			examples: []string{"evergate store list", "evergate store check"}},
		{name: "key", args: "NAME|list|revoke", summary: "make a key by which a client is known; list them, end one", new: keyCommand, sub: keyCommands(),
			examples: []string{"evergate key agent --policy read-only", "evergate key list"}},
		{name: "ca", args: "[--bundle]|install|uninstall", summary: "print the certificate of the local CA, have this machine trust it, end that", new: caCommand, sub: caCommands(),
			examples: []string{"evergate ca > evergate-ca.pem", "evergate ca --bundle > roots.pem"}},
		{group: "Reference", name: "config", args: "[--markdown]", summary: "list every setting with its value, secrets redacted", new: printConfig,
			examples: []string{"evergate config"}},
		{name: "version", summary: "print the version", new: printVersion, withoutSettings: true,
			examples: []string{"evergate version"}},
		{name: "completion", args: "bash|zsh|fish", summary: "print what makes a shell complete Evergate's commands", new: printCompletion, withoutSettings: true,
			examples: []string{"evergate completion bash > /etc/bash_completion.d/evergate"}},
		{name: "man", summary: "print the manual page", new: printMan, withoutSettings: true,
			examples: []string{"evergate man > evergate.1"}},
		{group: "Test against it", name: "simulate", summary: "run Shopify's simulator alone, to test other programs against", new: simulate, withoutSettings: true,
			examples: []string{"evergate simulate --listen 127.0.0.1:4443 --control 127.0.0.1:4444 --ca-file ca.pem",
				`eval "$(evergate simulate --print-env)"`, "evergate simulate --plain --fixtures fixtures --strict --report report.json"}},
	}
}

// run executes one command and returns the exit code.
func run(w env) int {
	w.out, w.err = fitForTerminal(w.out), fitForTerminal(w.err)
	return w.explain(dispatch(w))
}

// explain prints why a command has failed, if that has not been said, and returns its exit code.
func (w env) explain(err error) (code int) {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) || exit.err != nil {
		fmt.Fprintln(w.err, "evergate:", printable.Lines(redact.Text(err.Error()))) // cron mails it, and a journal is read on a terminal
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
	var files []string
	w.args, files = leadingEnvFiles(w.args)
	name, flags := "serve", []string{"help"}
	if len(w.args) > 0 && !strings.HasPrefix(w.args[0], "-") {
		name, w.args = w.args[0], w.args[1:]
	} else if len(w.args) > 0 {
		switch strings.TrimLeft(w.args[0], "-") {
		case "h", "help":
			name, w.args = "help", nil
		case "version":
			name, w.args = "version", w.args[1:]
		default:
			flags = append(flags, "version")
		}
	}
	if name == "help" {
		return help(w)
	}
	all := commands()
	c, found := named(all, name)
	if !found {
		return unknownCommand(name, namesOf(all))
	}
	s := synopsisOf("", c)
	if below, rest, found := c.below(w.args); found {
		s, w.args = synopsisOf(name, below), rest
	}
	a := s.new()
	if len(c.sub) > 0 && a.arg == nil && len(w.args) > 0 && !strings.HasPrefix(w.args[0], "-") && s.name == name {
		return configError(fmt.Errorf("%s takes no argument %q%s", name, w.args[0], guess(w.args[0], namesOf(c.sub), "evergate help "+name)))
	}
	var err error
	if w.args, err = parseFlags(w, s, s.withEnvFiles(a, &files), flags); err != nil {
		return err
	}
	_ = hideMemory() // login and wait have the secrets for minutes, too; serve, run and demo say why it is not allowed
	if w.environ, err = w.addEnvFiles(files); err != nil {
		return err
	}
	w.envFiles = files
	return a.run(w)
}

// below is the command under c that args name, and the rest of them. Its flags may stand before its name.
func (c command) below(args []string) (command, []string, bool) {
	for i, arg := range args {
		if sub, found := named(c.sub, arg); found {
			rest := slices.Delete(slices.Clone(args), i, i+1)
			if i == 0 || sub.accepts(rest) {
				return sub, rest, true
			}
		}
	}
	return command{}, nil, false
}

// accepts reports whether a command could be run with these arguments.
func (c command) accepts(args []string) bool {
	a := c.new()
	_, err := parseFlags(env{args: args, out: io.Discard}, synopsisOf("", c), c.withEnvFiles(a, new([]string)), nil)
	return err == nil || errors.Is(err, flag.ErrHelp)
}

func unknownCommand(name string, known []string) error {
	return configError(fmt.Errorf("there is no command %q%s", name, guess(name, known, "evergate help")))
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
	if len(w.args) == 0 || isHelpFlag(w.args[0]) {
		usage(w.out)
		return nil
	}
	if i := slices.IndexFunc(w.args, func(arg string) bool { return strings.HasPrefix(arg, "-") }); i >= 0 {
		return helpTakesNoFlag(w.args[i])
	}
	name := strings.Join(w.args, " ")
	var known []string
	for _, s := range synopses() {
		if s.name == name {
			s.page(w.out)
			return nil
		}
		known = append(known, s.name)
	}
	return unknownCommand(name, known)
}

func helpTakesNoFlag(arg string) error {
	hint := "`evergate help` lists the commands, and `evergate help COMMAND` shows one of them with its flags"
	if near := nearest(strings.TrimLeft(arg, "-"), namesOf(commands())); near != "" {
		hint = "did you mean `evergate help " + near + "`?"
	}
	return configError(fmt.Errorf("help takes no flag %s; %s", arg, hint))
}

func isHelpFlag(arg string) bool {
	return slices.Contains([]string{"-h", "--h", "-help", "--help"}, arg)
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
	if len(s.examples) > 0 {
		fmt.Fprintf(to, "\nExamples:\n\n  %s\n", strings.Join(s.examples, "\n  "))
	}
}

func usage(to io.Writer) {
	fmt.Fprintln(to, "Evergate puts Shopify's access token on the calls of tools that have none.\n\nUsage: evergate [COMMAND]")
	for _, c := range commands() {
		if c.group != "" {
			fmt.Fprintf(to, "\n%s\n", c.group)
		}
		fmt.Fprintf(to, "  %-12s %s\n", c.name, c.summary)
	}
	fmt.Fprintln(to, "\n`evergate help COMMAND` tells more about one of them.")
	fmt.Fprintln(to, "Settings come from the environment, or with --env-file from a file: `evergate config` lists them, `evergate init` asks for them.")
}

// parseFlags sets what the flags and the argument say, in whatever order they come, and returns the command line that
// follows them, where one does. Asked for help it prints the command's page. more are names that a misspelt flag may stand
// for besides the command's own flags.
func parseFlags(w env, s synopsis, a action, more []string) (rest []string, _ error) {
	fs := flag.NewFlagSet(s.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // its messages have no guess, and its help is not the page
	if a.flags != nil {
		a.flags(fs)
	}
	for rest, taken := w.args, false; ; taken = true {
		if err := fs.Parse(rest); errors.Is(err, flag.ErrHelp) {
			s.page(w.out)
			return nil, err
		} else if err != nil {
			return nil, s.flagError(err, more, rest)
		}
		switch {
		case s.takesCommand:
			return fs.Args(), nil
		case fs.NArg() == 0:
			return nil, nil
		case a.arg == nil || taken:
			hint := ""
			if taken { // what looked like the name may be a command below this one
				if near := nearest(*a.arg, namesOf(s.sub)); near != "" {
					hint = "; did you mean `evergate " + s.name + " " + near + "`?"
				}
			}
			return nil, configError(fmt.Errorf("%s takes no argument %q%s", s.name, fs.Arg(0), hint))
		}
		*a.arg, rest = fs.Arg(0), fs.Args()[1:]
	}
}

// flagError is a mistake that package flag has found, with a guess if no such flag exists. Only the
// text of flag's error tells that case from others. args are those among which the mistake is.
func (s synopsis) flagError(err error, more, args []string) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return configError(fmt.Errorf("%s: %w", s.name, s.valueError(err)))
	}
	known := slices.Clone(more)
	for _, f := range s.flags {
		known = append(known, f.name)
	}
	hint := "; `evergate help " + s.name + "` lists those it has"
	if near := nearest(name, known); near != "" {
		hint = "; did you mean --" + near + "?"
	}
	return configError(fmt.Errorf("%s has no flag %s%s", s.name, typed(name, args), hint))
}

// typed is a flag with as many dashes as it was given.
func typed(name string, args []string) string {
	for _, arg := range args {
		if before, _, _ := strings.Cut(arg, "="); before == "-"+name || before == "--"+name {
			return before
		}
	}
	return "--" + name
}

// expected is what a flag takes of each kind that package flag has a name for.
var expected = map[string]string{
	"duration": "a time with its unit, such as 30s or 5m", "int": "a whole number", "number": "a whole number", "uint": "a whole number", "float": "a number",
}

// valueError says of a mistake in a flag's value, which package flag calls a parse error, what is wanted in its place.
func (s synopsis) valueError(err error) error {
	before, cause, found := strings.Cut(err.Error(), ": ")
	value, name, invalid := strings.Cut(strings.TrimPrefix(before, "invalid value "), " for flag -")
	if missing, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		value, name, invalid, found, cause = "nothing", missing, true, true, "parse error"
	}
	i := slices.IndexFunc(s.flags, func(f option) bool { return f.name == name })
	if !invalid || !found || i < 0 {
		return err
	}
	if want := expected[s.flags[i].value]; want != "" && (cause == "parse error" || cause == "value out of range") {
		cause = "give " + want
	} else if cause == "parse error" {
		cause = "give it a value"
	}
	return fmt.Errorf("--%s cannot be %s: %s", name, value, cause)
}

// guess offers the name that is nearest to a misspelt one, or else the command that lists them all.
func guess(name string, names []string, lister string) string {
	if near := nearest(name, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return "; `" + lister + "` lists what there is"
}

// otherWords are what other programs call these commands and flags.
var otherWords = map[string]string{"start": "serve", "stop": "quit", "up": "serve", "down": "quit", "v": "version"}

// nearest is the name that a misspelt one most likely stands for, or empty. More than two letters are another word.
func nearest(name string, names []string) string {
	if meant := otherWords[strings.ToLower(name)]; slices.Contains(names, meant) {
		return meant
	}
	return spelling.Nearest(strings.ToLower(name), names, 2)
}

// await has signals deliver SIGINT, SIGTERM and more, for a command that has something to bring to an end. Until then they end the
// process, whatever it waits for: a file system that does not answer, or what writes into a pipe.
func (w env) await(more ...os.Signal) {
	if w.hear != nil {
		w.hear(append(more, os.Interrupt, syscall.SIGTERM)...)
	}
}

// untilSignal is done at the first signal. It is for commands that need no clean end.
func (w env) untilSignal() (context.Context, context.CancelFunc) {
	w.await()
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

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"evergate/internal/caller"
	"evergate/internal/config"
	"evergate/internal/remedy"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

const (
	// readyWithin is how long `run` waits for the first token, if nobody says otherwise.
	readyWithin = 30 * time.Second

	// These are as of env(1) and of a shell: codes that programs seldom have of their own.
	exitSidecar       = 125
	exitNotExecutable = 126
	exitNotFound      = 127
)

// runDefaults are settings that differ for a sidecar around one command. A command calls other hosts than the shop as well, so
// that they must be reached through the proxy that it is given. Its user could read a key of the local CA in a file.
var runDefaults = []string{
	"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_LEVEL=warn", "EVERGATE_CONNECT=tunnel", "EVERGATE_CA_DIR=memory:",
}

// childName is how the caller is called that shows the key of --policy.
const childName = "run"

// runOptions is what `run` is asked for.
type runOptions struct {
	shop    string
	policy  string
	noProxy bool
	timeout time.Duration

	only token.Shop   // the one that is meant; zero: there is a choice, and CMD names it with each call
	key  token.Secret // that CMD shows, and that ends with it; empty: none
}

// runCommand starts the sidecar on a free port, runs CMD with EVERGATE_URL pointing at it
// and without the secrets, and exits with CMD's code.
func runCommand() action {
	a := &runOptions{timeout: readyWithin}
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&a.shop, "shop", "", "the `shop` of EVERGATE_SHOPS_FILE that CMD is to call, and no other: all that it finds is of this one")
			fs.StringVar(&a.policy, "policy", "", "what CMD may do: full, read-only or a `POLICY` of EVERGATE_POLICY_FILE; it holds for everybody who calls this sidecar, in place of EVERGATE_POLICY")
			fs.BoolVar(&a.noProxy, "no-proxy", false, "give CMD nothing but EVERGATE_URL: no HTTPS_PROXY, no certificates, no placeholder for a token")
			fs.DurationVar(&a.timeout, "timeout", a.timeout, "how long to wait for the token before CMD is started")
		},
		run: steadily(a.run),
	}
}

// hold has the sidecar hold CMD to what --policy says. The whole sidecar is there for CMD, and some programs cannot
// be made to show a key, so that whoever shows none gets no more than whoever does.
func (a *runOptions) hold(c *config.Config) error {
	c.AuditDenials, c.OnlyShop = true, a.shop
	if a.policy == "" {
		return nil
	}
	for _, s := range []struct{ name, value string }{
		{"EVERGATE_CLIENT_KEYS_FILE", c.ClientKeysFile}, {"EVERGATE_SOCKET_PEERS", c.SocketPeers}, {"EVERGATE_TLS_CLIENT_CA_FILE", c.TLSClientCA},
	} {
		if s.value != "" {
			return remedy.New("leave one out", "--policy holds everybody who calls this sidecar to one policy, and %s has callers who may have their own", s.name)
		}
	}
	key, line, err := caller.NewKey(childName, "", nil)
	if err != nil {
		return err
	}
	a.key, c.HeldTo, c.ChildKey = key, a.policy, line
	return nil
}

// sidecarFailed marks an error as one of the sidecar, so that it is not taken for one of CMD. A mistake in the
// configuration keeps its own code.
func sidecarFailed(err error) error {
	if exit := (*exitError)(nil); err == nil || errors.As(err, &exit) || exitCode(err) != exitFailure {
		return err
	}
	return &exitError{exitSidecar, err}
}

func (a *runOptions) run(w env) error { return sidecarFailed(a.runWithSidecar(w)) }

func (a *runOptions) runWithSidecar(w env) error {
	argv, err := commandLine(w.args)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		code := exitNotFound
		if errors.Is(err, os.ErrPermission) {
			code = exitNotExecutable
			err = remedy.New("make it executable, as `chmod +x` does, or name the program that reads it, as in sh "+argv[0], "%w", err)
		}
		return &exitError{code, err}
	}
	cfg, err := sidecar.Load(withDefaults(w.environ, runDefaults...), a.hold)
	if err != nil {
		return reportConfig(cfg.Config, err, w.err, sidecar.FormatText)
	}
	if a.shop != "" {
		if a.only, err = cfg.Named(a.shop); err != nil {
			return err
		}
	}
	w.await(passedOn(sidecar.IsTerminal(w.stdin))...)
	log := sidecar.NewLogger(cfg.Config, w.err, sidecar.FormatText, w.environ)
	hide(log.Logger)
	s, err := sidecar.Assemble(cfg, log, w.environ, build())
	if err != nil {
		return err
	}
	if err := s.Listen(context.Background()); err != nil {
		return err
	}
	s.LogListeners()
	begin, force := make(chan struct{}), make(chan struct{})
	served, failed := make(chan struct{}), error(nil)
	go func() { failed = s.Serve(begin, force); close(served) }()

	found, result := newChildEnv(w.environ, a.offer(cfg, s), log.Logger)
	if result == nil {
		result = a.runReady(w, s, served, program{path, argv, found.environ})
		found.remove()
	}
	close(begin)
	go func() {
		for sig := range w.signals {
			if asksToEnd(sig) { // impatience while draining
				close(force)
				return
			}
		}
	}()
	if <-served; failed != nil && result == nil {
		result = failed
	}
	return result
}

// program is what to start, and in which environment.
type program struct {
	path          string
	argv, environ []string
}

// offer is what CMD is pointed at.
func (a *runOptions) offer(cfg sidecar.Settings, s *sidecar.Sidecar) target {
	to := target{url: s.URL(), key: a.key}
	switch {
	case !a.only.IsZero():
		to.shop, to.meant = a.only.Domain(), true
	case !cfg.Shop.IsZero():
		to.shop = cfg.Shop.Domain()
	}
	if !a.noProxy && cfg.Connect != config.ConnectOff {
		to.roots = cfg.CA.Roots
	}
	return to
}

// commandLine is what stands after `run` and its flags.
func commandLine(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, configError(errors.New("run needs a command: evergate run -- CMD…"))
	}
	return args, nil
}

// runReady waits until the sidecar is ready and runs the command. Its error carries the
// exit code. served is closed when the sidecar has ended.
func (a *runOptions) runReady(w env, s *sidecar.Sidecar, served <-chan struct{}, p program) error {
	ctx, stop := context.WithTimeoutCause(context.Background(), a.timeout, fmt.Errorf("no token within %s", a.timeout))
	defer stop()
	ready := make(chan error, 1)
	go func() {
		err := s.WaitForToken(ctx, a.only)
		if err == nil {
			err = s.ProveToken(ctx, a.only)
		}
		ready <- err
	}()
	for waiting := true; waiting; {
		select {
		case err := <-ready:
			if err != nil {
				return fmt.Errorf("the sidecar did not become ready, so %s was not started: %w", p.argv[0], err)
			}
			waiting = false
		case sig := <-w.signals:
			if asksToEnd(sig) {
				return fmt.Errorf("%s before the sidecar was ready, so %s was not started", sig, p.argv[0])
			}
		case <-served:
			return fmt.Errorf("the sidecar ended before it was ready, so %s was not started", p.argv[0])
		}
	}
	cmd := &exec.Cmd{
		Path: p.path, Args: p.argv, Env: p.environ,
		Stdin: w.stdin, Stdout: w.inherited.out, Stderr: w.inherited.err,
	}
	started, done := make(chan error), make(chan error, 1)
	go func() {
		bindToLife(cmd)
		err := cmd.Start()
		if started <- err; err == nil {
			done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return &exitError{exitNotExecutable, err}
	}
	for {
		select {
		case err := <-done:
			return exitOf(err)
		case <-served: // a listener failed, or POST /-/quit: there is nothing left to call
			if cmd.Process.Signal(syscall.SIGTERM) != nil {
				_ = cmd.Process.Kill() // where there are no signals
			}
			served = nil
		case sig := <-w.signals:
			if !sentByTerminal(sig) || !sidecar.IsTerminal(w.stdin) {
				_ = cmd.Process.Signal(sig) // the sidecar stays for as long as the command does, whatever that makes of it
			} // else the terminal has sent it to the command as well
		}
	}
}

// exitOf turns the end of a command into our own: its code, or 128 and the signal's
// number, as a shell does.
func exitOf(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &exitError{128 + int(status.Signal()), nil}
	}
	return &exitError{exit.ExitCode(), nil}
}

// withDefaults adds settings that the environment does not have, or has empty.
func withDefaults(environ []string, defaults ...string) []string {
	out := slices.Clone(environ)
	for _, d := range defaults {
		name, _, _ := strings.Cut(d, "=")
		if !slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, name+"=") && e != name+"=" }) {
			out = append(out, d)
		}
	}
	return out
}

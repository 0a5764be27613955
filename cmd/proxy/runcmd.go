package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"evergate/internal/config"
	"evergate/internal/sidecar"
	"evergate/internal/systemd"
)

const (
	// readyWithin is how long `run` waits for the first token.
	readyWithin = 30 * time.Second

	exitNotExecutable = 126 // as a shell does
	exitNotFound      = 127
)

// runCommand starts the sidecar on a free port, runs CMD with EVERGATE_URL pointing at it
// and without the secrets, and exits with CMD's code.
func runCommand() action { return action{run: steadily(runWithSidecar)} }

func runWithSidecar(w env) error {
	argv, err := commandLine(w.args)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		code := exitNotFound
		if errors.Is(err, os.ErrPermission) {
			code = exitNotExecutable
		}
		return &exitError{code, err}
	}
	cfg, err := sidecar.Load(withDefaults(w.environ, "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_LEVEL=warn"))
	if err != nil {
		return reportConfig(cfg.Config, err, w.err)
	}
	log := sidecar.NewLogger(cfg.Config, w.err)
	hide(log.Logger)
	s, err := sidecar.Assemble(cfg, log, w.environ, build())
	if err != nil {
		return err
	}
	if err := s.Listen(context.Background()); err != nil {
		return err
	}
	if w.hear != nil {
		w.hear(passedOn(sidecar.IsTerminal(w.stdin))...)
	}
	begin, force := make(chan struct{}), make(chan struct{})
	served, failed := make(chan struct{}), error(nil)
	go func() { failed = s.Serve(begin, force); close(served) }()

	result := runReady(w, s, served, path, argv)
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

// commandLine is what stands after `run`, with or without "--".
func commandLine(args []string) ([]string, error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return nil, configError(errors.New("run needs a command: evergate run -- CMD…"))
	}
	return args, nil
}

// runReady waits until the sidecar is ready and runs the command. Its error carries the
// exit code. served is closed when the sidecar has ended.
func runReady(w env, s *sidecar.Sidecar, served <-chan struct{}, path string, argv []string) error {
	ctx, stop := context.WithTimeoutCause(context.Background(), readyWithin, fmt.Errorf("no token within %s", readyWithin))
	defer stop()
	ready := make(chan error, 1)
	go func() {
		err := s.WaitForToken(ctx)
		if err == nil {
			err = s.ProveToken(ctx)
		}
		ready <- err
	}()
	for waiting := true; waiting; {
		select {
		case err := <-ready:
			if err != nil {
				return fmt.Errorf("the sidecar did not become ready, so %s was not started: %w", argv[0], err)
			}
			waiting = false
		case sig := <-w.signals:
			if asksToEnd(sig) {
				return fmt.Errorf("%s before the sidecar was ready, so %s was not started", sig, argv[0])
			}
		case <-served:
			return fmt.Errorf("the sidecar ended before it was ready, so %s was not started", argv[0])
		}
	}
	cmd := &exec.Cmd{
		Path: path, Args: argv, Env: commandEnviron(w.environ, s.URL()),
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

// isShopifySecret knows the names that Shopify's own templates use for the same secrets.
func isShopifySecret(name string) bool {
	return strings.HasPrefix(name, "SHOPIFY_") && (strings.Contains(name, "SECRET") || strings.Contains(name, "TOKEN"))
}

// commandEnviron is the environment without our secrets and with the address to call.
func commandEnviron(environ []string, address string) []string {
	secret := append(config.SecretNames(), config.URLVariable)
	out := slices.DeleteFunc(systemd.Strip(environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(secret, name) || isShopifySecret(name)
	})
	if usesProxy(out) {
		out = withoutProxy(out, address)
	}
	return append(out, config.URLVariable+"="+address)
}

// usesProxy reports whether programs that are started with environ send their calls to a proxy.
func usesProxy(environ []string) bool {
	return slices.ContainsFunc(environ, func(e string) bool {
		name, value, _ := strings.Cut(e, "=")
		name = strings.ToLower(name)
		return value != "" && strings.HasSuffix(name, "_proxy") && name != "no_proxy"
	})
}

// withoutProxy has the command call the sidecar directly where the environment names a proxy: its calls
// would go to that machine's localhost. What is exempt already stays so. Programs differ in which of the
// two spellings they read.
func withoutProxy(environ []string, address string) []string {
	exempt := []string{"localhost", "127.0.0.1", "::1"}
	if host := hostOf(address); host != "" && !slices.Contains(exempt, host) {
		exempt = append(exempt, host)
	}
	var all []string
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.EqualFold(name, "NO_PROXY") {
			continue
		}
		for entry := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ' ' }) {
			if !slices.Contains(all, entry) {
				all = append(all, entry)
			}
		}
	}
	for _, host := range exempt {
		if !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	if slices.Contains(all, "*") {
		all = []string{"*"} // everything; some programs know it only when it is alone
	}
	list := strings.Join(all, ",")
	kept := slices.DeleteFunc(environ, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return strings.EqualFold(name, "NO_PROXY")
	})
	return append(kept, "NO_PROXY="+list, "no_proxy="+list)
}

// hostOf is the host that an address for tools names; empty for a socket.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

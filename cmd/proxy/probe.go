package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"evergate/internal/clock"
	"evergate/internal/config"
	"evergate/internal/guard"
)

const (
	probeTimeout = 5 * time.Second
	probeEvery   = 100 * time.Millisecond
)

// adminClient calls the admin listener that this environment's sidecar has.
type adminClient struct {
	http    http.Client
	base    string
	address string // for people
}

// newAdminClient needs one setting only, so that a probe works in a container that has no
// other.
func newAdminClient(environ []string) (*adminClient, error) {
	cfg, err := config.Parse(withoutFiles(environ))
	if err != nil {
		return nil, configError(err)
	}
	addresses, err := guard.ParseListen(cfg.AdminListen)
	if err != nil || len(addresses) != 1 {
		return nil, configError(fmt.Errorf("EVERGATE_ADMIN_LISTEN=%q: give one address with a port, for example 127.0.0.1:9090", cfg.AdminListen))
	}
	return adminClientOf(addresses[0]), nil
}

func adminClientOf(a guard.Address) *adminClient {
	var d net.Dialer
	return &adminClient{base: "http://localhost", address: a.String(), http: http.Client{Timeout: probeTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, a.Network, reachable(a))
		},
	}}}
}

// withoutFiles drops the settings that name files. A probe opens no secret: while one cannot
// be read, a sidecar whose token lives is alive, and must not be restarted.
func withoutFiles(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(set string) bool {
		name, _, _ := strings.Cut(set, "=")
		return strings.HasSuffix(name, "_FILE")
	})
}

// reachable turns an address to listen on into one to call: 0.0.0.0 and [::] mean every
// address, this machine's loopback among them.
func reachable(a guard.Address) string {
	host, port, err := net.SplitHostPort(a.Address)
	if a.Network == "tcp" && err == nil && (host == "" || host == "0.0.0.0" || host == "::") {
		return net.JoinHostPort("localhost", port)
	}
	return a.Address
}

// call returns an error, the first line of the answer, unless the status is 2xx.
func (c *adminClient) call(ctx context.Context, method, path string) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("no sidecar answers on %s: start it, or set EVERGATE_ADMIN_LISTEN as it has it (%w)", c.address, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	line, _, _ := strings.Cut(string(body), "\n")
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, line)
	}
	return nil
}

func healthcheck(w world) error {
	path := "/livez"
	if err := parseFlags(w, "healthcheck", func(fs *flag.FlagSet) {
		fs.BoolFunc("ready", "ask whether there is a usable token, too", func(string) error { path = "/readyz"; return nil })
		fs.BoolFunc("startup", "ask whether there has been a token since the start", func(string) error { path = "/startupz"; return nil })
	}); err != nil {
		return err
	}
	c, err := newAdminClient(w.environ)
	if err != nil {
		return err
	}
	ctx, cancel := w.untilSignal()
	defer cancel()
	return c.call(ctx, http.MethodGet, path)
}

func wait(w world) error {
	timeout := 60 * time.Second
	if err := parseFlags(w, "wait", func(fs *flag.FlagSet) {
		fs.DurationVar(&timeout, "timeout", timeout, "how long to wait")
	}); err != nil {
		return err
	}
	c, err := newAdminClient(w.environ)
	if err != nil {
		return err
	}
	signalled, cancel := w.untilSignal()
	defer cancel()
	ctx, stop := context.WithTimeout(signalled, timeout)
	defer stop()
	for {
		err := c.call(ctx, http.MethodGet, "/readyz")
		if err == nil {
			return nil
		}
		if clock.Sleep(ctx, probeEvery) != nil {
			return fmt.Errorf("not ready after %s: %w", timeout, err)
		}
	}
}

func quit(w world) error {
	if err := parseFlags(w, "quit", nil); err != nil {
		return err
	}
	c, err := newAdminClient(w.environ)
	if err != nil {
		return err
	}
	ctx, cancel := w.untilSignal()
	defer cancel()
	return c.call(ctx, http.MethodPost, "/-/quit")
}

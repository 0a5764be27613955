package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"evergate/internal/admin"
	"evergate/internal/clock"
	"evergate/internal/config"
	"evergate/internal/listen"
	"evergate/internal/sidecar"
)

const probeEvery = 100 * time.Millisecond

// newAdminClient needs one setting only, so that a probe works in a container that has no
// other.
func newAdminClient(environ []string) (*admin.Client, error) {
	return newClientReading(withoutFiles(environ, ""))
}

// adminKeyFile is the one file that an order reads.
const adminKeyFile = "EVERGATE_ADMIN_KEY_FILE"

func newClientReading(environ []string) (*admin.Client, error) {
	cfg, err := config.Parse(environ)
	if err != nil {
		return nil, configError(err)
	}
	addresses, err := listen.Parse(cfg.AdminListen)
	if err != nil || len(addresses) != 1 {
		return nil, configError(fmt.Errorf("EVERGATE_ADMIN_LISTEN=%q: give one address with a port, for example 127.0.0.1:9090", cfg.AdminListen))
	}
	return admin.NewClient(addresses[0].Network, addresses[0].Address).WithKey(cfg.AdminKey), nil
}

// withoutFiles drops the settings that name files, but one. A probe opens no secret: while one cannot
// be read, a sidecar whose token lives is alive, and must not be restarted.
func withoutFiles(environ []string, but string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(set string) bool {
		name, _, _ := strings.Cut(set, "=")
		return strings.HasSuffix(name, "_FILE") && name != but
	})
}

func healthcheck() action {
	path, shop := "/livez", ""
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.BoolFunc("ready", "ask whether there is a usable token, too", func(string) error { path = "/readyz"; return nil })
			fs.BoolFunc("startup", "ask whether there has been a token since the start", func(string) error { path = "/startupz"; return nil })
			shopFlag(fs, &shop)
		},
		run: func(w env) error {
			c, err := newAdminClient(w.environ)
			if err != nil {
				return err
			}
			ctx, cancel := w.untilSignal()
			defer cancel()
			return unlessInterrupted(ctx, c.Call(ctx, http.MethodGet, forShop(path, shop)))
		},
	}
}

func wait() action {
	o := &waiting{timeout: 60 * time.Second}
	return action{
		flags: func(fs *flag.FlagSet) {
			shopFlag(fs, &o.shop)
			fs.DurationVar(&o.timeout, "timeout", o.timeout, "how long to wait")
			fs.IntVar(&o.pid, "pid", 0, "wait no longer than the process with this `number` lives: the sidecar's, $! in a shell that has just started it")
		},
		run: o.run,
	}
}

// waiting is a wait for a sidecar that gets ready.
type waiting struct {
	shop    string
	timeout time.Duration
	pid     int
}

// quietly is how long a wait needs no explanation.
const quietly = 2 * time.Second

func (o *waiting) run(w env) error {
	c, err := newAdminClient(w.environ)
	if err != nil {
		return err
	}
	if o.pid < 0 {
		return configError(errors.New("--pid needs the number of a process"))
	}
	ended := func() bool { return false }
	if o.pid > 0 {
		watched := watchProcess(o.pid)
		defer watched.close()
		ended = watched.ended
	}
	signalled, cancel := w.untilSignal()
	defer cancel()
	ctx, stop := context.WithTimeout(signalled, o.timeout)
	defer stop()
	begun, silent := time.Now(), sidecar.IsTerminal(w.err)
	for {
		gone := ended() // before the question: what answers it may be the last word of a process that ends
		err := c.Call(ctx, http.MethodGet, forShop("/readyz", o.shop))
		switch {
		case gone:
			return fmt.Errorf("process %d has ended, and what it has printed says why", o.pid)
		case err == nil:
			return nil
		case silent && time.Since(begun) > quietly:
			silent = false
			fmt.Fprintf(w.err, "evergate: not ready yet: %v\n", err)
		}
		if clock.Sleep(ctx, probeEvery) == nil {
			continue
		}
		if signalled.Err() == nil {
			return fmt.Errorf("not ready after %s: %w", o.timeout, err)
		}
		return errors.New("interrupted: the sidecar was not ready yet")
	}
}

// unlessInterrupted is err, of a call that a signal has ended if signalled is done.
func unlessInterrupted(signalled context.Context, err error) error {
	if err != nil && signalled.Err() != nil {
		return errors.New("interrupted before the sidecar had answered")
	}
	return err
}

func quit() action {
	return action{
		run: func(w env) error {
			c, err := newClientReading(withoutFiles(w.environ, adminKeyFile))
			if err != nil {
				return err
			}
			ctx, cancel := w.untilSignal()
			defer cancel()
			return unlessInterrupted(ctx, c.Call(ctx, http.MethodPost, "/-/quit"))
		},
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"evergate/internal/config"
	"evergate/internal/listen"
	"evergate/internal/shopsim"
	"evergate/internal/sidecar"
	"evergate/internal/trust"
)

const (
	demoTokenLife = 60 * time.Second
	demoProducts  = 7
)

// demo runs the simulator and the sidecar in front of it in one process. It reads no
// account and nothing of the environment but where to listen, how to log, and who may do what.
func demo() action {
	return action{
		run: steadily(func(w env) error {
			sim := shopsim.New(shopsim.Options{
				Shops:    []shopsim.Shop{{Domain: shopsim.DefaultShop, Products: demoProducts}},
				Apps:     []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes}},
				Settings: shopsim.Settings{TokenLife: demoTokenLife},
			})
			shopify, err := sim.Start("127.0.0.1:0")
			if err != nil {
				return err
			}
			defer shopify.Close()

			cfg, err := sidecar.Load(demoEnviron(w.environ, shopify.URL), func(c *config.Config) error {
				c.Roots, _ = trust.FromPEM(shopify.CAPEM)
				return nil
			})
			if err != nil {
				return reportConfig(cfg.Config, err, w.err, sidecar.FormatText)
			}
			log := sidecar.NewLogger(cfg.Config, w.err, sidecar.FormatText, w.environ)
			hide(log.Logger)
			c, err := sidecar.OpenInstallation(cfg.Config, nil, build())
			if err != nil {
				return err
			}
			s, err := sidecar.New(c, cfg, log, config.Getenv(w.environ))
			if err != nil {
				return err
			}
			taken, err := listenSomewhere(s, w.environ)
			if err != nil {
				return err
			}
			s.LogListeners()
			narrateTokens(w.out, sim)
			introduce(w.out, s, taken, cfg.Config)
			begin, force := w.stopSignals(log.Logger, s.Reread)
			if err := s.Serve(begin, force); err != nil {
				return err
			}
			fmt.Fprintln(w.out, "\nThe demo has ended. The README says how to use your own shop.")
			return nil
		}),
	}
}

// demoEnviron keeps the few settings that make sense in a demo.
func demoEnviron(environ []string, upstream string) []string {
	out := []string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop,
		"SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID,
		"SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + upstream,
		"EVERGATE_CA_DIR=memory:",
	}
	for _, e := range environ {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "EVERGATE_LISTEN", "EVERGATE_ADMIN_LISTEN", "EVERGATE_LOG_LEVEL", "EVERGATE_LOG_FORMAT", "EVERGATE_ACCESS_LOG",
			"EVERGATE_POLICY", "EVERGATE_POLICY_FILE", "EVERGATE_SOCKET_PEERS", "EVERGATE_CLIENT_KEYS_FILE", "EVERGATE_ALLOWED_HOSTS", "EVERGATE_TRUSTED_PROXIES",
			"EVERGATE_TLS_CERT_FILE", "EVERGATE_TLS_KEY_FILE", "EVERGATE_TLS_CLIENT_CA_FILE", "EVERGATE_CA_DIR":
			out = append(out, e)
		}
	}
	return withDefaults(out, "EVERGATE_LOG_LEVEL=warn")
}

// listenSomewhere takes free ports when the usual ones are taken and nobody asked for them. It reports why, then.
func listenSomewhere(s *sidecar.Sidecar, environ []string) (taken, _ error) {
	err := s.Listen(context.Background())
	asked := withDefaults(environ, "EVERGATE_LISTEN=", "EVERGATE_ADMIN_LISTEN=")
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) || len(asked) != len(environ)+2 {
		return nil, err
	}
	free := listen.Address{Network: "tcp", Address: "127.0.0.1:0"}
	return err, s.ListenOn(context.Background(), []listen.Address{free}, free)
}

// narrateTokens prints a line at each token that the simulated Shopify hands out.
func narrateTokens(out io.Writer, sim *shopsim.Sim) {
	var count atomic.Int64
	sim.OnToken(func(e shopsim.TokenEvent) {
		what := "token renewed"
		if count.Add(1) == 1 {
			what = "first token obtained"
		}
		fmt.Fprintf(out, "%s  %s (number %d); it lives for %s\n", e.Time.Format(time.TimeOnly), what, count.Load(), e.Life)
	})
}

func introduce(out io.Writer, s *sidecar.Sidecar, taken error, c *config.Config) {
	if taken != nil {
		fmt.Fprint(out, "NOT THE USUAL PORTS: another program has 8080 or 9090.\nUse the addresses below, not those of the documentation.\n\n")
	}
	may := ""
	if c.Policy != "full" {
		may = "What tools may do: " + c.Policy + " (EVERGATE_POLICY). Calls that may not be are refused here.\n"
	}
	fmt.Fprintf(out, `A simulated Shopify and Evergate in front of it are running. Tokens live for %s here,
so one is renewed about every 45 seconds. Call as a tool that knows of no token would:

  curl %[2]s/admin/api/2026-10/shop.json
  curl -i '%[2]s/admin/api/2026-10/products.json?limit=3'
  curl %[2]s/admin/api/2026-10/graphql.json -H 'Content-Type: application/json' -d '{"query":"{ shop { name } }"}'
  curl %[2]s/admin/api/2026-10/products.json -H 'Content-Type: application/json' -d '{"product":{"title":"Lamp"}}'

%[4]sWatch it:  %[3]s/  and  curl %[3]s/metrics
Ctrl-C ends it.

`, demoTokenLife, s.URL(), s.AdminURL(), may)
}

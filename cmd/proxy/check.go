package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"evergate/internal/access"
	"evergate/internal/check"
	"evergate/internal/config"
	"evergate/internal/listen"
	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

// checkup is what `check` knows of this environment. After a mistake some of it is missing.
type checkup struct {
	environ      []string
	cfg          *config.Config
	settings     sidecar.Settings
	app          *sidecar.App // of a fleet; nil as the installation is
	access       *access.Access
	mistakes     []error
	installation *sidecar.Installation // nil if there are mistakes or the store cannot be opened
	storeErr     error
	noRefresh    bool
	shop         string // as --shop names it

	token token.Secret // what the grant's check obtained
}

// checkCommand says what is right and wrong with this configuration.
func checkCommand() action {
	asJSON, c := false, &checkup{}
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&c.shop, "shop", "", "check this `shop` of EVERGATE_SHOPS_FILE, and not what all of them share")
			fs.BoolVar(&asJSON, "json", false, "print an array of {name, status, message, remedy}")
			fs.BoolVar(&c.noRefresh, "no-refresh", false, "do not renew a stored grant whose access token has expired")
		},
		run: func(w env) error {
			c.environ = w.environ
			c.prepare()
			ctx, stop := w.untilSignal()
			defer stop()
			tell, end := check.Gather(func(r check.Result) {
				fmt.Fprintln(w.out, r.Line(colourOfStatus(w.colours(), r.Status)(string(r.Status))))
			})
			if asJSON {
				tell = func(check.Result) {}
			}
			results := check.Run(ctx, c.checks(), tell)
			end()
			if asJSON {
				e := json.NewEncoder(w.out)
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				if err := e.Encode(results); err != nil {
					return err
				}
			}
			if c.cfg.Shop.IsZero() && !c.isFleet() && os.Geteuid() == 0 {
				hintAtService(w.err, serviceExec)
			}
			switch {
			case len(c.mistakes) > 0:
				return &exitError{exitConfig, nil}
			case check.Failed(results) || ctx.Err() != nil:
				return &exitError{exitFailure, nil}
			}
			return nil
		},
	}
}

// serviceExec is the package's program that runs a command with the service's settings.
const serviceExec = "/usr/sbin/evergate-exec"

// hintAtService tells root, whose environment has no shop, of the service's, which the package has put elsewhere.
func hintAtService(err io.Writer, program string) {
	if _, missing := os.Stat(program); missing == nil {
		fmt.Fprintln(err, "evergate: this looked at your own environment; the service's settings and secrets are checked by `evergate-exec check`")
	}
}

func colourOfStatus(c colours, s check.Status) func(string) string {
	switch s {
	case check.OK:
		return c.green
	case check.Warn:
		return c.yellow
	case check.Fail:
		return c.red
	}
	return c.faint
}

// prepare reads the settings and opens the store. What is wrong becomes a result.
func (c *checkup) prepare() {
	settings, err := sidecar.Load(c.environ)
	cfg := settings.Config
	c.cfg, c.access, c.settings = cfg, settings.Access, settings
	if err == nil {
		_, err = sidecar.StoreKeys(cfg)
	}
	if err != nil {
		c.mistakes = remedy.All(err)
		return
	}
	if c.shop != "" {
		c.prepareShop()
		return
	}
	if c.isFleet() {
		c.app, c.storeErr = sidecar.OpenShops(settings, c.environ, build())
		return
	}
	if c.installation, c.storeErr = sidecar.OpenInstallation(cfg, c.environ, build()); c.storeErr == nil {
		c.cfg = c.installation.Config
	}
}

// prepareShop is prepare for the shop that is named.
func (c *checkup) prepareShop() {
	shop, err := c.settings.Named(c.shop)
	if err != nil {
		c.mistakes = remedy.All(err)
		return
	}
	if c.installation, c.storeErr = sidecar.OpenShop(c.settings, shop, false, c.environ, build()); c.storeErr == nil {
		c.cfg = c.installation.Config
		return
	}
	own := *c.cfg
	own.Shop, own.Base = shop, c.cfg.BaseOf(shop)
	c.cfg = &own
}

// checks is the list. After a mistake in the settings it ends where nothing more can be known.
func (c *checkup) checks() []check.Check {
	list := []check.Check{check.Configuration(c.mistakes, c.cfg.Warnings, c.summary()), check.SecretFiles(c.secretFiles()), check.Access(c.access), check.LocalCA(sidecar.OpenCA(c.cfg, c.environ), sidecar.NeedsCA(c.cfg)), check.Limits(sidecar.LimitsOf(c.cfg))}
	switch {
	case len(c.mistakes) > 0:
	case c.isFleet():
		list = append(list, check.Grants(c.place()))
	default:
		list = append(list, check.Stored(c.store()))
	}
	if addresses := c.addresses(); len(addresses) > 0 {
		list = append(list, check.Listeners(addresses, c.sidecarAnswers))
	}
	if c.isFleet() && len(c.mistakes) == 0 {
		return append(list, c.fleetWay()...)
	}
	if c.cfg.Shop.IsZero() || c.cfg.Base == nil {
		return list
	}
	transport := sidecar.NewTransport(c.cfg)
	sidecar.AvoidLoop(transport, c.addresses())
	s := &check.Shopify{
		API:    &shopify.Client{Shop: c.cfg.Shop, Base: c.cfg.Base, Transport: transport, UserAgent: build().UserAgent(), Remedies: c.cfg.Remedies(c.cfg.Shop)},
		Wanted: c.cfg.Scopes, NewScopes: newScopes(c.cfg), Token: func() token.Secret { return c.token },
	}
	via, err := transport.Via()
	way := check.Way{Base: c.cfg.Base, Roots: c.cfg.Roots.All(), Via: via.Name(), Err: err, Connect: transport.Connect, LookUp: transport.LookUp, Loop: transport.CheckLoop}
	return append(list,
		check.DNS(way), check.Connection(way), s.Shop(), s.Clock(),
		check.Check{Name: "grant", Needs: []string{"configuration", "store", "shop"}, Run: c.grant}, s.Scopes(), s.Version())
}

func (c *checkup) summary() string {
	if c.isFleet() {
		return c.fleet()
	}
	text := fmt.Sprintf("%s, with %s", c.cfg.Shop, config.GrantInWords(c.cfg.Grant))
	if others := c.fleet(); others != "" {
		text += "; and " + others
	}
	return text
}

// secretFiles are the files that the environment names, and systemd's credentials.
func (c *checkup) secretFiles() (files []check.File) {
	getenv := config.Getenv(c.environ)
	for _, name := range append(config.SecretNames(), "EVERGATE_TLS_KEY_FILE") {
		setting, isFile := strings.CutSuffix(name, "_FILE")
		if !isFile {
			continue
		}
		if path := getenv(name); path != "" {
			files = append(files, check.File{Setting: name, Path: path})
		} else if path := c.cfg.File(setting); path != "" {
			files = append(files, check.File{Setting: setting + ", a credential", Path: path})
		}
	}
	return files
}

func (c *checkup) store() check.Store {
	if c.storeErr != nil {
		return check.Store{Err: c.storeErr}
	}
	if c.installation.Store == nil {
		return check.Store{}
	}
	s := check.Store{
		Where: c.installation.RecordPlace(), Volatile: c.installation.IsVolatile(), Lease: c.installation.Store.Lease,
		Find: c.installation.Backend.Check,
	}
	s.Load = func(ctx context.Context) error { _, _, err := c.installation.Store.Load(ctx); return err }
	if dir := c.installation.StoreDir(); dir != "" {
		s.Dir, s.Record = dir, filepath.Join(dir, c.cfg.Shop.Domain()+".json")
	}
	return s
}

func (c *checkup) addresses() []listen.Address {
	addresses := slices.Clone(c.cfg.Listeners)
	if c.settings.Shops != nil {
		for _, s := range c.settings.Shops.Shops {
			addresses = append(addresses, s.Listen...)
		}
	}
	if c.cfg.Admin.Network != "" {
		addresses = append(addresses, c.cfg.Admin)
	}
	return addresses
}

// sidecarAnswers asks the sidecar of this environment whether it lives.
func (c *checkup) sidecarAnswers(ctx context.Context) error {
	if strings.HasSuffix(c.cfg.Admin.Address, ":0") {
		return errors.New("nobody knows its port")
	}
	client, err := newAdminClient(c.environ)
	if err != nil {
		return err
	}
	return client.Call(ctx, http.MethodGet, "/livez")
}

// newScopes says how a token of this grant gets scopes that it lacks.
func newScopes(cfg *config.Config) string {
	switch cfg.Grant {
	case config.GrantClientCredentials:
		return "add them to a new version of the app in the Dev Dashboard, release it, and approve it on the store"
	case config.GrantOffline:
		return "log in again with " + cfg.Remedies(cfg.Shop).Command("login") + ", which asks for what SHOPIFY_SCOPES names"
	case config.GrantStatic:
		return "add them to the custom app in the store's admin, under Settings > Apps"
	}
	return "" // config.Load lets no other grant through
}

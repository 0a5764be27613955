package main

import (
	"errors"
	"flag"
	"fmt"

	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

func tokenCommands() []command {
	return []command{
		{name: "show", args: "[--shop SHOP] [--reveal] [--json]", summary: "say how the stored grant stands", new: tokenShow,
			examples: []string{"evergate token show", "evergate token show --json"}},
		{name: "print", args: "[--shop SHOP]", summary: "print an access token that works, for a tool that can only take one", new: tokenPrint,
			examples: []string{`TOKEN=$(evergate token print)`}},
		{name: "import", args: "[--shop SHOP] [--refresh|--access] [--no-verify] [--yes]", summary: "put a token that you have into the store", new: tokenImport,
			examples: []string{"evergate token import < /run/secrets/refresh_token"}},
		{name: "migrate", args: "[--yes] [--shop SHOP|--all] […]", summary: "exchange a permanent token for one that expires; cannot be undone", new: tokenMigrate,
			examples: []string{"evergate token migrate", "evergate token migrate --all --dry-run"}},
		{name: "revoke", args: "[--shop SHOP] [--yes]", summary: "uninstall the app from the shop, which ends all its tokens there", new: tokenRevoke,
			examples: []string{"evergate token revoke"}},
	}
}

// tokenCommand says which commands there are about the stored grant.
func tokenCommand() action {
	return action{run: func(env) error {
		return configError(errors.New("token needs one of show, print, import, migrate and revoke; `evergate help token` tells what they do"))
	}}
}

// shopFlag lets a command say which shop it means.
func shopFlag(fs *flag.FlagSet, name *string) {
	fs.StringVar(name, "shop", "", "the `shop` that is meant; needed where EVERGATE_SHOPS_FILE leaves a choice")
}

// openGrant connects for a command about the stored grant of a shop, and reports mistakes as a list.
func openGrant(w env, environ []string, shopName string) (*sidecar.Installation, error) {
	return openShop(w, environ, shopName, false)
}

func openShop(w env, environ []string, shopName string, offline bool) (*sidecar.Installation, error) {
	settings, err := sidecar.Load(environ)
	cfg := settings.Config
	if err != nil {
		return nil, reportConfig(cfg, err, w.err, sidecar.FormatText)
	}
	shop, err := settings.Named(shopName)
	if err != nil {
		return nil, err
	}
	c, err := sidecar.OpenShop(settings, shop, offline, environ, build())
	if err != nil {
		return nil, err
	}
	for _, warning := range c.Config.Warnings {
		fmt.Fprintln(w.err, "evergate: warning:", warning)
	}
	return c, nil
}

// openOffline connects for a command that makes an offline grant, whatever the sidecar is
// told to use now.
func openOffline(w env, shopName string) (*sidecar.Installation, error) {
	environ := w.environ
	if meansOwnShop(environ, shopName) {
		environ = append(withDefaults(environ), "EVERGATE_GRANT="+config.GrantOffline)
	}
	c, err := openShop(w, environ, shopName, true)
	if err != nil {
		return nil, err
	}
	if c.IsVolatile() {
		return nil, configError(errors.New("EVERGATE_STORE=memory: ends with this command: set EVERGATE_STORE=file:DIR, as for the sidecar"))
	}
	return c, nil
}

// meansOwnShop reports whether a name is that of the settings' own shop, whose grant EVERGATE_GRANT says.
func meansOwnShop(environ []string, name string) bool {
	cfg, _ := config.Parse(environ) // mistakes are reported by whoever loads it
	if cfg == nil || cfg.ShopsFile == "" {
		return true
	}
	own, err := token.ParseShop(cfg.ShopName)
	if err != nil {
		return false
	}
	named, err := token.ParseShop(name)
	return name == "" || err == nil && named == own
}

// adminOf is what a command does with the stored grant of a connection.
func adminOf(c *sidecar.Installation) *grantadmin.Admin {
	return &grantadmin.Admin{Shop: c.Shop, ClientID: c.ClientID(), Store: c.Store, Endpoint: c.Endpoint, API: c.API(), Remedies: c.Remedies()}
}

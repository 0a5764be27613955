package main

import (
	"errors"
	"fmt"

	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/sidecar"
)

func tokenCommands() []command {
	return []command{
		{name: "show", args: "[--reveal] [--json]", summary: "say how the stored grant stands", new: tokenShow,
			examples: []string{"evergate token show", "evergate token show --json"}},
		{name: "print", summary: "print an access token that works, for a tool that can only take one", new: tokenPrint,
			examples: []string{`TOKEN=$(evergate token print)`}},
		{name: "import", args: "[--refresh|--access] [--no-verify] [--yes]", summary: "put a token that you have into the store", new: tokenImport,
			examples: []string{"evergate token import < /run/secrets/refresh_token"}},
		{name: "migrate", args: "[--yes]", summary: "exchange a permanent token for one that expires; cannot be undone", new: tokenMigrate,
			examples: []string{"evergate token migrate"}},
		{name: "revoke", args: "[--yes]", summary: "uninstall the app from the shop, which ends all its tokens there", new: tokenRevoke,
			examples: []string{"evergate token revoke"}},
	}
}

// tokenCommand says which commands there are about the stored grant.
func tokenCommand() action {
	return action{run: func(env) error {
		return configError(errors.New("token needs one of show, print, import, migrate and revoke; `evergate help token` tells what they do"))
	}}
}

// openGrant connects for a command about the stored grant, and reports mistakes as a list.
func openGrant(w env, environ []string) (*sidecar.Installation, error) {
	settings, err := sidecar.Load(environ)
	cfg := settings.Config
	if err != nil {
		return nil, reportConfig(cfg, err, w.err, sidecar.FormatText)
	}
	c, err := sidecar.OpenInstallation(cfg, environ, build())
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
func openOffline(w env) (*sidecar.Installation, error) {
	c, err := openGrant(w, append(withDefaults(w.environ), "EVERGATE_GRANT="+config.GrantOffline))
	if err != nil {
		return nil, err
	}
	if c.IsVolatile() {
		return nil, configError(errors.New("EVERGATE_STORE=memory: ends with this command: set EVERGATE_STORE=file:DIR, as for the sidecar"))
	}
	return c, nil
}

// adminOf is what a command does with the stored grant of a connection.
func adminOf(c *sidecar.Installation) *grantadmin.Admin {
	return &grantadmin.Admin{Shop: c.Shop, ClientID: c.ClientID(), Store: c.Store, Endpoint: c.Endpoint, API: c.API()}
}

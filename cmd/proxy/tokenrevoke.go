package main

import (
	"flag"
	"fmt"

	"evergate/internal/config"
)

// tokenRevoke uninstalls the app from the shop. There is no way to end one token alone.
func tokenRevoke() action {
	yes, shop := false, ""
	return action{
		flags: func(fs *flag.FlagSet) {
			shopFlag(fs, &shop)
			fs.BoolVar(&yes, "yes", false, "do not ask")
		},
		run: func(w env) error {
			c, err := openGrant(w, w.environ, shop)
			if err != nil {
				return err
			}
			app := "the app that SHOPIFY_ACCESS_TOKEN is of"
			if c.Grant != config.GrantStatic {
				app = "the app " + c.ClientID()
			}
			if err := w.prompter().confirm(yes, fmt.Sprintf(`This uninstalls %s from %s. Every token that the app has there ends at once,
also those of other programs that use the same app, and refresh tokens with them. What else
the app did for the shop (webhooks, for example) ends as well. To use the app again, someone
must install it and authorise it anew.`, app, c.Shop), "Uninstall it?"); err != nil {
				return err
			}
			if err := w.finish("the uninstallation", func() error { return adminOf(c).Uninstall(c.TokenOnce) }); err != nil {
				return err
			}
			fmt.Fprintf(w.out, "The app is uninstalled from %s, and its tokens there have ended.\n", c.Shop)
			return nil
		},
	}
}

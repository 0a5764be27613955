package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"evergate/internal/adminapi"
	"evergate/internal/config"
	"evergate/internal/sidecar"
	"evergate/internal/store"
	"evergate/internal/token"
)

const uninstallLimit = 60 * time.Second

// tokenRevoke uninstalls the app from the shop. There is no way to end one token alone.
func tokenRevoke(w world) error {
	yes := false
	if err := parseFlags(w, "token revoke", func(fs *flag.FlagSet) {
		fs.BoolVar(&yes, "yes", false, "do not ask")
	}); err != nil {
		return err
	}
	c, err := openGrant(w, w.environ)
	if err != nil {
		return err
	}
	app := "the app that SHOPIFY_ACCESS_TOKEN is of"
	if c.Config.Grant != config.GrantStatic {
		app = "the app " + c.ClientID()
	}
	if err := w.person().confirm(yes, fmt.Sprintf(`This uninstalls %s from %s. Every token that the app has there ends at once,
also those of other programs that use the same app, and refresh tokens with them. What else
the app did for the shop (webhooks, for example) ends as well. To use the app again, someone
must install it and authorise it anew.`, app, c.Config.Shop), "Uninstall it?"); err != nil {
		return err
	}
	if err := w.finish("the uninstallation", func() error { return uninstall(c) }); err != nil {
		return err
	}
	fmt.Fprintf(w.out, "The app is uninstalled from %s, and its tokens there have ended.\n", c.Config.Shop)
	return nil
}

// uninstall obtains a token, as the sidecar does, ends the app with it, and notes in the
// stored grant that a person must authorise anew. Nothing stored is deleted.
func uninstall(c *sidecar.Connection) error {
	t, err := c.TokenOnce(context.Background())
	if err != nil {
		return fmt.Errorf("nothing was changed, because there is no token to uninstall the app with: %w; it can be uninstalled in the shop's admin", err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), uninstallLimit, fmt.Errorf("no answer within %s", uninstallLimit))
	defer cancel()
	var refusal *adminapi.Refusal
	switch err := c.API().Uninstall(ctx, t.Access); {
	case errors.Is(err, adminapi.ErrToken):
		return fmt.Errorf("nothing was changed: %s does not accept the token, so the app may be uninstalled already: look in the shop's admin, under Settings > Apps", c.Config.Shop)
	case errors.As(err, &refusal):
		return fmt.Errorf("nothing was changed: %w", err)
	case err != nil:
		return fmt.Errorf("whether the app is uninstalled is not known: %w; look in the shop's admin, under Settings > Apps", err)
	}
	if c.Store == nil {
		return nil
	}
	if err := noteRevoked(c); err != nil {
		return fmt.Errorf("the app is uninstalled from %s, but the stored grant could not be marked: %w", c.Config.Shop, err)
	}
	return nil
}

var errNothingToMark = errors.New("nothing to mark")

func noteRevoked(c *sidecar.Connection) error {
	ctx, cancel := context.WithTimeout(context.Background(), replaceWait)
	defer cancel()
	err := store.Replace(ctx, c.Store, func(r token.Record) (token.Record, error) {
		if r.Grant != config.GrantOffline {
			return r, errNothingToMark // a grant that can ask again says by itself that the app is not installed
		}
		r.Reauthorize = &token.Reauthorize{Since: time.Now().Round(0), Reason: "the app was uninstalled with `evergate token revoke`"}
		return r, nil
	})
	if errors.Is(err, errNothingToMark) {
		return nil
	}
	return err
}

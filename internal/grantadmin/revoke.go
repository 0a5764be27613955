package grantadmin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"evergate/internal/config"
	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/store"
	"evergate/internal/token"
)

const uninstallLimit = 60 * time.Second

// Uninstall ends the app on the shop with the token that obtain returns, and notes in the
// stored grant that a person must authorise anew. Nothing stored is deleted.
func (a *Admin) Uninstall(obtain func(context.Context) (token.Token, error)) error {
	t, err := obtain(context.Background())
	if err != nil {
		return fmt.Errorf("nothing was changed, because there is no token to uninstall the app with: %w; it can be uninstalled in the shop's admin", err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), uninstallLimit, fmt.Errorf("no answer within %s", uninstallLimit))
	defer cancel()
	var answered *shopify.CallError
	switch err := a.API.Uninstall(ctx, t.Access); {
	case errors.Is(err, shopify.ErrToken):
		return remedy.New("look in the shop's admin, under Settings > Apps", "nothing was changed: %s does not accept the token, so the app may be uninstalled already", a.Shop)
	case errors.As(err, &answered):
		return fmt.Errorf("nothing was changed: %w", err)
	case err != nil:
		return fmt.Errorf("whether the app is uninstalled is not known: %w; look in the shop's admin, under Settings > Apps", err)
	}
	if a.Store == nil {
		return nil
	}
	if err := a.noteRevoked(); err != nil {
		return fmt.Errorf("the app is uninstalled from %s, but the stored grant could not be marked: %w", a.Shop, err)
	}
	return nil
}

var errNothingToMark = errors.New("nothing to mark")

func (a *Admin) noteRevoked() error {
	ctx, cancel := context.WithTimeout(context.Background(), replaceWait)
	defer cancel()
	err := store.Replace(ctx, a.Store, func(r token.Record) (token.Record, error) {
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

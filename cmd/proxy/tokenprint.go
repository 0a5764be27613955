package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"evergate/internal/sidecar"
)

// tokenPrintLimit bounds the wait for a token, lock of the store included.
const tokenPrintLimit = 30 * time.Second

// tokenPrint prints an access token that works now: the stored one while it has time left, else another one, by
// the same rules as the sidecar's, so that the two may run side by side.
func tokenPrint() action {
	shop := ""
	return action{flags: func(fs *flag.FlagSet) { shopFlag(fs, &shop) }, run: func(w env) error {
		c, err := openGrant(w, w.environ, shop)
		if err != nil {
			return err
		}
		ctx, stop := context.WithTimeout(context.Background(), tokenPrintLimit)
		defer stop()
		t, err := c.TokenOnce(ctx)
		if err != nil {
			return fmt.Errorf("there is no token to print: %w", err)
		}
		if sidecar.IsTerminal(w.out) {
			fmt.Fprintln(w.err, "evergate: warning: this is a live credential: whoever reads it acts as your app on the shop")
		}
		if t.Expires() {
			fmt.Fprintf(w.err, "evergate: it is good until %s\n", t.Issued.Add(t.Life).Format(time.RFC3339))
		}
		_, err = fmt.Fprintln(w.out, t.Access.Reveal())
		return err
	}}
}

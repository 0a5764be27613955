package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"evergate/internal/localca"
	"evergate/internal/truststore"
)

// caUninstall takes every root of ours out of what this machine trusts.
func caUninstall() action {
	yes, purge := false, false
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&yes, "yes", false, "do not ask")
			fs.BoolVar(&purge, "purge", false, "also remove the authority itself, with its key")
		},
		run: func(w env) error {
			explanation := "This ends the trust of this machine in every local CA of Evergate, also in those of its other users. Programs that were given\na file with the certificate keep it."
			if purge {
				explanation += " The authority of this environment and its key are removed; a sidecar that runs makes another one."
			}
			if err := w.prompter().confirm(yes, explanation, "End it?"); err != nil {
				return err
			}
			err := eachStore(w, w.machine(), func(ctx context.Context, s truststore.Store) (string, error) {
				removed, err := s.Uninstall(ctx, localca.RootName+" ")
				if len(removed) == 0 {
					return "there is none", err
				}
				return "removed " + strings.Join(removed, ", "), err
			})
			if !purge {
				return err
			}
			return errors.Join(err, purgeCA(w))
		},
	}
}

func purgeCA(w env) error {
	ca, err := openCA(w)
	if err != nil {
		return err
	}
	place, err := ca.Remove()
	if err == nil && place != "" {
		fmt.Fprintf(w.out, "%s: removed\n", place)
	}
	return err
}

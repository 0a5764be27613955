package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"

	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/remedy"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

// copying is what `store copy` was told.
type copying struct {
	to, layout string
	overwrite  bool
}

func storeCopy() action {
	var c copying
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&c.to, "to", "", "the other `store`, as in EVERGATE_STORE; with EVERGATE_STORE_KEY")
			fs.StringVar(&c.layout, "to-layout", "", "the `layout` of the other store, as in EVERGATE_STORE_LAYOUT: whose table it is in PostgreSQL; without it one of Evergate's own")
			fs.BoolVar(&c.overwrite, "overwrite", false, overwriteHelp)
		},
		run: func(w env) error {
			if err := c.check(w); err != nil {
				return err
			}
			return withSource(w, func(ctx context.Context, from sidecar.Place) error { return c.run(ctx, w, from) })
		},
	}
}

func (c copying) target() config.Choice {
	return config.Choice{Store: c.to, Layout: c.layout, By: "--to", LayoutBy: "--to-layout"}
}

// check says what is missing. A layout that can only be meant for the other store is not taken for it in silence.
func (c copying) check(w env) error {
	if c.to == "" {
		return configError(errors.New("which store? give it with --to, for example --to redis://localhost"))
	}
	cfg, _ := config.Parse(w.environ) // mistakes are reported by whoever opens it
	if cfg == nil || c.layout != "" || cfg.StoreChoice().CheckLayout() == nil {
		return nil
	}
	meant := c.target()
	if meant.Layout = cfg.StoreLayout; meant.CheckLayout() != nil {
		return nil
	}
	return configError(remedy.New("unset it, and add --to-layout "+cfg.StoreLayout+" if --to has it",
		"EVERGATE_STORE_LAYOUT=%s is that of the store that is copied, which is no database of PostgreSQL", cfg.StoreLayout))
}

func (c copying) run(ctx context.Context, w env, from sidecar.Place) error {
	chosen := c.target()
	to, err := openPlace(w, &chosen)
	if err != nil {
		return err
	}
	defer to.Close()
	if to.Is(from) {
		return configError(remedy.New("give another one, or another layout of it with --to-layout", "--to names the store that is copied, %s", from))
	}
	if err := lookAtTarget(ctx, w, to); err != nil {
		return err
	}
	t := w.tally()
	if err := t.sum(to, grantadmin.Copy(ctx, from, t.into(to, c.overwrite))); err != nil {
		if _, silent := errors.AsType[*exitError](err); silent {
			fmt.Fprintln(w.err, "Let every sidecar stay with the store it has: see to what is said above, then run the same command again.")
		}
		return err
	}
	if len(t.counts) == 0 {
		adviseEmpty(w, from)
		return nil
	}
	fmt.Fprintf(w.err, "From now on one of the two stores may be used, not both: of each chain there may be one. Have every sidecar use %s, and run this once more when the last one does.\n", settingsFor(to, from))
	return nil
}

// lookAtTarget fails before the first grant where none could be carried, or would be lost.
func lookAtTarget(ctx context.Context, w env, to sidecar.Place) error {
	found := to.Check(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, f := range found {
		if f.Loses {
			return remedy.New(cmp.Or(f.Do, "see to it, then run the same command again"), "nothing was carried into %s: %s", to, f.Text)
		}
	}
	for _, f := range found {
		printFindings(w.err, []storeFinding{{Text: f.Text, Do: f.Do}})
	}
	return nil
}

// settingsFor says what a sidecar needs to use a store in place of another.
func settingsFor(to, from sidecar.Place) string {
	switch {
	case to.Layout != "":
		return to.Where + " with EVERGATE_STORE_LAYOUT=" + to.Layout
	case from.Layout != "":
		return to.Where + " without EVERGATE_STORE_LAYOUT"
	}
	return to.Where
}

var _ token.Backend = sidecar.Place{}

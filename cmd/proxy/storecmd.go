package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"evergate/internal/brief"
	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/remedy"
	"evergate/internal/sidecar"
)

func storeCommands() []command {
	return []command{
		{name: "list", args: "[--json]", summary: "list the grants that are stored, without their secrets", new: storeList,
			examples: []string{"evergate store list", "evergate store list --json"}},
		{name: "check", args: "[--json]", summary: "say what is wrong with the store, and which grants are dead or about to be", new: storeCheck,
			examples: []string{"evergate store check"}},
		{name: "export", args: "[--file FILE]", summary: "write every grant into an archive, encrypted with EVERGATE_STORE_KEY", new: storeExport,
			examples: []string{"evergate store export --file grants.archive"}},
		{name: "import", args: "[--file FILE] [--overwrite]", summary: "carry the grants of an archive into the store", new: storeImport,
			examples: []string{"evergate store import --file grants.archive"}},
		{name: "copy", args: "--to STORE [--to-layout LAYOUT] [--overwrite]", summary: "carry every grant into another store", new: storeCopy,
			examples: []string{"evergate store copy --to postgres://localhost/evergate", "evergate store copy --to postgres://localhost/app --to-layout prisma"}},
	}
}

// storeCommand says which commands there are about the place where grants rest.
func storeCommand() action {
	return action{run: func(env) error {
		return configError(errors.New("store needs one of list, check, export, import and copy; `evergate help store` tells what they do"))
	}}
}

// openPlace opens the store of this environment, or another one.
func openPlace(w env, other *config.Choice) (sidecar.Place, error) {
	cfg, err := config.Parse(w.environ)
	if err != nil {
		return sidecar.Place{}, reportConfig(cfg, err, w.err, sidecar.FormatText)
	}
	chosen := cfg.StoreChoice()
	if other != nil {
		chosen = *other
	}
	return sidecar.OpenPlace(cfg, chosen, w.environ)
}

// withPlace does something with the store of this environment, until a signal ends it.
func withPlace(w env, do func(context.Context, sidecar.Place) error) error {
	p, err := openPlace(w, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, stop := w.untilSignal()
	defer stop()
	if err = do(ctx, p); err != nil && ctx.Err() != nil {
		return errors.New("interrupted: run the same command again for the rest")
	}
	return err
}

// withSource is withPlace for what reads there. One that is missing holds nothing because it is another that is meant.
func withSource(w env, do func(context.Context, sidecar.Place) error) error {
	return withPlace(w, func(ctx context.Context, p sidecar.Place) error {
		if err := p.Missing(); err != nil {
			return err
		}
		return do(ctx, p)
	})
}

// isTheOne is what to look at where a store is empty.
const isTheOne = "if there should be some, let EVERGATE_STORE and EVERGATE_STORE_LAYOUT name the store as they do for the sidecar"

// adviseEmpty says that there was nothing to read.
func adviseEmpty(w env, p sidecar.Place) {
	fmt.Fprintf(w.err, "No grant is stored in %s: %s.\n", p, isTheOne)
}

// listedGrant is a stored grant as `store list --json` prints it.
type listedGrant struct {
	grantadmin.State
	Epoch      string `json:"epoch,omitempty"`
	Generation uint64 `json:"generation,omitempty"`
	Writer     string `json:"writer,omitempty"`
	Error      string `json:"error,omitempty"` // why it cannot be read
}

// grants lists what is stored, in the order of names.
func grants(ctx context.Context, p sidecar.Place) ([]listedGrant, error) {
	var all []*listedGrant // pointers: sorting slices of structs takes 20 KiB of code for each kind of struct
	for listed, err := range p.All(ctx) {
		if listed.Domain == "" {
			return nil, fmt.Errorf("the store %s cannot be read: %w", p.Where, err)
		}
		if err == nil && listed.Record.IsNothing() {
			continue
		}
		g := &listedGrant{State: grantadmin.State{Shop: listed.Domain}}
		if err != nil {
			g.Error = err.Error()
		} else {
			g = &listedGrant{State: grantadmin.StateOf(listed.Record, time.Now()), Epoch: listed.Record.Epoch, Generation: listed.Record.Generation, Writer: listed.Record.Writer}
		}
		g.Store = p.Where
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *listedGrant) int { return strings.Compare(a.Shop, b.Shop) })
	return deref(all), nil
}

// deref is what the pointers point to.
func deref[T any](all []*T) []T {
	var values []T
	for _, p := range all {
		values = append(values, *p)
	}
	return values
}

// says is how it stands with a grant, in a few words.
func (g listedGrant) says() string {
	switch {
	case g.Error != "":
		return "cannot be read"
	case g.Reauthorize != nil:
		return "dead"
	default:
		return g.Says()
	}
}

func storeList() action {
	asJSON := false
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&asJSON, "json", false, "print an array, each with the fields of token show --json")
		},
		run: func(w env) error {
			return withSource(w, func(ctx context.Context, p sidecar.Place) error {
				all, err := grants(ctx, p)
				if err != nil {
					return err
				}
				if len(all) == 0 {
					adviseEmpty(w, p)
				}
				if asJSON {
					return printJSON(w.out, append([]listedGrant{}, all...))
				}
				return printGrants(w.out, all)
			})
		},
	}
}

func printGrants(to io.Writer, all []listedGrant) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SHOP\tGRANT\tTOKEN\tREFRESH TOKEN UNTIL\tWRITTEN BY")
	for _, g := range all {
		until := "-"
		if !g.RefreshTokenExpires.IsZero() {
			until = g.RefreshTokenExpires.UTC().Format(time.DateOnly)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", g.Shop, dash(g.Grant), g.says(), until, dash(g.Writer))
	}
	return t.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return brief.Text(s, 40)
}

func printJSON(to io.Writer, v any) error {
	e := json.NewEncoder(to)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// endsSoon is when the end of a refresh token is worth a warning: nobody has used the grant for two months and a half.
const endsSoon = 14 * 24 * time.Hour

// storeFinding is what `store check` says of the place or of one grant.
type storeFinding struct {
	Shop   string `json:"shop,omitempty"` // empty: it is of the place
	Failed bool   `json:"failed"`         // else it is advice
	Text   string `json:"text"`
	Do     string `json:"remedy,omitempty"`
}

func storeCheck() action {
	asJSON := false
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&asJSON, "json", false, "print an array of {shop, failed, text, remedy}")
		},
		run: func(w env) error {
			return withPlace(w, func(ctx context.Context, p sidecar.Place) error {
				found, n := examineStore(ctx, p)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if asJSON {
					if err := printJSON(w.out, append([]storeFinding{}, found...)); err != nil {
						return err
					}
				} else {
					printFindings(w.out, found)
					fmt.Fprintf(w.out, "%s in %s, %s\n", counted(float64(n), "grant"), p, counted(float64(len(found)), "finding"))
				}
				if slices.ContainsFunc(found, func(f storeFinding) bool { return f.Failed }) {
					return &exitError{code: exitFailure}
				}
				return nil
			})
		},
	}
}

func printFindings(to io.Writer, found []storeFinding) {
	for _, f := range found {
		mark := "advice"
		if f.Failed {
			mark = "FAILED"
		}
		fmt.Fprintf(to, "%s  %s\n", mark, strings.TrimSuffix(strings.TrimPrefix(f.Shop+": ", ": ")+f.Text+": "+f.Do, ": "))
	}
}

// examineStore looks at the place and at every grant in it.
func examineStore(ctx context.Context, p sidecar.Place) (found []storeFinding, n int) {
	if err := p.Missing(); err != nil {
		text, do := remedy.Split(err)
		return []storeFinding{{Failed: true, Text: text, Do: do}}, 0
	}
	for _, f := range p.Check(ctx) {
		found = append(found, storeFinding{Failed: f.Loses, Text: f.Text, Do: f.Do})
	}
	all, err := grants(ctx, p)
	if err != nil {
		return append(found, storeFinding{Failed: true, Text: err.Error()}), 0
	}
	if len(all) == 0 {
		found = append(found, storeFinding{Text: "no grant is stored", Do: isTheOne})
	}
	for _, g := range all {
		switch left := time.Until(g.RefreshTokenExpires); {
		case g.Error != "":
			text, do := remedy.Split(errors.New(g.Error))
			found = append(found, storeFinding{Shop: g.Shop, Failed: true, Text: text, Do: do})
		case g.Reauthorize != nil:
			found = append(found, storeFinding{Shop: g.Shop, Failed: true, Text: "the grant is dead since " + g.Reauthorize.Since.UTC().Format(time.DateOnly) + ": " + g.Reauthorize.Reason, Do: "have its merchant log in again"})
		case g.RefreshToken && !g.RefreshTokenExpires.IsZero() && left < endsSoon:
			found = append(found, storeFinding{Shop: g.Shop, Failed: left <= 0, Text: "the refresh token ends on " + g.RefreshTokenExpires.UTC().Format(time.DateOnly) + " because nobody renews it",
				Do: "see that a sidecar with this store is running"})
		}
	}
	return found, len(all)
}

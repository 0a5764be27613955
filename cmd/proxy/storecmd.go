package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"evergate/internal/brief"
	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/remedy"
	"evergate/internal/sidecar"
	"evergate/internal/token"
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
		{name: "copy", args: "--to STORE [--overwrite]", summary: "carry every grant into another store", new: storeCopy,
			examples: []string{"evergate store copy --to postgres://localhost/evergate"}},
	}
}

// storeCommand says which commands there are about the place where grants rest.
func storeCommand() action {
	return action{run: func(env) error {
		return configError(errors.New("store needs one of list, check, export, import and copy; `evergate help store` tells what they do"))
	}}
}

// openPlace opens the store of this environment, or another one.
func openPlace(w env, spec string) (sidecar.Place, error) {
	cfg, err := config.Parse(w.environ)
	if err != nil {
		return sidecar.Place{}, reportConfig(cfg, err, w.err, sidecar.FormatText)
	}
	return sidecar.OpenPlace(cfg, spec, w.environ)
}

// withPlace does something with the store of this environment, until a signal ends it.
func withPlace(w env, do func(context.Context, sidecar.Place) error) error {
	p, err := openPlace(w, "")
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, stop := w.untilSignal()
	defer stop()
	return do(ctx, p)
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
			fs.BoolVar(&asJSON, "json", false, "print an array, each with the fields of `token show --json`")
		},
		run: func(w env) error {
			return withPlace(w, func(ctx context.Context, p sidecar.Place) error {
				all, err := grants(ctx, p)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(w.out, all)
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
				if asJSON {
					if err := printJSON(w.out, append([]storeFinding{}, found...)); err != nil {
						return err
					}
				} else {
					printFindings(w.out, found)
					fmt.Fprintf(w.out, "%s in %s, %s\n", counted(float64(n), "grant"), p.Where, counted(float64(len(found)), "finding"))
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
	for _, f := range p.Check(ctx) {
		found = append(found, storeFinding{Failed: f.Loses, Text: f.Text, Do: f.Do})
	}
	all, err := grants(ctx, p)
	if err != nil {
		return append(found, storeFinding{Failed: true, Text: err.Error()}), 0
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

func storeExport() action {
	file := ""
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&file, "file", "", "write to this `file` (mode 0600; it must not exist) instead of standard output")
		},
		run: func(w env) error {
			if file == "" && sidecar.IsTerminal(w.out) {
				return configError(errors.New("an archive is not for a terminal: name a file with --file, or lead standard output into one"))
			}
			return withPlace(w, func(ctx context.Context, p sidecar.Place) error {
				n, err := 0, error(nil)
				if file == "" {
					n, err = grantadmin.Export(ctx, p, p.Keys, w.out)
				} else {
					n, err = exportTo(ctx, p, file)
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(w.err, "%d grants of %s are in the archive. Whoever has it and EVERGATE_STORE_KEY has these shops; a grant that is renewed after this is newer in the store.\n", n, p.Where)
				return nil
			})
		},
	}
}

// exportTo writes an archive into a new file. One that is not whole is removed.
func exportTo(ctx context.Context, p sidecar.Place, file string) (n int, err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = grantadmin.Export(ctx, p, p.Keys, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(file)
	}
	return n, err
}

// tally counts outcomes and says what did not go well.
type tally struct {
	w      env
	counts map[grantadmin.Outcome]int
}

func (t *tally) report(domain string, o grantadmin.Outcome, err error) {
	t.counts[o]++
	switch o {
	case grantadmin.Failed:
		fmt.Fprintf(t.w.err, "%s: %v\n", domain, err)
	case grantadmin.Different:
		fmt.Fprintf(t.w.err, "%s: another grant is there and was left alone; --overwrite replaces it\n", domain)
	}
}

// sum ends a command that has carried grants.
func (t *tally) sum(where string) error {
	fmt.Fprintf(t.w.out, "%d carried into %s and read back, %d there already, %d newer there, %d of another chain, %d failed\n",
		t.counts[grantadmin.Carried], where, t.counts[grantadmin.Same], t.counts[grantadmin.Kept], t.counts[grantadmin.Different], t.counts[grantadmin.Failed])
	if t.counts[grantadmin.Failed]+t.counts[grantadmin.Different] > 0 {
		return &exitError{code: exitFailure}
	}
	return nil
}

const overwriteHelp = "replace grants of another chain that are there; what they were is lost"

func storeImport() action {
	file, overwrite := "", false
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&file, "file", "", "read this `file` instead of standard input")
			fs.BoolVar(&overwrite, "overwrite", false, overwriteHelp)
		},
		run: func(w env) error {
			from := w.stdin
			if file != "" {
				f, err := os.Open(file)
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }() // it was only read
				from = f
			}
			return withPlace(w, func(ctx context.Context, p sidecar.Place) error {
				from := readUntil(ctx, from)
				defer func() { _ = from.Close() }() // it never fails
				t := &tally{w, map[grantadmin.Outcome]int{}}
				err := grantadmin.Import(ctx, from, p.Keys, p, overwrite, t.report)
				return errors.Join(err, t.sum(p.Where))
			})
		},
	}
}

// readUntil reads until ctx ends: nothing else ends a read of a terminal or a pipe, and no second signal would.
func readUntil(ctx context.Context, from io.Reader) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, from)
		_ = w.CloseWithError(err) // it never fails
	}()
	context.AfterFunc(ctx, func() { _ = r.CloseWithError(context.Cause(ctx)) })
	return r
}

func storeCopy() action {
	to, overwrite := "", false
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&to, "to", "", "the other `store`, as in EVERGATE_STORE; with EVERGATE_STORE_KEY")
			fs.BoolVar(&overwrite, "overwrite", false, overwriteHelp)
		},
		run: func(w env) error {
			if to == "" {
				return configError(errors.New("which store? give it with --to, for example --to redis://localhost"))
			}
			return withPlace(w, func(ctx context.Context, from sidecar.Place) error {
				other, err := openPlace(w, to)
				if err != nil {
					return err
				}
				defer other.Close()
				t := &tally{w, map[grantadmin.Outcome]int{}}
				if err := grantadmin.Copy(ctx, from, other, overwrite, t.report); err != nil {
					return err
				}
				fmt.Fprintf(w.err, "From now on one of the two stores may be used, not both: of each chain there may be one. Have every sidecar use %s, and run this once more when the last one does.\n", other.Where)
				return t.sum(other.Where)
			})
		},
	}
}

var _ token.Backend = sidecar.Place{}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"evergate/internal/grantadmin"
	"evergate/internal/sidecar"
)

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
			return withSource(w, func(ctx context.Context, p sidecar.Place) error {
				n, err := 0, error(nil)
				if file == "" {
					n, err = grantadmin.Export(ctx, p, p.Keys, w.out)
				} else {
					n, err = exportTo(ctx, p, file)
				}
				if err != nil {
					return err
				}
				if n == 0 {
					adviseEmpty(w, p)
				}
				fmt.Fprintf(w.err, "%d grants of %s are in the archive. Whoever has it and EVERGATE_STORE_KEY has these shops; a grant that is renewed after this is newer in the store.\n", n, p)
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

func (w env) tally() *tally { return &tally{w, map[grantadmin.Outcome]int{}} }

// into carries into a place, and counts.
func (t *tally) into(p sidecar.Place, overwrite bool) *grantadmin.Carrier {
	return &grantadmin.Carrier{To: p, Overwrite: overwrite, Report: t.report}
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

// sum ends a command that has carried grants, whether or not it came to its end.
func (t *tally) sum(to sidecar.Place, err error) error {
	fmt.Fprintf(t.w.out, "%d carried into %s and read back, %d there already, %d newer there, %d of another chain, %d failed\n",
		t.counts[grantadmin.Carried], to, t.counts[grantadmin.Same], t.counts[grantadmin.Kept], t.counts[grantadmin.Different], t.counts[grantadmin.Failed])
	if err == nil && t.counts[grantadmin.Failed]+t.counts[grantadmin.Different] > 0 {
		return &exitError{code: exitFailure}
	}
	return err
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
				t := w.tally()
				return t.sum(p, grantadmin.Import(ctx, from, p.Keys, t.into(p, overwrite)))
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

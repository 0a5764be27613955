package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"evergate/internal/clock"
	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

// migration is what `token migrate --all` was told.
type migration struct {
	all, dryRun, asJSON bool
	perSecond           float64
}

// defaultPerSecond spares Shopify's token endpoint; fifty thousand shops take seven hours.
const defaultPerSecond = 2

func (m *migration) flags(fs *flag.FlagSet) {
	fs.BoolVar(&m.all, "all", false, "migrate every permanent token of the store, of EVERGATE_SHOPS_FILE, and SHOPIFY_ACCESS_TOKEN beside it")
	fs.BoolVar(&m.dryRun, "dry-run", false, "with --all: say what would be done, and do nothing")
	fs.BoolVar(&m.asJSON, "json", false, "with --all: print an array of {shop, outcome, error}")
	fs.Float64Var(&m.perSecond, "per-second", defaultPerSecond, "with --all: begin `N` shops a second at most")
}

func (m *migration) check(shop string) error {
	switch {
	case !m.all && (m.dryRun || m.asJSON || m.perSecond != defaultPerSecond):
		return configError(errors.New("--dry-run, --json and --per-second are for --all: add it, or drop them"))
	case m.all && shop != "":
		return configError(errors.New("--all and --shop exclude each other: drop one"))
	case m.perSecond <= 0 || m.perSecond > 100 || m.perSecond != m.perSecond:
		return configError(errors.New("--per-second: give a number above 0, and 100 at most"))
	}
	return nil
}

// migrated is how it went with one shop.
type migrated struct {
	Shop string `json:"shop"`
	// Outcome is "migrated", "permanent" (a dry run found it), "already" or "failed".
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`

	static bool // its token is in the shops file or, of SHOPIFY_SHOP, in the settings
}

// run migrates one shop after the other. What is migrated is not there any more when it is run again, and what was begun is done again.
func (m *migration) run(w env, yes bool) error {
	settings, err := sidecar.Load(w.environ)
	if err != nil {
		return reportConfig(settings.Config, err, w.err, sidecar.FormatText)
	}
	if settings.Shops == nil {
		return configError(errors.New("--all is for the shops of EVERGATE_SHOPS_FILE, and none is set: set it, or leave --all out"))
	}
	app, err := sidecar.OpenShops(settings, w.environ, build())
	if err != nil {
		return err
	}
	if app.Backend == nil {
		return configError(errors.New("the new grants have to be kept: set EVERGATE_STORE as for the sidecar"))
	}
	defer app.Backend.Close()
	found, err := permanentTokens(context.Background(), app, settings)
	if err != nil {
		return err
	}
	pending := 0
	for _, f := range found {
		if f.Outcome == "permanent" {
			pending++
		}
	}
	if !m.dryRun && pending > 0 {
		if err := w.prompter().confirm(yes, fmt.Sprintf(`The permanent tokens of %d shops are exchanged for ones that live for an hour and that Evergate renews. This cannot
be undone: each permanent token is refused from then on, in every other program that uses it, too. The new grants are kept in
%s.`, pending, app.Where()), "Migrate them?"); err != nil {
			return err
		}
	}
	ctx, stop := w.untilSignal()
	defer stop()
	return m.each(ctx, w, app, settings, found)
}

// each does what is to be done, until ctx ends between two shops, and reports.
func (m *migration) each(ctx context.Context, w env, app *sidecar.App, settings sidecar.Settings, found []*migrated) error {
	counts, left := map[string]int{}, 0
	for _, f := range found {
		if f.Outcome == "permanent" && !m.dryRun {
			if ctx.Err() != nil {
				left++
				continue
			}
			began := time.Now()
			f.migrate(app, settings)
			_ = clock.Sleep(ctx, time.Duration(float64(time.Second)/m.perSecond)-time.Since(began))
		}
		counts[f.Outcome]++
		if !m.asJSON {
			fmt.Fprintln(w.out, strings.TrimSuffix(f.Shop+"  "+f.Outcome+": "+f.Error, ": "))
		}
	}
	if m.asJSON {
		if err := printJSON(w.out, append([]*migrated{}, found...)); err != nil {
			return err
		}
	}
	fmt.Fprintf(w.err, "%d migrated, %d migrated before, %d permanent, %d failed\n", counts["migrated"], counts["already"], counts["permanent"]+left, counts["failed"])
	sayWhatIsStatic(w, settings, found)
	switch {
	case left > 0:
		return errors.New("interrupted between two shops: run the same command again for the rest")
	case counts["failed"] > 0:
		return &exitError{code: exitFailure}
	}
	return nil
}

// sayWhatIsStatic says of which shops the settings still name the token that Shopify refuses now. It is what the sidecar calls them with.
func sayWhatIsStatic(w env, settings sidecar.Settings, found []*migrated) {
	var names []string
	for _, f := range found {
		if !f.static || f.Outcome != "migrated" && f.Outcome != "already" {
			continue
		}
		if f.Shop == settings.Config.Shop.Domain() {
			fmt.Fprintln(w.err, f.Shop+": take SHOPIFY_ACCESS_TOKEN out of the settings, and EVERGATE_GRANT=static: Shopify refuses a token that has been migrated.")
			continue
		}
		names = append(names, f.Shop)
	}
	if len(names) > 0 {
		fmt.Fprintf(w.err, "Now have %s say grant: offline in place of grant: static and access_token, of these: Shopify refuses a token that has been migrated.\n  %s\n",
			settings.Config.ShopsFile, strings.Join(names, "\n  "))
	}
}

// permanentTokens lists the shops whose token does not expire, in the order of names, and what cannot be read.
func permanentTokens(ctx context.Context, app *sidecar.App, settings sidecar.Settings) (all []*migrated, _ error) {
	renewed, seen := map[string]bool{}, map[string]bool{}
	for listed, err := range app.Backend.All(ctx) {
		switch {
		case listed.Domain == "":
			return nil, fmt.Errorf("the store %s cannot be read: %w", app.Where(), err)
		case err != nil:
			all = append(all, &migrated{Shop: listed.Domain, Outcome: "failed", Error: err.Error()})
		case grantadmin.IsPermanent(listed.Record.Current):
			all = append(all, &migrated{Shop: listed.Domain, Outcome: "permanent"})
		case grantadmin.IsWorthKeeping(listed.Record):
			renewed[listed.Domain] = true
		}
	}
	for _, f := range all {
		seen[f.Shop] = true
	}
	add := func(shop token.Shop, grant string) {
		domain := shop.Domain()
		switch {
		case grant != config.GrantStatic || seen[domain]:
		case renewed[domain]:
			all = append(all, &migrated{Shop: domain, Outcome: "already", static: true})
		default:
			all = append(all, &migrated{Shop: domain, Outcome: "permanent", static: true})
		}
	}
	if own := settings.Config; !own.Shop.IsZero() { // SHOPIFY_SHOP, beside the file
		add(own.Shop, own.Grant)
	}
	for _, s := range settings.Shops.Shops {
		add(s.Name, s.Grant)
	}
	// Pointers: sorting slices of structs takes 20 KiB of code for each kind of struct.
	slices.SortFunc(all, func(a, b *migrated) int { return strings.Compare(a.Shop, b.Shop) })
	return all, nil
}

// migrate migrates one shop and notes the outcome.
func (f *migrated) migrate(app *sidecar.App, settings sidecar.Settings) {
	f.Outcome = "failed"
	shop, err := token.ParseShop(f.Shop)
	if err != nil {
		f.Error = err.Error()
		return
	}
	done, err := f.exchange(app, settings, shop)
	switch {
	case err != nil:
		f.Error = err.Error()
	case done:
		f.Outcome = "already"
	default:
		f.Outcome = "migrated"
	}
}

func (f *migrated) exchange(app *sidecar.App, settings sidecar.Settings, shop token.Shop) (done bool, err error) {
	in, err := app.Offline(settings, shop)
	if err != nil {
		return false, err
	}
	var static token.Secret
	if f.static {
		if static, err = in.StaticToken(); err != nil {
			return false, err
		}
	}
	plan, err := adminOf(in).PlanMigration(static)
	if err != nil || plan.Done {
		return err == nil, err
	}
	return false, plan.Run()
}
